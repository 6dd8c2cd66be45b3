"""Tables of delimited text: TSV and CSV.

TSV: a row is a line, and a quote is a character. CSV: RFC 4180, line breaks inside quotes included. The first row names
the columns.
"""

from __future__ import annotations

import csv
import io
from abc import abstractmethod
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import final

from sightline.core.errors import InputError
from sightline.data.rows import files
from sightline.data.rows.files import TextLine, read_lines
from sightline.data.rows.record import Record, Rows

_Cells = tuple[int, list[str], str | None, int]  # line, cells, problem, stop


class Delimited(Rows):
    """A table whose first row names its columns."""

    def __init__(self, path: Path, *, header: bool = True) -> None:
        with closing(self._rows(path)) as rows:
            line, cells, problem, _ = next(rows)
        if problem:
            raise InputError(problem, where=f"{path}:{line}")
        names = [cell.strip() if header else str(number) for number, cell in enumerate(cells, 1)]
        super().__init__(path, names, line)
        self._header = header

    def without_header(self) -> Rows:
        return type(self)(self.path, header=False)

    def records(self, names: Sequence[str] | None = None) -> Iterator[Record]:
        width = len(self.columns)
        place_of = {name: place for place, name in reversed([*enumerate(self.columns)])}
        places = [(name, place_of[name]) for name in (self.columns if names is None else names)]
        rows = self._rows(self.path)
        if self._header:
            next(rows)
        for line, cells, problem, stop in rows:
            if problem is None and len(cells) != width:
                empty = " (an empty line)" if cells == [""] else ""
                problem = f"expected {width} columns, found {len(cells)}{empty}"
            yield Record(line, {} if problem else {name: cells[place] for name, place in places}, problem, stop)

    @abstractmethod
    def _rows(self, path: Path) -> Generator[_Cells, None, None]:
        """All rows of the file, the first one included."""


@final
class Tsv(Delimited):
    """Tab-separated cells, one row a line."""

    def _rows(self, path: Path) -> Generator[_Cells, None, None]:
        for number, text, error, stop in read_lines(path):
            yield number, text.split("\t"), error, stop


@final
class Csv(Delimited):
    """Comma-separated cells, quoted where needed."""

    def _rows(self, path: Path) -> Generator[_Cells, None, None]:
        limit = csv.field_size_limit(2 * files.MAX_LINE_BYTES)  # the limit below comes first, with a place
        try:
            yield from _csv_rows(path)
        finally:
            csv.field_size_limit(limit)


def _csv_rows(path: Path) -> Generator[_Cells, None, None]:
    bad: list[TextLine] = []
    begin, last, size = 1, TextLine(0, ""), 0

    def lines() -> Iterator[str]:
        nonlocal last, size
        for last in read_lines(path):
            size += len(last.text)
            if size > files.MAX_LINE_BYTES:
                raise InputError(
                    f"a quoted field is longer than {files.MAX_LINE_BYTES} characters: is its quote closed?",
                    where=f"{path}:{begin}",
                )
            if last.error:
                bad.append(last)
            yield last.text + "\n"

    reader = csv.reader(lines(), strict=True)
    while True:
        begin, size = last.number + 1, 0
        bad.clear()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield begin, [], _problem(str(error)), last.stop
            continue
        yield begin, row or [""], f"{bad[0].error} (line {bad[0].number})" if bad else None, last.stop


def _problem(message: str) -> str:
    if "unexpected end of data" in message:
        return "the quote opened here is never closed"
    if "expected after" in message:
        return "text after a closing quote; a quote inside quotes is written twice"
    if "new-line character" in message:
        return "a carriage return outside quotes"
    return message


def tsv_bytes(columns: Mapping[str, Sequence[str]]) -> bytes:
    """A TSV file of the columns; ValueError where a cell contains what TSV cannot store."""
    rows = [tuple(columns), *zip(*columns.values(), strict=True)]
    for number, row in enumerate(rows):
        if any("\t" in cell or "\n" in cell for cell in row) or row[-1].endswith("\r"):
            raise ValueError(f"row {number} contains a tab or a line break, which TSV cannot store")
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def csv_bytes(columns: Mapping[str, Sequence[str]]) -> bytes:
    """A CSV file of the columns; ValueError where a cell contains what this module's CSV cannot store."""
    for number, row in enumerate(zip(*columns.values(), strict=True), 1):
        if any("\r\n" in cell for cell in row):
            raise ValueError(f"row {number} contains a line break of two characters, which CSV cannot store")
    buffer = io.StringIO()
    csv.writer(buffer).writerows([tuple(columns), *zip(*columns.values(), strict=True)])
    return buffer.getvalue().encode()
