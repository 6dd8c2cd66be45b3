"""Every format of tables obeys the laws, and the laws see planted bugs."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sightline.core.errors import CheckFailed
from sightline.data.rows import delimited, files, json_lines
from sightline.data.rows.columnar import Columnar
from sightline.data.rows.formats import FORMATS, Format
from sightline.data.rows.json_lines import JsonLines
from sightline.data.rows.record import Record, Refusals, Rows
from sightline.testing.rows import ROW_LAWS, check_format

DISTINCT = list({id(entry): suffix for suffix, entry in FORMATS.items()}.values())
QUICK = (".tsv", ".parquet", ".jsonl", ".ndjson")  # of each kind of reader
EACH = [pytest.param(suffix, marks=() if suffix in QUICK else pytest.mark.slow) for suffix in DISTINCT]


# Files of many megabytes are written to see that they are not read whole.
LAWS = [pytest.param(law, marks=pytest.mark.slow if law == "bounded memory" else ()) for law in ROW_LAWS]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("suffix", EACH)
def test_every_format_obeys(suffix: str, law: str) -> None:
    check_format(suffix, laws=[law])


Plant = Callable[[pytest.MonkeyPatch], None]
BUGS: dict[str, tuple[str, str, Plant]] = {}  # by name: a format that has it, the law that must see it, and how


def bug(name: str, suffix: str, law: str) -> Callable[[Plant], None]:
    def register(plant: Plant) -> None:
        BUGS[name] = suffix, law, plant

    return register


def wrap(patch: pytest.MonkeyPatch, owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace owner.name by around(original, *arguments)."""
    original = getattr(owner, name)
    patch.setattr(owner, name, lambda *arguments, **named: around(original, *arguments, **named))


@bug("cells lose white space", ".tsv", "same items")
def _(patch):
    def rows(original, self):
        for line, cells, problem, stop in original(self):
            yield line, [cell.strip() for cell in cells], problem, stop

    wrap(patch, delimited.Delimited, "_rows", rows)


@bug("lines end at Unicode separators", ".jsonl", "same items")
def _(patch):
    def lines(original, path):
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield files.TextLine(number, text)

    wrap(patch, json_lines, "read_lines", lines)


@bug("the last rows are missing", ".parquet", "same items")
def _(patch):
    wrap(patch, Columnar, "_frames", lambda original, self, names, start, stop: original(self, names, start, stop - 1))


@bug("rows are counted, not lines", ".csv", "true places")
def _(patch):
    def rows(original, path, separator):
        for line, (_, *rest) in enumerate(original(path, separator), 1):
            yield line, *rest

    wrap(patch, delimited, "_csv_rows", rows)


@bug("rows are counted from 0", ".parquet", "true places")
def _(patch):
    def records(original, self, *place) -> Iterator[Record]:
        return (record._replace(line=record.line - 1) for record in original(self, *place))

    wrap(patch, Columnar, "_records", records)


@bug("errors name no line", ".tsv", "true places")
def _(patch):
    wrap(patch, Refusals, "refuse", lambda original, self, problem, place: original(self, problem, self.name))


@bug("a part begins with the row before it", ".parquet", "any part")
def _(patch):
    wrap(patch, Columnar, "part", lambda original, self, names, start, stop, line: original(
        self, names, max(start - 1, 0), stop, line))  # fmt: skip


@bug("lines of a part are counted from 1", ".jsonl", "any part")
def _(patch):
    wrap(patch, json_lines, "split_lines", lambda original, content, number, stop: original(content, 1, stop))


@bug("all lines are read at once", ".csv", "bounded memory")
def _(patch):
    wrap(patch, delimited, "read_lines", lambda original, path: iter([*original(path)]))


@bug("a compressed file is read at once", ".jsonl", "bounded memory")
def _(patch):
    def lines(original, path):
        return files.split_lines(files.read_whole(path), 1) if path.suffix == ".gz" else original(path)

    wrap(patch, json_lines, "read_lines", lines)


@bug("all rows are one frame", ".parquet", "bounded memory")
def _(patch):
    patch.setattr("sightline.data.rows.columnar.CHUNK", 10**9)


@bug("the byte order mark stays", ".tsv", "edges of a file")
def _(patch):
    patch.setattr(files, "BOM", b"never")


@bug("a last line without an end is missing", ".jsonl", "edges of a file")
def _(patch):
    def lines(original, path):
        stops = [*original(path)]
        for line, following in pairwise([*stops, None]):
            if following or path.read_bytes().endswith(b"\n"):
                yield line

    wrap(patch, json_lines, "read_lines", lines)


@bug("a carriage return stays", ".tsv", "edges of a file")
def _(patch):
    wrap(patch, files, "checked_line", lambda original, number, raw, stop: original(
        number, raw.removesuffix(b"\n"), stop))  # fmt: skip


@bug("the nearest column is taken", ".csv", "edges of a file")
def _(patch):
    wrap(patch, Rows, "column", lambda original, self, name, role=None, any_case=False: name)


@pytest.mark.slow
@pytest.mark.parametrize("name", BUGS)
def test_planted_bugs_are_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    suffix, law, plant = BUGS[name]
    plant(monkeypatch)
    with pytest.raises(CheckFailed, match=f"^{suffix}: {law}: "):
        check_format(suffix, laws=[law])


def test_every_law_sees_some_bug() -> None:
    assert {law for _, law, _ in BUGS.values()} == set(ROW_LAWS)


@pytest.mark.slow
def test_a_format_of_your_own_is_checked_under_its_suffix() -> None:
    own = Format("objects", JsonLines, json_lines.jsonl_bytes)
    check_format(".jsons", own)
    with pytest.raises(CheckFailed, match=r"^\.jsons: same items: pairs: "):
        check_format(".jsons", own._replace(write=partial(_reversed, own.write)))
    assert ".jsons" not in FORMATS


def _reversed(write: Callable[..., bytes], columns: Any) -> bytes:
    return write({name: cells[::-1] for name, cells in columns.items()})


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("suffix", [suffix for suffix in DISTINCT if suffix != ".feather"])  # polars reads it whole
def test_streams_take_native_memory_for_a_part_of_the_file_only(suffix: str, tmp_path: Path) -> None:
    """Memory of the process, that of polars included, while it reads 40 MB, by what Linux counts as its own."""
    draw = random.Random(0)
    texts = [draw.randbytes(500).hex() for _ in range(40_000)]
    path = tmp_path / f"table{suffix}"
    path.write_bytes(FORMATS[suffix].write({"text": texts, "number": [str(i) for i in range(len(texts))]}))
    own = "int(re.search(r'RssAnon:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    program = (
        "import re, sys\nfrom pathlib import Path\nfrom sightline.data.rows.formats import open_rows\n"
        "rows = open_rows(Path(sys.argv[1]))\n"
        f"next(rows.records(['text']))\nbefore = {own}\n"
        f"print(max({own} for number, _ in enumerate(rows.records(['text'])) if number % 1000 == 0) - before)\n"
    )
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}  # each thread decodes pages ahead, in memory of its own
    command = [sys.executable, "-c", program, path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert int(done.stdout) < 20_000, done.stdout  # kB; polars decodes pages, which are not small
