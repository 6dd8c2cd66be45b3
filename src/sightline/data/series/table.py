"""Tables of time series as users have them: CSV, TSV or parquet, one column a channel or one row a series and time.

What comes out is checked cell by cell: a number, or a hole that the file marks as one. Whether holes and uneven times
may be filled is decided afterwards (`data.series`), and so every row keeps the line that it came from.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sightline.core.config import nearest
from sightline.core.errors import InputError
from sightline.data.pairs.table import csv_rows, no_panic_traces
from sightline.data.rows.files import MAX_LINE_BYTES, check_expansion, check_file, read_lines, read_whole
from sightline.data.series.times import BadTime, Stamps, parse_times

if TYPE_CHECKING:
    import polars

TIME_NAMES = ("time", "date", "datetime", "timestamp", "ds", "period", "month", "day", "hour", "year")
HOLES = ("", "nan", "na", "n/a", "null", "none", "-")  # how files write that a value is missing, in any case
_DATE = re.compile(r"\d{4}-\d{2}")
_CHUNK = 4096  # rows that are text at one time

Row = tuple[int, list[str], str | None]


@dataclass(frozen=True)
class SeriesColumns:
    """What the columns of a table are.

    time: the column of times; None = the one named time, date, datetime, timestamp, ds, …, or the first that is free
    series: in a long table, the column that says which series a row belongs to; None = a wide table, one series
    targets: the columns to forecast; () = all that are nothing else
    past: covariates that are known up to now, such as a measured temperature
    known: covariates whose future is known, such as a holiday or a price that is set
    time_format: the form of the times as strptime spells it, such as %d/%m/%Y; None = ISO 8601 or whole numbers
    """

    time: str | None = None
    series: str | None = None
    targets: tuple[str, ...] = ()
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    time_format: str | None = None


class SeriesTable(NamedTuple):
    """A table's rows in the order of the file.

    lines: (N,) the line that each row begins on; a row's number in parquet
    names: (N,) object, the series that each row belongs to; "" in a wide table
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

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the columns of `values`."""
        return self.targets + self.past + self.known

    def place(self, row: int) -> str:
        """Where a row stands, for messages."""
        return f"{self.path}:{self.lines[row]}"


def read_series_table(path: Path, columns: SeriesColumns) -> SeriesTable:
    """Read one file, whose name says its format.

    Raises:
        InputError: "load.csv:17: the cell of 'OT' is no number: '12,5'", "load.csv:1: no column 'dat' for the time: did
            you mean 'date'?", "load.csv:9: 'soon' is no time: write times as …" and the like.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
    if kind == ".parquet":
        return _from_parquet(path, columns)
    if kind not in (".csv", ".tsv"):
        check_file(path)
        raise InputError(
            f"unknown format {kind!r}: a table of series must end in .csv, .tsv or .parquet (or one of these and .gz)",
            where=path,
        )
    if kind == ".tsv":
        return _from_rows(path, columns, ((n, text.split("\t"), error) for n, text, error in read_lines(path)))
    limit = csv.field_size_limit(2 * MAX_LINE_BYTES)  # csv_rows has its own, with a place
    try:
        return _from_rows(path, columns, csv_rows(path))
    finally:
        csv.field_size_limit(limit)


class _Roles(NamedTuple):
    """The columns by what they are."""

    time: str
    series: str | None
    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]

    @property
    def channels(self) -> tuple[str, ...]:
        return self.targets + self.past + self.known


