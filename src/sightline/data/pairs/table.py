"""Tables of (source, target) pairs in the formats that users have: TSV, CSV, JSON Lines, parquet, parallel text.

TSV and parallel text: a row is a line, and a quote is a character. CSV: RFC 4180, line breaks inside quotes included.
Reading is strict; with `skip_bad` a bad row is counted instead, and every other complaint still raises.
"""

from __future__ import annotations

import csv
import io
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sightline.core.errors import InputError
from sightline.data.rows.files import MAX_LINE_BYTES, Line, check_expansion, check_file, read_lines, read_whole
from sightline.data.rows.json_lines import json_object, string, under

if TYPE_CHECKING:
    import polars

_SHOWN = 5
_VIEW_BYTES = 16  # what a cell takes in memory before its text


class Pairs(NamedTuple):
    """Texts and what they should become, in step."""

    sources: list[str]
    targets: list[str]


class Columns(NamedTuple):
    """The columns of source and target; both None = `source` and `target`, or the first two without a header."""

    source: str | None = None
    target: str | None = None


@dataclass
class Table:
    """Pairs with the line that each begins on, and the rows that were skipped."""

    name: str
    skip_bad: bool = False
    pairs: Pairs = field(default_factory=lambda: Pairs([], []))
    lines: array[int] = field(default_factory=lambda: array("q"))
    skipped: int = 0
    complaints: list[str] = field(default_factory=list)

    def add(self, line: int, source: str, target: str) -> None:
        """Take a row, unless one of its texts is empty or holds what no text file can hold."""
        for side, text in (("source", source), ("target", target)):
            if not text or text.isspace():
                return self.refuse(line, f"the {side} is empty")
            if "\0" in text:
                return self.refuse(line, f"NUL in the {side}")
        self.pairs.sources.append(source)
        self.pairs.targets.append(target)
        self.lines.append(line)
        return None

    def refuse(self, line: int, problem: str) -> None:
        """Raise for a bad row, or count it."""
        error = InputError(problem, where=f"{self.name}:{line}")
        if not self.skip_bad:
            raise error
        self.skipped += 1
        if len(self.complaints) < _SHOWN:
            self.complaints.append(str(error))

    def finished(self, header: bool = False) -> Table:
        """This table, once it is known to hold something."""
        if not self.pairs.sources:
            if self.skipped:
                raise InputError(f"no good row: {self.skipped} bad ones, first {self.complaints[0]}", where=self.name)
            raise InputError("has a header but no rows" if header else "is empty", where=self.name)
        return self


def read_table(path: Path, columns: Columns, skip_bad: bool) -> Table:
    """Read one file, whose name says its format."""
    kind = suffix_of(path)
    reader = _READERS.get(kind)
    if reader is None:
        hint = "; two parallel text files are given as a,b" if kind in (".txt", "") else ""
        raise unknown_format(path, _READERS, hint)
    return reader(path, columns, skip_bad)


def suffix_of(path: Path) -> str:
    """The suffix that names a file's format, that before `.gz` where there is one; "" without any."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else suffixes[-1] if suffixes else ""


def unknown_format(path: Path, known: Iterable[str], hint: str = "") -> InputError:
    """The error that a file's name ends in none of the `known` suffixes; raises where it is not even a file."""
    check_file(path)
    return InputError(
        f"unknown format {suffix_of(path)!r}: the name must end in {', '.join(known)} (or one of these and .gz){hint}",
        where=path,
    )


def read_parallel(source: Path, target: Path, skip_bad: bool) -> Table:
    """Two text files, line i of the one paired with line i of the other.

    Raises:
        InputError: "train.de, train.en: 29000 lines against 28999".
    """
    table = Table(f"{source},{target}", skip_bad)
    left_count = right_count = 0
    for left, right in zip_longest(read_lines(source), read_lines(target)):
        left_count += left is not None
        right_count += right is not None
        if left is None or right is None:
            continue
        bad = next(((path, line) for path, line in ((source, left), (target, right)) if line.error), None)
        if bad:
            _refuse_line(table, bad[0], bad[1])
        elif not left.text or left.text.isspace():
            _refuse_line(table, source, left._replace(error="the line is empty"))
        elif not right.text or right.text.isspace():
            _refuse_line(table, target, right._replace(error="the line is empty"))
        else:
            table.add(left.number, left.text, right.text)
    if left_count != right_count:
        raise InputError(f"{left_count} lines against {right_count}", where=f"{source}, {target}")
    return table.finished()


def _refuse_line(table: Table, path: Path, line: Line) -> None:
    name, table.name = table.name, str(path)
    table.refuse(line.number, line.error or "")
    table.name = name


def _read_tsv(path: Path, columns: Columns, skip_bad: bool) -> Table:
    table = Table(str(path), skip_bad)
    return _read_rows(table, columns, ((line.number, line.text.split("\t"), line.error) for line in read_lines(path)))


def _read_csv(path: Path, columns: Columns, skip_bad: bool) -> Table:
    return _read_rows(Table(str(path), skip_bad), columns, csv_rows(path))


