r"""How a table of delimited text is written: its separator, its quotes, its escapes. Derived from the file itself.

TSV is written in three ways that look alike. Plain: a quote is a character. As pandas, polars and spreadsheets write
it: a cell with a quote in it is quoted, the quotes inside doubled. As PostgreSQL's COPY writes it: `\N` for null,
`\t`, `\n` and `\\` for characters. A file is the second or third only if all of it can be: one quote inside a bare
cell, or one backslash that escapes nothing, shows that quotes or backslashes are characters.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple, final

from sightline.data.rows.files import TextLine, open_bytes, plain_errors, read_lines

_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SAMPLED_LINES = 300
_MOST_OPEN = 1 << 20  # characters of a quoted cell before it is clear that its quote is a character
_QUOTED = r'"[^"]*+(?:""[^"]*+)*+"'
_CELL = re.compile(rf'({_QUOTED}|[^"\t\n]*+)(\t|\Z)')
_OPEN = re.compile(rf'(?:(?:{_QUOTED}|[^"\t\n]*+)\t)*+"[^"]*+(?:""[^"]*+)*+')
_ESCAPE = re.compile(r"\\([\\bfnrtv])")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


@final
class Dialect(NamedTuple):
    """How rows become cells.

    quoted: cells may be quoted as in CSV; escaped: cells have the escapes of PostgreSQL's COPY
    skip: lines before the first row
    notes: for the user, what was derived
    """

    separator: str
    quoted: bool = False
    escaped: bool = False
    skip: int = 0
    notes: tuple[str, ...] = ()


def csv_dialect(path: Path) -> Dialect:
    """The dialect of a CSV file: of its first line `sep=;`, else the separator that gives most rows one width."""
    with closing(read_lines(path)) as lines:
        sample = [*islice(lines, _SAMPLED_LINES)]
        whole = next(lines, None) is None
    declared = re.fullmatch(r'"?sep=(.)"?', sample[0].text)
    if declared:
        return Dialect(declared[1], True, skip=1, notes=(f"cells are separated by {declared[1]!r}, as line 1 says",))
    widths = {separator: _widths(sample, separator, whole) for separator in _NAMES}
    fits = [separator for separator, own in widths.items() if own[0] > 1 and own.count(own[0]) >= 0.9 * len(own)]
    separator = "," if "," in fits or not fits else fits[0]
    if separator == "," and ";" in fits and _decimal_commas(sample):
        separator = ";"
    notes = () if separator == "," else (f"cells are separated by {_NAMES[separator]}, not by commas",)
    return Dialect(separator, True, notes=notes)


def _widths(sample: Sequence[TextLine], separator: str, whole: bool) -> list[int]:
    """The number of cells of each row of the sample; a quoted cell may be cut off at its end."""
    try:
        rows = [*csv.reader((line.text + "\n" for line in sample), delimiter=separator)]
    except csv.Error:
        return [0]
    return [len(row) for row in (rows if whole or len(rows) < 2 else rows[:-1]) if row] or [0]


def _decimal_commas(sample: Sequence[TextLine]) -> bool:
    """Whether semicolons separate cells one column of which has decimal commas."""
    _, *rows = csv.reader((line.text + "\n" for line in sample), delimiter=";")
    return any(all(re.fullmatch(r"-?\d+,\d+", cell) for cell in column) for column in zip(*filter(None, rows)))


def tsv_dialect(path: Path) -> Dialect:
    """The dialect of a TSV file, from all of it: a file without quotes and backslashes costs one quick look."""
    look = _Marks(**_marks(path))
    if look.undecided:
        with closing(read_lines(path)) as lines:
            look.through(lines)
    if look.quoted:
        return Dialect("\t", True, notes=("cells are quoted as in CSV; the quotes around them are left out",))
    notes = []
    if look.odd_quotes:
        notes.append(f"line {look.odd_quotes} has a cell in quotes; they are read as characters, as the other quotes")
    if look.escaped:
        notes.append(r"backslashes are escapes, as PostgreSQL writes them (\N is an empty cell)")
    elif look.odd_escapes:
        notes.append(f"line {look.odd_escapes} has a backslash that may be an escape; it is read as a character")
    return Dialect("\t", False, look.escaped, notes=tuple(notes))


def is_plain(rows: Iterable[str]) -> bool:
    """Whether a TSV file of these rows, without quotes and escapes, is read as it is."""
    look = _Marks(quotes=True, backslashes=True)
    look.through(iter([TextLine(number, row) for number, row in enumerate(rows, 1)]))
    return not (look.quoted or look.escaped)


def _marks(path: Path) -> dict[str, bool]:
    """Whether there are any quotes and backslashes."""
    quotes = backslashes = False
    with open_bytes(path) as stream, plain_errors(path):
        while not (quotes and backslashes) and (block := stream.read(1 << 16)):
            quotes, backslashes = quotes or b'"' in block, backslashes or b"\\" in block
    return {"quotes": quotes, "backslashes": backslashes}


@final
class _Marks:
    """The readings of quotes and backslashes in a TSV file."""

    def __init__(self, *, quotes: bool, backslashes: bool) -> None:
        self._width = self._rows = 0
        self._bare_quote, self._bare_backslash = not quotes, not backslashes  # or one of them is a character
        self._sure_quote = self._sure_escape = self._unclear = False
        self._first_quote = self._first_escape = 0  # lines
        self._in_quotes: Counter[int] = Counter()  # cells in quotes by column
        self._header_in_quotes = False

    @property
    def undecided(self) -> bool:
        """Whether it is not yet clear that quotes and backslashes are characters."""
        return not (self._bare_quote and self._bare_backslash)

    @property
    def quoted(self) -> bool:
        """Whether quotes surround cells: some that need them, the first row, or a whole column."""
        column = self._rows > 2 and max(self._in_quotes.values(), default=0) >= self._rows - 1
        likely = (self._header_in_quotes or column) and not self._unclear
        return not self._bare_quote and (self._sure_quote or likely)

    @property
    def escaped(self) -> bool:
        """Whether backslashes are escapes."""
        return not self._bare_backslash and self._sure_escape and not self.quoted

    @property
    def odd_quotes(self) -> int:
        """The line of the first cell in quotes that is read with them; 0 = none."""
        return 0 if self.quoted else self._first_quote

    @property
    def odd_escapes(self) -> int:
        """The line of the first backslash that is read as it is though all could be escapes; 0 = none."""
        return 0 if self._bare_backslash or self.escaped or self.quoted else self._first_escape

    def through(self, lines: Iterator[TextLine]) -> None:
        """Look at all lines, or until it is clear that quotes and backslashes are characters."""
        for line in lines:
            self._rows += line.text != ""
            self._width = self._width or line.text.count("\t") + 1
            if "\\" in line.text and not self._bare_backslash:
                self._escapes(line)
            if '"' in line.text and not self._bare_quote:
                self._quotes(line, lines)
            if not self.undecided:
                return

    def _escapes(self, line: TextLine) -> None:
        if line.text == r"\.":  # the mark of COPY for the end
            return
        cells = line.text.split("\t")
        null = r"\N" in cells
        rest = _ESCAPE.sub("", "".join(cell for cell in cells if cell != r"\N"))
        self._bare_backslash = "\\" in rest
        self._sure_escape |= null or r"\\" in line.text
        self._first_escape = self._first_escape or line.number

    def _quotes(self, line: TextLine, lines: Iterator[TextLine]) -> None:
        parts = [line.text]
        while _OPEN.fullmatch(text := "\n".join(parts)) and len(text) < _MOST_OPEN:
            for following in lines:
                parts.append(following.text)
                if '"' in following.text or len(parts) > _MOST_OPEN:
                    break
            else:
                self._bare_quote = True
                return
        cells = quoted_cells(text)
        if cells is None or (len(cells) != self._width and self._rows > 1):
            self._bare_quote = True
            return
        if self._rows == 1:
            self._width = len(cells)
            self._header_in_quotes = all(cell.startswith('"') for cell in cells)
        if len(parts) > 1 and all(part.count("\t") + 1 == self._width for part in parts):
            self._unclear = True  # each line is a row, too
            return
        for place, cell in enumerate(cells):
            if cell.startswith('"'):
                self._in_quotes[place] += 1
                self._first_quote = self._first_quote or line.number
                self._sure_quote |= any(mark in cell[1:-1] for mark in ('""', "\t", "\n")) or cell == '""'


def quoted_cells(text: str) -> list[str] | None:
    """The cells of a row with the quotes around them; None where a quote is not around a cell or doubled."""
    cells, place = [], 0
    while match := _CELL.match(text, place):
        cells.append(match[1])
        place = match.end()
        if not match[2]:
            return cells if place == len(text) else None
    return None


def unescaped(cell: str) -> str | None:
    r"""A cell of PostgreSQL's COPY: None for `\N`."""
    return None if cell == r"\N" else _ESCAPE.sub(lambda match: _LETTERS[match[1]], cell) if "\\" in cell else cell