def _roles(header: Sequence[str], columns: SeriesColumns, where: str) -> _Roles:
    """Which column is what, once each is known to be there, and once."""
    if len(header) < 2:
        raise InputError("expected a column of times and one of values at least, found 1 column", where=where)
    time = columns.time
    if time is None:
        others = {columns.series, *columns.targets, *columns.past, *columns.known}
        free = [name for name in header if name not in others]
        time = next((name for name in free if name.lower() in TIME_NAMES), (free or header)[0])
    wanted = [("time", time), ("series", columns.series)]
    for role, names in (("target", columns.targets), ("past", columns.past), ("known", columns.known)):
        wanted += [(role, name) for name in names]
    taken: dict[str, str] = {}
    for role, name in wanted:
        if name is None:
            continue
        if name not in header:
            near = nearest(name, header, 0.5)
            hint = f"did you mean {near!r}?" if near else f"there are {', '.join(map(repr, header[:20]))}"
            raise InputError(f"no column {name!r} for the {role}: {hint}", where=where)
        if name in taken:
            raise InputError(f"the column {name!r} cannot be {taken[name]} and {role} at once", where=where)
        taken[name] = role
    targets = columns.targets or tuple(name for name in header if name not in taken)
    if not targets:
        raise InputError("no column is left to forecast", where=where)
    for name in (*taken, *targets):
        if header.count(name) > 1:
            raise InputError(f"two columns are named {name!r}", where=where)
    return _Roles(time, columns.series, targets, columns.past, columns.known)


def _from_rows(path: Path, columns: SeriesColumns, rows: Iterable[Row]) -> SeriesTable:
    """A table of text cells with a header."""
    rows = iter(rows)
    begin, header, problem = next(rows)
    if problem:
        raise InputError(problem, where=f"{path}:{begin}")
    header = [name.strip() for name in header]
    if all(map(_is_number, header)) or _DATE.match(header[0]):
        raise InputError("expected a header with the names of the columns, found data", where=f"{path}:{begin}")
    roles = _roles(header, columns, f"{path}:{begin}")
    places = {name: header.index(name) for name in (*roles.channels, roles.time, *_maybe(roles.series))}
    lines: list[int] = []
    times: list[str] = []
    names: list[str] = []
    values: list[np.ndarray] = []
    while chunk := list(islice(_checked(rows, len(header), path), _CHUNK)):
        lines += [number for number, _ in chunk]
        times += [cells[places[roles.time]] for _, cells in chunk]
        if roles.series is not None:
            names += [cells[places[roles.series]].strip() for _, cells in chunk]
        values.append(_numbers(chunk, [(name, places[name]) for name in roles.channels], path))
    if not lines:
        raise InputError("has a header but no rows", where=path)
    return _table(path, roles, columns, lines, times, names or None, np.concatenate(values))


def _maybe(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _checked(rows: Iterator[Row], width: int, path: Path) -> Iterator[tuple[int, list[str]]]:
    for number, cells, problem in rows:
        if problem:
            raise InputError(problem, where=f"{path}:{number}")
        if len(cells) != width:
            empty = " (an empty line)" if cells == [""] else ""
            raise InputError(f"expected {width} columns, found {len(cells)}{empty}", where=f"{path}:{number}")
        yield number, cells


def _numbers(chunk: Sequence[tuple[int, list[str]]], columns: Sequence[tuple[str, int]], path: Path) -> np.ndarray:
    """The values (N, C) of the columns, NaN for a hole; the first cell that is neither raises."""
    import polars as pl

    found, worst = [], None
    for name, place in columns:
        cells = pl.Series([row[place] for _, row in chunk], dtype=pl.String).str.strip_chars()
        numbers = cells.cast(pl.Float64, strict=False)
        hole = cells.str.to_lowercase().is_in(HOLES)
        wrong = (numbers.is_null() & ~hole) | numbers.is_infinite().fill_null(False)
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            if worst is None or row < worst[0]:
                infinite = numbers[row] is not None
                worst = (row, name, "is infinite" if infinite else f"is no number: {_short(cells[row])}")
        found.append(numbers.fill_null(float("nan")).to_numpy())
    if worst is not None:
        row, name, problem = worst
        raise InputError(f"the cell of {name!r} {problem}", where=f"{path}:{chunk[row][0]}")
    return np.stack(found, 1)


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:39] + "…")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.lower() not in HOLES


