"""Tables of time series: CSV, TSV or parquet, one column a channel or one row a series and time.

The result is checked cell by cell: a number, or a hole that the file marks as one. Whether holes and uneven times
may be filled is decided afterwards (`data.series`), and so every row keeps the line that it came from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, final

import numpy as np

from sightline.core.errors import InputError
from sightline.data.rows.formats import Form, open_rows
from sightline.data.rows.index import index_columns, index_notes
from sightline.data.rows.record import Rows
from sightline.data.series.times import BadTime, Stamps, is_time, short, stamps_of

if TYPE_CHECKING:
    import polars

TIME_NAMES = ("time", "date", "datetime", "timestamp", "ds", "period", "month", "day", "hour", "year")
_PART_NAMES = TIME_NAMES[-4:]  # a column named so may be a number for the calendar, beside the times
SERIES_FORMS: tuple[Form, ...] = ("delimited", "columns")  # of tables of series
HOLES = ("", "nan", "na", "n/a", "null", "none", "-")  # how files write that a value is missing, in any case
LARGEST = float(np.finfo(np.float32).max)  # of a value; models compute in float32
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+([.][0-9]*)?")
_CHOOSE = "correct it, or name the columns to forecast (--targets) or that of the series' names (--series-column)"
_DATE = re.compile(r"\d{4}-\d{2}")


@final
@dataclass(frozen=True)
class SeriesColumns:
    """The roles of a table's columns.

    time: the column of times; None = the only one of type datetime, else the one named time, date, datetime, timestamp,
        ds, …, or the first that contains times in ISO 8601, or the first that is free
    series: in a long table, the column that says which series a row belongs to; None = a wide table, one series
    targets: the columns to forecast; () = all that have no other role
    past: covariates that are known up to now, such as a measured temperature
    known: covariates whose future is known, such as a holiday or a price that is set
    time_format: the form of the times as strptime spells it, such as %d/%m/%Y; None = see `stamps_of`
    time_zone: the zone of times that name no offset, or whose offsets change, such as Europe/Berlin
    missing: numbers that mark a missing value, such as -9999
    """

    time: str | None = None
    series: str | None = None
    targets: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    time_format: str | None = None
    time_zone: str | None = None
    missing: tuple[float, ...] = ()


class SeriesTable(NamedTuple):
    """A table's rows in the order of the file.

    lines: (N,) the line that each row begins on; a row's number in parquet
    names: (N,) object, the series that each row belongs to; "" in a wide table
    every: the step, where the file names it
    values: (N, C) float64, the columns `channels`: targets, then past covariates, then known ones; NaN = a hole
    """

    path: str
    time_column: str
    lines: np.ndarray
    stamps: Stamps
    names: np.ndarray
    values: np.ndarray
    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]
    notes: tuple[str, ...] = ()
    every: str | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the columns of `values`."""
        return self.targets + self.past + self.known

    def place(self, row: int) -> str:
        """The place of a row, for messages."""
        return f"{self.path}:{self.lines[row]}"


def read_series_table(path: Path, columns: SeriesColumns) -> SeriesTable:
    """Read one file, whose name says its format.

    Raises:
        InputError: "load.csv:17: the cell of 'OT' is not a number: '12,5'", "load.csv:1: no column 'dat' for the time,
            did you mean 'date'?", "load.csv:9: 'soon' is not a time: write times as …" and the like.
    """
    import polars as pl

    rows = open_rows(path, SERIES_FORMS)
    if rows.without_header() is not rows and (all(map(_is_number, rows.columns)) or _DATE.match(rows.columns[0])):
        raise InputError("expected a header with the names of the columns, found data", where=rows.where)
    roles = _roles(rows, columns)
    rows.require(roles.channels, "numbers")
    rows.require([roles.time], "times")
    own = [*roles.channels, roles.time, *([] if roles.series is None else [roles.series])]
    lines, times, names, values = [], [], [], []
    for numbers, frame in rows.frames(own):
        values.append(numbers_of(frame, roles.channels, path, numbers, columns.missing, _CHOOSE))
        lines.append(np.asarray(numbers, dtype=np.int64))
        times.append(frame[roles.time])
        names.append(_names(frame, roles.series, path, numbers))
    if not lines:
        raise InputError("has a header but no rows", where=path)
    line = np.concatenate(lines)
    try:
        stamps = stamps_of(pl.concat(times), columns.time_format, columns.time_zone)
    except BadTime as error:
        raise InputError(str(error), where=f"{path}:{line[error.row]}") from None
    return SeriesTable(
        str(path), roles.time, line, stamps, np.concatenate(names), np.concatenate(values),
        roles.targets, roles.past, roles.known, tuple(roles.notes),
    )  # fmt: skip


