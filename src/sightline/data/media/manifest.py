"""Lists of files with their target texts: a table with columns `source`, `target`, paths relative to the table.

Every format of `data.rows` works. Several sources are several columns: `image`, `question`, `target`. An error about
a file names the line that names the file: `clips.csv:17: clips/a.wav: no such file`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.media.files import MediaFile
from sightline.data.pairs.table import open_texts
from sightline.data.rows.record import Refusals
from sightline.data.rows.texts import text_rows


@final
@dataclass(frozen=True)
class Manifest:
    """Rows of a table: the cells of each source column, the targets, and the line that each row begins on.

    table: counts the rows that were skipped
    """

    path: Path
    sources: dict[str, list[str]]
    targets: list[str]
    lines: array[int]
    table: Refusals

    def place(self, row: int) -> str:
        """The place of a row, such as `clips.csv:17`."""
        return f"{self.path}:{self.lines[row]}"

    def file(self, column: str, row: int) -> MediaFile:
        """The file that a cell names; a relative path is relative to the manifest's folder."""
        return MediaFile(self.path.parent / self.sources[column][row])


def read_manifest(
    path: str | Path, *, sources: Sequence[str] = ("source",), target: str = "target", skip_bad: bool = False
) -> Manifest:
    """The rows of a manifest, the files in them not yet opened.

    With the default columns a table without a header has its source and target in the first two.

    Raises:
        InputError: "clips.csv:1: no column 'image' for the source: …" and the other errors of a bad table.
    """
    if not sources or len(set(sources)) < len(sources) or target in sources:
        raise InputError(f"expected one or more different columns, found {', '.join(sources)} and {target}")
    path = Path(path)
    named = (*sources, target) != ("source", "target")
    columns = [*(("source", name) for name in sources), ("target", target)]
    rows, texts = open_texts(path, [(role, name if named else None) for role, name in columns])
    table = Refusals(str(path), skip_bad=skip_bad)
    cells: list[list[str]] = []
    lines = array("q")
    for line, texts_of_row in text_rows(rows, texts, table):
        lines.append(line)
        cells.append(texts_of_row)
    table.check_some(lines)
    *by_source, targets = ([*column] for column in zip(*cells, strict=True))
    return Manifest(path, dict(zip(sources, by_source, strict=True)), targets, lines, table)


@contextmanager
def located(place: str) -> Iterator[None]:
    """Puts `place` in front of errors from inside: `clips.csv:17: clips/a.wav: no such file`."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error), where=place) from None
    except EnvironmentFault as error:
        raise EnvironmentFault(f"{place}: {error}") from None
