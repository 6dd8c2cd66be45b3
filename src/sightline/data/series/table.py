"""Tables of time series: CSV, TSV or parquet, one column a channel or one row a series and time.

The result is checked cell by cell: a number, or a hole that the file marks as one. Whether holes and uneven times
may be filled is decided afterwards (`data.series`), and so every row keeps the line that it came from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sightline.core.errors import InputError
from sightline.data.rows.formats import Form, open_rows
from sightline.data.rows.numbers import THOUSANDS, WITHOUT_COMMAS
from sightline.data.series.advice import short
from sightline.data.series.roles import SeriesColumns, roles_of
from sightline.data.series.times import BadTime, Stamps, stamps_of

if TYPE_CHECKING:
    import polars

SERIES_FORMS: tuple[Form, ...] = ("delimited", "columns")  # of tables of series
HOLES = ("", "nan", "na", "n/a", "null", "none", "-")  # how files write that a value is missing, in any case
LARGEST = float(np.finfo(np.float32).max)  # of a value; models compute in float32
_CHOOSE = "correct it, or set the columns to forecast (--targets) or the column of series names (--series-column)"
_DATE = re.compile(r"\d{4}-\d{2}")


class SeriesTable(NamedTuple):
    """A table's rows in the order of the file.

    lines: (N,) the line that each row begins on; a row's number in parquet
    words: columns that are left out, since they contain no numbers
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
    words: tuple[str, ...] = ()

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
    roles = roles_of(rows, columns)
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
        stamps = stamps_of(pl.concat(times), columns.time_format, columns.time_zone, np.concatenate(names))
    except BadTime as error:
        raise InputError(str(error), where=f"{path}:{line[error.row]}") from None
    return SeriesTable(
        str(path), roles.time, line, stamps, np.concatenate(names), np.concatenate(values),
        roles.targets, roles.past, roles.known, tuple(roles.notes), words=roles.words,
    )  # fmt: skip


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
            marks = pl.Series(missing, dtype=pl.Float64)
            if cells.dtype.is_float():  # -99.99 of a column of float32 is another number in float64
                marks = marks.cast(cells.dtype).cast(pl.Float64)
            hole |= numbers.is_in(marks.implode()).fill_null(False)
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
        way = WITHOUT_COMMAS if THOUSANDS.fullmatch(str(cell)) else way
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
