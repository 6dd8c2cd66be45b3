"""Tables of delimited text: TSV and CSV, in the dialects of `data.rows.dialect`. The first row names the columns.

CSV: RFC 4180, line breaks inside quotes included. TSV: a row is a line, unless cells are quoted as in CSV.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.data.rows import files
from sightline.data.rows.dialect import Dialect, is_plain, unescaped
from sightline.data.rows.files import TextLine, read_lines
from sightline.data.rows.numbers import EUROPEAN, THOUSANDS, DecimalComma
from sightline.data.rows.record import CHUNK, Chunk, Record, Rows

if TYPE_CHECKING:
    import polars

_Cells = tuple[int, list[Any], str | None, int]  # line, cells, problem, stop
_SAMPLED_ROWS = 1000
_HOLES = frozenset(("", "na", "n/a", "nan", "null", "none", "-"))


@final
class Delimited(Rows):
    """A table whose first row names its columns.

    dialect: derives the file's dialect
    header: whether the first row names the columns; they are otherwise named "1", "2" and so on
    """

    def __init__(self, path: Path, dialect: Callable[[Path], Dialect], *, header: bool = True) -> None:
        self.path, self._derive, self.dialect = path, dialect, dialect(path)
        with closing(self._rows()) as rows:
            line, cells, problem, _ = next(rows, (0, [], None, 0))
            if not line:
                raise InputError("is empty", where=path)
            if problem:
                raise InputError(problem, where=f"{path}:{line}")
            names = [(cell or "").strip() if header else str(number) for number, cell in enumerate(cells, 1)]
            sample = [
                row for _, row, problem, _ in islice(rows, _SAMPLED_ROWS) if not problem and len(row) == len(names)
            ]
        super().__init__(path, names, line, notes=self.dialect.notes)
        self.named = header
        columns = dict(zip(names, zip(*sample))) if self.dialect.separator != "," else {}
        commas = [name for name, cells in columns.items() if _decimal_commas(cells)]
        points = [name for name, cells in columns.items() if commas and name not in commas and _grouped(cells)]
        self._decimals = frozenset((*commas, *points))
        if commas:
            self.notes += (f"numbers have a decimal comma: {', '.join(map(repr, commas))}",)
        if points:  # 1.234 is 1234 beside 0,5
            self.notes += (f"points are between thousands, as commas are decimal: {', '.join(map(repr, points))}",)

    def without_header(self) -> Rows:
        return type(self)(self.path, self._derive, header=False)

    def records(self, names: Sequence[str] | None = None) -> Iterator[Record]:
        places = [(name, self.columns.index(name)) for name in (self.columns if names is None else names)]
        for line, cells, problem, stop in self._data():
            record: dict[str, Any] = {} if problem else {name: cells[place] for name, place in places}
            for name in self._decimals & record.keys() if self._decimals else ():
                record[name] = DecimalComma(record[name])
            yield Record(line, record, problem, stop)

    def chunks(self, names: Sequence[str]) -> Iterator[Chunk]:
        places = [self.columns.index(name) for name in names]
        none = [""] * len(self.columns)
        rows = self._data()
        while taken := list(islice(rows, CHUNK)):
            lines, cells, problem_of, _ = zip(*taken, strict=True)
            problems = {place: problem for place, problem in enumerate(problem_of) if problem}
            if problems:
                cells = [none if place in problems else row for place, row in enumerate(cells)]
            yield Chunk(lines, [[row[place] for row in cells] for place in places], problems)

    def frames(self, names: Sequence[str]) -> Iterator[tuple[Sequence[int], polars.DataFrame]]:

        for lines, frame in super().frames(names):
            for name in self._decimals & set(names):
                cells = frame[name]
                odd = (cells.str.contains(r"[.,]") & ~cells.str.contains(EUROPEAN)).fill_null(False)
                if odd.any():
                    row = int(odd.arg_max() or 0)
                    problem = f"the cell of {name!r} is {cells[row]!r}, but the column has decimal commas"
                    raise InputError(problem, where=f"{self.path}:{lines[row]}")
                dotted = cells.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
                frame = frame.with_columns(dotted.alias(name))
            yield lines, frame

    def _data(self) -> Iterator[_Cells]:
        """The rows of data; one of another width than the first row has a problem."""
        width = len(self.columns)
        for row in islice(self._rows(), int(self.named), None):
            if row[2] is None and len(row[1]) != width:
                line, cells, _, stop = row
                empty = " (an empty line)" if cells == [""] else ""
                row = line, cells, f"expected {number_of(width, 'column')}, found {len(cells)}{empty}", stop
            yield row

    def _rows(self) -> Generator[_Cells, None, None]:
        """All rows of the file, the first one included; empty lines at the end of the file left out."""
        blank: list[_Cells] = []
        rows = self._quoted_rows() if self.dialect.quoted else self._plain_rows()
        for row in islice(rows, self.dialect.skip, None):
            if row[1] == [""] and row[2] is None:
                blank.append(row)
                continue
            if blank:
                yield from blank
                blank.clear()
            yield row

    def _plain_rows(self) -> Iterator[_Cells]:
        separator, escaped = self.dialect.separator, self.dialect.escaped
        for number, text, error, stop in read_lines(self.path):
            cells: list[Any] = [*text.split(separator)]
            if escaped:
                if text == r"\.":  # the mark of COPY for the end
                    return
                cells = [*map(unescaped, text.split(separator))]
            yield number, cells, error, stop

    def _quoted_rows(self) -> Iterator[_Cells]:
        limit = csv.field_size_limit(2 * files.MAX_LINE_BYTES)  # the limit below comes first, with a place
        try:
            yield from _csv_rows(self.path, self.dialect.separator)
        finally:
            csv.field_size_limit(limit)


def _decimal_commas(cells: Sequence[str | None]) -> bool:
    """Whether a column consists of numbers with a decimal comma: not where all commas may be between thousands."""
    filled = [str(cell) for cell in cells if (cell or "").strip().lower() not in _HOLES]
    if all(THOUSANDS.fullmatch(cell.strip()) for cell in filled if "," in cell):
        return False
    european = re.compile(EUROPEAN)
    return all(european.search(cell) for cell in filled)


def _grouped(cells: Sequence[str | None]) -> bool:
    """Whether a column without commas consists of whole numbers, some of them with points between thousands."""
    filled = [str(cell) for cell in cells if (cell or "").strip().lower() not in _HOLES]
    european = re.compile(EUROPEAN)
    return any("." in cell for cell in filled) and all(european.search(cell) for cell in filled)


def _csv_rows(path: Path, separator: str) -> Generator[_Cells, None, None]:
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

    reader = csv.reader(lines(), delimiter=separator, strict=True)
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
        problem = bad[0].error if bad else None
        if bad and bad[0].number > begin:
            problem = f"{problem} (line {bad[0].number})"
        yield begin, row or [""], problem, last.stop


def _problem(message: str) -> str:
    if "unexpected end of data" in message:
        return "the quote opened here is never closed"
    if "expected after" in message:
        return "text after a closing quote; a quote inside quotes is written twice"
    if "new-line character" in message:
        return "a carriage return outside quotes"
    return message


def tsv_bytes(columns: Mapping[str, Sequence[str]]) -> bytes:
    """A TSV file of the columns, quoted only where it would be read otherwise than it is.

    Raises:
        ValueError: "row 7 contains a tab or a line break, which TSV cannot store".
    """
    rows = [tuple(columns), *zip(*columns.values(), strict=True)]
    for number, row in enumerate(rows):
        if any("\t" in cell or "\n" in cell for cell in row) or row[-1].endswith("\r"):
            raise ValueError(f"row {number} contains a tab or a line break, which TSV cannot store")
    lines = ["\t".join(row) for row in rows]
    if not is_plain(lines):
        buffer = io.StringIO()
        csv.writer(buffer, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
        return buffer.getvalue().encode()
    return "".join(f"{line}\n" for line in lines).encode()


def csv_bytes(columns: Mapping[str, Sequence[str]]) -> bytes:
    """A CSV file of the columns; ValueError where a cell contains what this module's CSV cannot store."""
    for number, row in enumerate(zip(*columns.values(), strict=True), 1):
        if any("\r\n" in cell for cell in row):
            raise ValueError(f"row {number} contains a line break of two characters, which CSV cannot store")
    buffer = io.StringIO()
    csv.writer(buffer).writerows([tuple(columns), *zip(*columns.values(), strict=True)])
    return buffer.getvalue().encode()