def _table(
    path: Path,
    roles: _Roles,
    columns: SeriesColumns,
    lines: Sequence[int],
    times: Sequence[str],
    names: Sequence[str] | None,
    values: np.ndarray,
) -> SeriesTable:
    import polars as pl

    try:
        stamps = parse_times(pl.Series(times, dtype=pl.String), columns.time_format)
    except BadTime as error:
        raise InputError(str(error), where=f"{path}:{lines[error.row]}") from None
    if names is not None and "" in names:
        raise InputError(f"the cell of {roles.series!r} is empty", where=f"{path}:{lines[names.index('')]}")
    return SeriesTable(
        str(path),
        roles.time,
        np.asarray(lines, dtype=np.int64),
        stamps,
        np.array(names if names is not None else [""] * len(lines), dtype=object),
        values,
        roles.targets,
        roles.past,
        roles.known,
    )


def _from_parquet(path: Path, columns: SeriesColumns) -> SeriesTable:
    """Row numbers stand where other formats have lines."""
    import polars as pl

    check_file(path)
    content = io.BytesIO(read_whole(path)) if path.suffix.lower() == ".gz" else path
    try:
        with no_panic_traces():
            lazy = pl.scan_parquet(content)
            schema = lazy.collect_schema()
            roles = _roles(schema.names(), columns, str(path))
            wanted = [*roles.channels, roles.time, *_maybe(roles.series)]
            rows = lazy.select(pl.len()).collect().item()
            check_expansion(8 * rows * len(wanted), path.stat().st_size, path)
            frame = lazy.select(wanted).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(f"broken parquet: {' '.join(str(error).split())[:200]}", where=path) from None
    if not rows:
        raise InputError("has a header but no rows", where=path)
    lines = np.arange(1, rows + 1)
    values = np.stack([_parquet_numbers(frame[name], path) for name in roles.channels], 1)
    names = None
    if roles.series is not None:
        ids = frame[roles.series].cast(pl.String, strict=False)
        if ids.null_count():
            row = int(ids.is_null().arg_max() or 0)
            raise InputError(f"the cell of {roles.series!r} is empty", where=f"{path}:{row + 1}")
        names = ids.to_list()
    time = frame[roles.time]
    if time.null_count():
        raise InputError("an empty time", where=f"{path}:{int(time.is_null().arg_max() or 0) + 1}")
    if time.dtype == pl.String:
        return _table(path, roles, columns, lines.tolist(), time.to_list(), names, values)
    return SeriesTable(
        str(path), roles.time, lines, _parquet_times(time, path), np.array(names or [""] * rows, dtype=object), values,
        roles.targets, roles.past, roles.known,
    )  # fmt: skip


def _parquet_numbers(column: polars.Series, path: Path) -> np.ndarray:
    import polars as pl

    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)):
        raise InputError(f"the column {column.name!r} must hold numbers, found {column.dtype}", where=path)
    numbers = column.cast(pl.Float64)
    infinite = numbers.is_infinite().fill_null(False)
    if infinite.any():
        row = int(infinite.arg_max() or 0)
        raise InputError(f"the cell of {column.name!r} is infinite", where=f"{path}:{row + 1}")
    return numbers.fill_null(float("nan")).to_numpy()


def _parquet_times(column: polars.Series, path: Path) -> Stamps:
    """Times with a zone are told in UTC, as parquet keeps them."""
    import polars as pl

    if column.dtype.is_integer():
        return Stamps(column.cast(pl.Int64).to_numpy(), "number")
    if column.dtype == pl.Date:
        return Stamps(column.cast(pl.Datetime("us")).to_physical().to_numpy(), "time", None, True)
    if isinstance(column.dtype, pl.Datetime):
        zoned = column.dtype.time_zone is not None
        return Stamps(column.dt.cast_time_unit("us").to_physical().to_numpy(), "time", 0 if zoned else None)
    raise InputError(f"the column {column.name!r} must hold times, found {column.dtype}", where=path)
