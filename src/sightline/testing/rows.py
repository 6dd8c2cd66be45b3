"""The laws of file formats of tables, over any entry of `FORMATS` or your own (`check_format`)."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, final

from sightline.core.errors import CheckFailed, InputError
from sightline.data.labelled.table import Reading, read_labelled
from sightline.data.media.manifest import read_manifest
from sightline.data.pairs.corpus import read
from sightline.data.rows.formats import FORMATS, FORMS, Form, Format, open_rows
from sightline.data.rows.record import CHUNK, Record
from sightline.data.series.roles import SeriesColumns
from sightline.data.series.table import read_series_table
from sightline.data.text.rows import reader_of
from sightline.testing.findings import refusal

Table = Mapping[str, Sequence[Any]]

TEXTS = ('a "quoted" text', "1, 2; 3", "a\u2028b\u0085c", " März 2019 ", "二〇一九年 🙂", "2024", "[x", "'=1+1")
PAIRS = {"id": [str(i) for i in range(8)], "source": TEXTS, "target": tuple(reversed(TEXTS))}
_LONG = 512  # characters of a text in a long table
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": partial(lzma.compress, preset=0),  # others need memory for a dictionary of 8 MiB and more
}
with suppress(ImportError):
    COMPRESS[".zst"] = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd").compress


@final
@dataclass(frozen=True)
class FormatSubject:
    """A format under test, its suffix, and an empty folder for files."""

    suffix: str
    entry: Format
    folder: Path

    def write(self, table: Table, change: Callable[[bytes], bytes] = bytes, ending: str = "") -> Path:
        """A file of the table; its bytes changed as `change` does."""
        text = self.entry.form == "delimited"
        only = self.entry.columns or tuple(table)
        columns = {name: [str(c) if text else c for c in cells] for name, cells in table.items() if name in only}
        path = self.folder / f"table{self.suffix}{ending}"
        path.write_bytes(change(self.entry.write(columns)))
        return path


class TaskReader(NamedTuple):
    """A task's reader of tables: the forms it accepts, a table, and a function whose result must equal `items`."""

    forms: tuple[Form, ...]
    table: Table
    read: Callable[[Path], list[Any]]
    items: list[Any]


def _pairs(path: Path) -> list[Any]:
    return [*zip(*read(path).pairs.sides, strict=True)]


def _labelled(path: Path) -> list[Any]:
    table = read_labelled(path, Reading())
    return [
        (source if isinstance(source, str) else source.tolist(), *labels)
        for source, labels in zip(table.sources, table.labels, strict=True)
    ]


def _manifest(path: Path) -> list[Any]:
    manifest = read_manifest(path, sources=("image", "question"))
    return [*zip(*manifest.sources.values(), manifest.targets, strict=True)]


def _series(path: Path) -> list[Any]:
    table = read_series_table(path, SeriesColumns(series="id"))
    return [*zip(table.names.tolist(), table.stamps.values.tolist(), table.values.tolist(), strict=True)]


def _documents(path: Path) -> list[Any]:
    reader = reader_of(path, "text")
    blocks = [block for block, _ in reader.scan(_refuse)]
    return [fragment.text for block in blocks for fragment, _ in reader.read(block)]


def _refuse(problem: str, place: str) -> None:
    raise InputError(problem, where=place)


LABELS = ["yes", "no"] * 4
STEPS = {"time": [3, 4, 5, 4], "id": ["a", "a", "a", "b"], "v": [1.5, -2.0, 1e-3, 7.0], "w": [0.0, 1.0, 2.0, 3.0]}
READERS = {
    "pairs": TaskReader(FORMS, PAIRS, _pairs, [*zip(PAIRS["source"], PAIRS["target"], strict=True)]),
    "labelled texts": TaskReader(
        FORMS, {"text": TEXTS, "label": LABELS}, _labelled, [*zip(TEXTS, LABELS, strict=True)]
    ),
    "labelled series": TaskReader(
        FORMS, {"x1": [1.5, 2.0], "x2": [-3.0, 0.25], "label": ["a", "b"]}, _labelled,
        [([[1.5], [-3.0]], "a"), ([[2.0], [0.25]], "b")],
    ),
    "manifests": TaskReader(
        FORMS, {"target": TEXTS, "question": LABELS, "image": TEXTS}, _manifest,
        [*zip(TEXTS, LABELS, TEXTS, strict=True)],
    ),
    "series": TaskReader(
        ("delimited", "columns"), STEPS, _series,
        [(name, time, [v, w]) for time, name, v, w in zip(*STEPS.values(), strict=True)],
    ),
    "documents": TaskReader(("objects", "columns"), {"text": TEXTS}, _documents, [*TEXTS]),
}  # fmt: skip


def same_items(subject: FormatSubject) -> Iterator[str]:
    """Every reader that accepts the format gets the items that are in the table, in its order."""
    for name, reader in READERS.items():
        if subject.entry.form in reader.forms and set(subject.entry.columns or reader.table) >= reader.table.keys():
            items = reader.read(subject.write(reader.table))
            if items != reader.items:
                yield f"{name}: {items} instead of {reader.items}"