def csv_rows(path: Path) -> Iterator[tuple[int, list[str], str | None]]:
    """Rows of a CSV file with the line that each begins on, and what is wrong with it."""
    limit = csv.field_size_limit(2 * MAX_LINE_BYTES)  # there is one below, with a place
    try:
        yield from _csv_rows(path)
    finally:
        csv.field_size_limit(limit)


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str], str | None]]:
    bad: list[Line] = []
    begin, last, held = 1, 0, 0

    def physical() -> Iterator[str]:
        nonlocal last, held
        for line in read_lines(path):
            last = line.number
            held += len(line.text)
            if held > MAX_LINE_BYTES:
                raise InputError(
                    f"a quoted field is longer than {MAX_LINE_BYTES} characters: is its quote closed?",
                    where=f"{path}:{begin}",
                )
            if line.error:
                bad.append(line)
            yield line.text + "\n"

    reader = csv.reader(physical(), strict=True)
    while True:
        begin, held = last + 1, 0
        bad.clear()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield begin, [], _csv_problem(str(error))
            continue
        yield begin, row or [""], f"{bad[0].error} (line {bad[0].number})" if bad else None


def _csv_problem(message: str) -> str:
    if "unexpected end of data" in message:
        return "the quote opened here is never closed"
    if "expected after" in message:
        return "text after a closing quote; a quote inside quotes is written twice"
    if "new-line character" in message:
        return "a carriage return outside quotes"
    return message


def _read_rows(table: Table, columns: Columns, rows: Iterable[tuple[int, list[str], str | None]]) -> Table:
    """Rows of cells; the first one may be a header."""
    rows = iter(rows)
    begin, first, problem = next(rows)
    if problem:
        raise InputError(problem, where=f"{table.name}:{begin}")
    width = len(first)
    if width < 2:
        raise InputError("expected at least 2 columns, found 1", where=f"{table.name}:{begin}")
    places = _places(first, columns, f"{table.name}:{begin}")
    header = places is not None
    left, right = places or (0, 1)
    for number, cells, error in rows if header else chain([(begin, first, None)], rows):
        if error:
            table.refuse(number, error)
        elif len(cells) != width:
            empty = " (an empty line)" if cells == [""] else ""
            table.refuse(number, f"expected {width} columns, found {len(cells)}{empty}")
        else:
            table.add(number, cells[left], cells[right])
    return table.finished(header)


def _places(first: Sequence[str], columns: Columns, where: str) -> tuple[int, int] | None:
    """Where the header `first` has source and target; None when it is no header."""
    names = [cell.strip() for cell in first]
    if columns == Columns():
        names = [name.lower() for name in names]
        if not {"source", "target"} <= set(names):
            return None
    wanted = (columns.source or "source", columns.target or "target")
    return _place(names, wanted[0], "source", where), _place(names, wanted[1], "target", where)


def _place(names: Sequence[str], wanted: str, side: str, where: object) -> int:
    if wanted not in names:
        close = get_close_matches(wanted, names, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(map(repr, names[:20]))}"
        raise InputError(f"no column {wanted!r} for the {side}: {hint}", where=where)
    if names.count(wanted) > 1:
        raise InputError(f"two columns are named {wanted!r}", where=where)
    return names.index(wanted)


def _read_jsonl(path: Path, columns: Columns, skip_bad: bool) -> Table:
    table = Table(str(path), skip_bad)
    keys = (columns.source or "source", columns.target or "target")
    for line in read_lines(path):
        if line.error:
            table.refuse(line.number, line.error)
            continue
        try:
            row = json_object(line.text)
            source, target = (string(under(row, key), repr(key)) for key in keys)
        except ValueError as error:
            table.refuse(line.number, str(error))
        else:
            table.add(line.number, source, target)
    return table.finished()


def _read_parquet(path: Path, columns: Columns, skip_bad: bool) -> Table:
    """Row numbers stand where other formats have lines."""
    import polars as pl

    check_file(path)
    content = io.BytesIO(read_whole(path)) if path.suffix.lower() == ".gz" else path
    table = Table(str(path), skip_bad)
    wanted = (columns.source or "source", columns.target or "target")
    try:
        with no_panic_traces():
            frame = _text_columns(pl.scan_parquet(content), wanted, path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(f"broken parquet: {' '.join(str(error).split())[:200]}", where=path) from None
    for number, (source, target) in enumerate(zip(*(frame[name] for name in wanted), strict=True), 1):
        if source is None or target is None:
            table.refuse(number, f"the {'source' if source is None else 'target'} is null")
        else:
            table.add(number, source, target)
    return table.finished(header=True)


def _text_columns(lazy: polars.LazyFrame, wanted: tuple[str, str], path: Path) -> polars.DataFrame:
    """The two columns, once they are known to hold text of a bearable size."""
    import polars as pl

    schema = lazy.collect_schema()
    for name, side in zip(wanted, ("source", "target"), strict=True):
        _place(schema.names(), name, side, path)
        if schema[name] not in (pl.String, pl.Categorical, pl.Enum):
            raise InputError(f"the column {name!r} must hold strings, found {schema[name]}", where=path)
    check_expansion(_VIEW_BYTES * lazy.select(pl.len()).collect().item(), path.stat().st_size, path)
    frame = lazy.select(pl.col(name).cast(pl.String) for name in wanted).collect()
    for name in wanted:
        lengths = frame[name].str.len_bytes().fill_null(0)
        check_expansion(int(lengths.sum()), path.stat().st_size, path)
        longest = lengths.arg_max()
        if longest is not None and lengths[longest] > MAX_LINE_BYTES:
            raise InputError(f"the text is longer than {MAX_LINE_BYTES} bytes", where=f"{path}:{longest + 1}")
    return frame


@contextmanager
def no_panic_traces() -> Iterator[None]:
    """Keep a panic of the parquet decoder, raised as an exception too, from filling stderr with stack traces."""
    try:
        kept = os.dup(2)
    except OSError:  # nobody listens
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


_READERS: dict[str, Callable[[Path, Columns, bool], Table]] = {
    ".tsv": _read_tsv,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".parquet": _read_parquet,
}
