"""Lists of files with their target texts: a table with columns `source`, `target`, paths relative to the table.

Every format of `data.rows` works. Several sources are several columns: `image`, `question`, `target`. An error about
a file names the line that names the file: `clips.csv:17: clips/a.wav: no such file`. Columns that common tools name
otherwise are recognised (`ALIASES`): Common Voice's tsv, NeMo's manifests, the parquet files of Hugging Face data sets.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, final

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.media.files import MediaFile, check_base, file_of, is_content
from sightline.data.rows.formats import open_rows
from sightline.data.rows.numbers import number_of
from sightline.data.rows.record import Record, Refusals
from sightline.data.rows.text_columns import open_texts
from sightline.data.rows.texts import text_of

ALIASES = {
    "source": ("audio_filepath", "audio", "image", "path", "file_name"),
    "target": ("sentence", "text", "transcription", "transcript", "caption"),
}
NEMO = "audio_filepath"  # beside which `offset` and `duration` name a stretch of the sound
STRETCHES = "of each sound the stretch is read that 'offset' and 'duration' name"


@final
@dataclass(frozen=True)
class Manifest:
    """Rows of a table: the cells of each source column, the targets, and the line that each row begins on.

    sources: texts, or the files of cells that contain one with its bytes
    folder: the one that paths are relative to
    stretches: (start, duration) of each row's sound in seconds, where the table names them
    table: counts the rows that were skipped
    notes: for the user, on how the table was read
    """

    path: Path
    sources: dict[str, list[str | MediaFile]]
    targets: list[str]
    lines: array[int]
    table: Refusals
    folder: Path
    stretches: list[tuple[float, float | None]]
    notes: list[str]

    def place(self, row: int) -> str:
        """The place of a row, such as `clips.csv:17`."""
        return f"{self.path}:{self.lines[row]}"

    def file(self, column: str, row: int) -> MediaFile:
        """The file that a cell names or contains; a relative path is relative to the manifest's folder, or its base.

        Raises:
            ValueError: the path contains characters that cannot be printed; what `check_base` raises.
        """
        cell = self.sources[column][row]
        if isinstance(cell, MediaFile):
            return cell
        start, duration = self.stretches[row] if self.stretches else (0.0, None)
        file = replace(file_of(cell, "the source", self.folder), start_s=start, duration_s=duration)
        if not row:
            check_base(file)
        return file


def read_manifest(
    path: str | Path,
    *,
    sources: Sequence[str] = ("source",),
    target: str = "target",
    base: Path | None = None,
    skip_bad: bool = False,
) -> Manifest:
    """The rows of a manifest, the files in them not yet opened.

    With the default columns they may have one of the names of `ALIASES`; a table without a header has its source and
    target in the first two.

    base: the folder that paths are relative to; None = the manifest's own

    Raises:
        InputError: "clips.csv:1: no column 'image' for the source: …" and the other errors of a bad table.
    """
    if not sources or len(set(sources)) < len(sources) or target in sources:
        raise InputError(f"expected one or more different columns, found {', '.join(sources)} and {target}")
    path = Path(path)
    folder = path.parent if base is None else base
    columns, notes = _columns(path, sources, target)
    rows, texts = open_texts(path, columns)
    stretched = texts[0][0] == NEMO
    records = rows.records(None if stretched or not rows.columns else list(dict.fromkeys(name for name, _ in texts)))
    first = [*islice(records, 1)]
    strings = [name for name, _ in texts if not any(is_content(record.cells.get(name)) for record in first)]
    rows.require(list(dict.fromkeys(strings)), "strings")
    table = Refusals(str(path), skip_bad=skip_bad, read_as=rows.notes)
    cells: list[list[Any]] = []
    lines, stretches = array("q"), []
    for record in chain(first, records):
        try:
            if record.problem:
                raise ValueError(record.problem)
            row = [_cell(record.cell(name), what, folder) for name, what in texts]
            if stretched:
                stretches.append(stretch_of(record))
        except ValueError as error:
            table.refuse(error, f"{path}:{record.line}")
            continue
        lines.append(record.line)
        cells.append(row)
    table.check_some(lines)
    *by_source, targets = ([*column] for column in zip(*cells, strict=True))
    if any(start or duration is not None for start, duration in stretches):
        notes.append(f"{path}: {STRETCHES}")
    named = dict(zip(sources, by_source, strict=True))
    return Manifest(path, named, targets, lines, table, folder, stretches, notes)


def _columns(path: Path, sources: Sequence[str], target: str) -> tuple[list[tuple[str, str | None]], list[str]]:
    """The roles with their columns, None where the default names apply, and a note on names that were recognised."""
    roles = [*(("source", name) for name in sources), ("target", target)]
    rows = open_rows(path)
    known = rows.columns or next(iter(rows.records()), Record(0, {})).cells
    if ("target", "target") in roles and "target" not in map(str.lower, known):
        roles[-1] = ("target", next((name for name in ALIASES["target"] if name in known), target))
    if roles[0] == ("source", "source") and len(sources) == 1 and "source" not in map(str.lower, known):
        names = [name for name in ALIASES["source"] if name in known and name != roles[-1][1]]
        roles[0] = ("source", names[0] if names else "source")
    if [name for _, name in roles] == ["source", "target"]:
        return [("source", None), ("target", None)], []
    recognised = [
        f"{name!r} as {role}" for role, name in roles if name in ALIASES[role] and name not in (*sources, target)
    ]
    return list(roles), [f"{path}: read the column {' and '.join(recognised)}"] if recognised else []


def _cell(value: Any, what: str, folder: Path) -> str | MediaFile:
    return file_of(value, what, folder) if is_content(value) else text_of(value, what)


def with_stretch(file: MediaFile, column: str, record: Record) -> MediaFile:
    """The file of a cell with the stretch that its row names; raises as `stretch_of`."""
    if column != NEMO or file.content is not None:
        return file
    start, duration = stretch_of(record)
    return replace(file, start_s=start, duration_s=duration)


def stretch_of(record: Record) -> tuple[float, float | None]:
    """The start and the duration in seconds that a row of NeMo's manifests names, (0, None) = the whole sound.

    Raises:
        ValueError: "'offset' 0.5 and 'duration' -1.0 are not a stretch of time".
    """
    start, duration = (record.cells.get(name) for name in ("offset", "duration"))
    seconds = 0.0 if start is None else number_of(start, "'offset'")
    length = None if duration is None else number_of(duration, "'duration'")
    if seconds < 0 or (length is not None and not 0 < length < math.inf):
        raise ValueError(f"'offset' {seconds:g} and 'duration' {length} are not a stretch of time")
    return seconds, length


@contextmanager
def located(place: str) -> Iterator[None]:
    """Puts `place` in front of errors from inside: `clips.csv:17: clips/a.wav: no such file`."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error), where=place) from None
    except EnvironmentFault as error:
        raise EnvironmentFault(f"{place}: {error}") from None