class _Roles(NamedTuple):
    """The columns by role."""

    time: str
    series: str | None
    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]
    notes: list[str]

    @property
    def channels(self) -> tuple[str, ...]:
        return self.targets + self.past + self.known


def _roles(rows: Rows, columns: SeriesColumns) -> _Roles:
    """The role of each column that has one; each must exist once."""
    header = rows.columns
    if len(header) < 2:
        raise InputError("expected at least a column of times and one of values, found 1 column", where=rows.where)
    index = index_columns(rows)
    time = columns.time or _time_column(rows, columns, index)
    named = [("time", time), ("series", columns.series)]
    for role, names in (("target", columns.targets), ("past", columns.past), ("known", columns.known)):
        named += [(role, name) for name in names]
    taken: dict[str, str] = {}
    for role, name in named:
        if name is None:
            continue
        if name in taken:
            raise InputError(f"the column {name!r} cannot be {taken[name]} and {role} at once", where=rows.where)
        taken[rows.column(name, role)] = role
    index = tuple(name for name in index if name not in taken)
    targets = columns.targets or tuple(rows.column(name) for name in header if name not in (*taken, *index))
    if not targets:
        raise InputError("no column is left to forecast", where=rows.where)
    notes = [*rows.notes, *([] if columns.targets else index_notes(index))]
    return _Roles(time, columns.series, targets, columns.past, columns.known, notes)


def _time_column(rows: Rows, columns: SeriesColumns, index: Sequence[str]) -> str:
    """The column of times where none is named; a column that only numbers the rows is the last choice."""
    others = {columns.series, *columns.targets, *columns.past, *columns.known}
    free = [name for name in rows.columns if name not in others] or list(rows.columns)
    first = next(iter(rows.records(free)), None)
    cells = first.cells if first else {}
    typed = [name for name in free if not isinstance(cells.get(name), str) and is_time(cells.get(name))]
    if len(typed) == 1:
        return typed[0]
    plain = [name for name in free if is_time(cells.get(name))]
    named = [name for name in free if name.lower() in TIME_NAMES]
    whole = [name for name in named if name.lower() not in _PART_NAMES]
    return next(iter([*(name for name in named if name in plain), *whole, *plain, *named, *free]))


def numbers_of(
    frame: polars.DataFrame,
    columns: Sequence[str],
    path: Path,
    lines: Sequence[int],
    missing: Sequence[float],
    way: str = "correct it",
) -> np.ndarray:
    """The values (N, C) of the columns, NaN for a hole; the first cell that is neither raises, with the way out."""
    import polars as pl

    values, worst = [], None
    for name in columns:
        cells = frame[name]
        hole = cells.is_null()
        if cells.dtype == pl.String:
            cells = cells.str.strip_chars()
            hole |= cells.str.to_lowercase().is_in(HOLES).fill_null(False)
        numbers = cells.cast(pl.Float64, strict=False)
        if missing:
            hole |= numbers.is_in(list(missing)).fill_null(False)
            numbers = numbers.set(hole, None)
        wrong = (numbers.is_null() & ~hole) | (numbers.fill_nan(None).abs() > LARGEST).fill_null(False)
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            if worst is None or row < worst[0]:
                worst = (row, name, _unfit(cells[row], numbers[row], way))
        values.append(numbers.fill_null(float("nan")).to_numpy())
    if worst is not None:
        row, name, problem = worst
        raise InputError(f"the cell of {name!r} {problem}", where=f"{path}:{lines[row]}")
    return np.stack(values, 1)


def _unfit(cell: object, number: float | None, way: str) -> str:
    if number is None:
        way = "write it without commas between thousands" if _THOUSANDS.fullmatch(str(cell)) else way
        return f"is not a number: {short(str(cell))}: {way}"
    if np.isinf(number):
        return "is infinite: correct it, or leave it empty and fill it (--fill)"
    return f"is {number:g}, beyond the largest number of float32, {LARGEST:.1e}"


def _names(frame: polars.DataFrame, column: str | None, path: Path, lines: Sequence[int]) -> np.ndarray:
    """The series (N,) that each row belongs to; "" without a column of them."""
    import polars as pl

    if column is None:
        return np.full(len(frame), "", dtype=object)
    names = frame[column].cast(pl.String).str.strip_chars().fill_null("")
    if (names == "").any():
        raise InputError(f"the cell of {column!r} is empty", where=f"{path}:{lines[int((names == '').arg_max() or 0)]}")
    return np.array(names.to_list(), dtype=object)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in HOLES
