"""Manifests: tables of files and their targets, with columns `source` and `target`, paths relative to the table.

Every format of `data.pairs.table` is read. Several sources are several columns: `image`, `question`, `target`. An error
about a file names the line of the manifest: `clips.csv:17: clips/a.wav: no such file`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.pairs.table import Columns, read_table


@dataclass(frozen=True)
class Manifest:
    """Rows of a table: the cells of each source column, the targets, and the line that each row begins on."""

    path: Path
    sources: dict[str, list[str]]
    targets: list[str]
    lines: array[int]
    notes: tuple[str, ...] = ()

    def place(self, row: int) -> str:
        """The place of a row, such as `clips.csv:17`."""
        return f"{self.path}:{self.lines[row]}"

    def file(self, column: str, row: int) -> Path:
        """The file that a cell names; a relative path begins in the folder of the manifest."""
        return self.path.parent / self.sources[column][row]


def read_manifest(
    path: str | Path, *, sources: Sequence[str] = ("source",), target: str = "target", skip_bad: bool = False
) -> Manifest:
    """The rows of a manifest, the files in them not yet opened.

    With the default columns a table without a header has its source and target in the first two.

    Raises:
        InputError: "clips.csv:1: no column 'image' for the source: …" and the errors of `read_table`.
    """
    if not sources or len(set(sources)) < len(sources) or target in sources:
        raise InputError(f"expected one or more different columns, found {', '.join(sources)} and {target}")
    path = Path(path)
    plain = tuple(sources) == ("source",) and target == "target"
    tables = [read_table(path, Columns() if plain else Columns(name, target), skip_bad) for name in sources]
    cells = [dict(zip(table.lines, table.pairs.sources, strict=True)) for table in tables]
    rows = [row for row, line in enumerate(tables[0].lines) if all(line in of_line for of_line in cells)]
    lines = array("q", (tables[0].lines[row] for row in rows))
    notes = {f"{path}: skipped bad rows: {'; '.join(table.complaints)}" for table in tables if table.skipped}
    if not rows:
        raise InputError("no row has all of its columns", where=path)
    return Manifest(
        path,
        {name: [of_line[line] for line in lines] for name, of_line in zip(sources, cells, strict=True)},
        [tables[0].pairs.targets[row] for row in rows],
        lines,
        tuple(sorted(notes)),
    )


@contextmanager
def located(place: str) -> Iterator[None]:
    """Put `place` in front of an error raised inside: `clips.csv:17: clips/a.wav: no such file`."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error), where=place) from None
    except EnvironmentFault as error:
        raise EnvironmentFault(f"{place}: {error}") from None