def true_places(subject: FormatSubject) -> Iterator[str]:
    """A record's line is where it begins, by the file's own lines or by its number; errors name file and line."""
    texts = _storable(subject, [f"text {i}" + "\nand more" * (i % 3) for i in range(9)])
    path = subject.write({"source": texts, "target": texts})
    rows = open_rows(path)
    lines = path.read_bytes().split(b"\n")
    places = [record.line for record in rows.records(["source"])]
    for number, line in enumerate(places):
        if line != number + 1 if not rows.in_lines else f"text {number}".encode() not in lines[line - 1]:
            yield f"row {number + 1} is said to begin on line {line}"
    for number in (0, 4, 8):
        bad = [*texts[:number], "", *texts[number + 1 :]]
        error = refusal(_pairs, subject.write({"source": texts, "target": bad}))
        if len(places) > number and not error.startswith(f"{path}:{places[number]}: "):
            yield f"an empty target in row {number + 1}: {error}"
    whole = path.read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 20)):
        path.write_bytes(whole[:size])
        error = refusal(_pairs, path)
        if error and not (error.startswith(str(path)) and error.isprintable()):
            yield f"cut to {size} bytes: {error}"


def any_part(subject: FormatSubject) -> Iterator[str]:
    """The rows between any two places are those rows of the whole, with their lines."""
    path = subject.write(PAIRS)
    names = ["target", "source"]
    for file in (path, *(_zipped(path, ending) for ending in COMPRESS)):
        rows = open_rows(file)
        whole = [*rows.records(names)]
        stops = [0, *(record.stop for record in whole)]
        for low in (0, 3, 7, 2):
            for high in range(low + 1, len(whole) + 1):
                line = whole[low].line if low else 1
                part = [*rows.part(names, stops[low], stops[high], line)]
                if part != whole[low:high]:
                    yield f"{file.name}: rows {low + 1} to {high} are {part}"


def bounded_memory(subject: FormatSubject) -> Iterator[str]:
    """Reading takes a small part of the memory that the whole table takes; frames have at most `CHUNK` rows."""
    count = CHUNK + CHUNK // 2
    texts = [f"{i:0{_LONG}d}" for i in range(count)]
    path = subject.write({"source": texts, "target": texts})
    rows = open_rows(path)
    if rows.columns:
        longest = max(len(frame) for _, frame in rows.frames(["source"]))
        if longest > CHUNK:
            yield f"a frame has {longest} rows"
    for file in (path, *(_zipped(path, ending) for ending in COMPRESS)) if rows.in_bytes else (path,):
        rows = open_rows(file)
        tracemalloc.start()
        try:
            read_rows = sum(1 for _ in rows.records())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        if read_rows != count or peak > 2 * count * _LONG / 8:
            yield f"{file.name}: {read_rows} of {count} rows take {peak} bytes of {2 * count * _LONG}"


def edges(subject: FormatSubject) -> Iterator[str]:
    """Empty files, missing columns, a missing line end, CRLF, a byte order mark and compression."""
    path = subject.write(PAIRS, lambda content: b"")
    error = refusal(_pairs, path)
    if not error.startswith(f"{path}: "):
        yield f"an empty file: {error or 'no error'}"
    error = refusal(_pairs, subject.write({name: [] for name in PAIRS}))
    if not error.startswith(f"{path}: "):
        yield f"a table without rows: {error or 'no error'}"
    rows = open_rows(subject.write(PAIRS))
    by_row = not rows.columns
    error = next(iter(rows.records(["sorce"]))).problem if by_row else refusal(rows.column, "sorce")
    if not error or "did you mean 'source'" not in error or not (by_row or error.startswith(rows.where)):
        yield f"the misspelt column 'sorce': {error or 'no error'}"
    whole = _cells(rows.records())
    changes: dict[str, Callable[[bytes], bytes]] = {
        "without the last line end": lambda content: content.removesuffix(b"\n").removesuffix(b"\r"),
        "with CRLF": lambda content: content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        "with a byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    }
    for name, change in changes.items() if rows.in_bytes else ():
        if _cells(open_rows(subject.write(PAIRS, change)).records()) != whole:
            yield f"{name} the rows are others"
    for ending, compress in COMPRESS.items():
        if _cells(open_rows(subject.write(PAIRS, compress, ending)).records()) != whole:
            yield f"under {ending} the rows are others"


ROW_LAWS: dict[str, Callable[[FormatSubject], Iterator[str]]] = {
    "same items": same_items,
    "true places": true_places,
    "any part": any_part,
    "bounded memory": bounded_memory,
    "edges of a file": edges,
}


def check_format(suffix: str, entry: Format | None = None, *, laws: Sequence[str] = tuple(ROW_LAWS)) -> None:
    """The laws over one format of tables: an entry of `FORMATS`, or your own under a new suffix.

    Raises:
        CheckFailed: ".arrow: true places: row 2 is said to begin on line 1", the first law that does not hold.
    """
    entry = entry or FORMATS[suffix]
    with TemporaryDirectory() as folder, _registered(suffix, entry):
        for law in laws:
            try:
                problem = next(ROW_LAWS[law](FormatSubject(suffix, entry, Path(folder))), None)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            if problem is not None:
                raise CheckFailed(f"{suffix}: {law}: {problem}")


@contextmanager
def _registered(suffix: str, entry: Format) -> Iterator[None]:
    before = FORMATS.get(suffix)
    FORMATS[suffix] = entry
    try:
        yield
    finally:
        if before is None:
            del FORMATS[suffix]
        else:
            FORMATS[suffix] = before


def _storable(subject: FormatSubject, texts: list[str]) -> list[str]:
    """The texts, without line breaks where the format cannot store them."""
    try:
        subject.entry.write({"text": texts})
    except ValueError:
        return [text.split("\n")[0] for text in texts]
    return texts


def _zipped(path: Path, ending: str = ".gz") -> Path:
    zipped = path.with_name(f"{path.name}{ending}")
    zipped.write_bytes(COMPRESS[ending](path.read_bytes()))
    return zipped


def _cells(records: Iterator[Record]) -> list[dict[str, Any]]:
    return [record.cells for record in records]
