"""Series on one even grid of times, from which windows are cut.

A table becomes a panel by rules that the user names. Without a rule a hole, a gap, an uneven, unsorted or repeated time
is an error with its line; with one, every change is counted in the panel's notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, NamedTuple, final

import numpy as np

from sightline.core.digits import number_of, percent
from sightline.core.errors import InputError
from sightline.data.series.grid import Grid, find_grid, parse_every
from sightline.data.series.short_ends import short_ends
from sightline.data.series.table import SeriesTable
from sightline.data.series.times import DAY, local_stamps

Resample = Literal["mean", "sum", "first", "last", "min", "max"]
Fill = Literal["forward", "linear", "zero"]
_SHOWN = 5
_SPARSE = 100  # a grid this many times longer than its rows is a slip in a time


class Series(NamedTuple):
    """One series.

    start: index on the panel's grid of its first step
    values: (T, C) float64, the values to forecast
    past: (T, P), covariates known up to now
    known: (T + F, K), covariates known ahead, F >= 0 steps beyond the values
    """

    name: str
    start: int
    values: np.ndarray
    past: np.ndarray
    known: np.ndarray

    @property
    def end(self) -> int:
        """Index on the grid of the step after the last value."""
        return self.start + len(self.values)


@final
@dataclass(frozen=True)
class Panel:
    """Series with the same columns on one grid; without holes.

    notes: the changes to the data, a line each
    time_column: the name of the times in the table
    timed: whether its times are known; otherwise its steps are those of whatever model reads it
    """

    name: str
    grid: Grid
    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]
    records: tuple[Series, ...]
    notes: tuple[str, ...] = ()
    time_column: str = "time"
    timed: bool = True

    @property
    def start(self) -> int:
        """Index on the grid of the earliest step of any series."""
        return min(record.start for record in self.records)

    @property
    def end(self) -> int:
        """Index after the last value of any series."""
        return max(record.end for record in self.records)

    def label(self, record: int, target: int) -> str:
        """The name of one column of one series."""
        series, column = self.records[record].name, self.targets[target]
        if not series:
            return column
        return series if len(self.targets) == 1 else f"{series} {column}"


@final
@dataclass(frozen=True)
class Evenness:
    """The rules by which uneven tables become even; None = a table that needs the rule is an error.

    every: the step, such as 15min, 1h, 1d, 1mo; None = the commonest distance between two times
    resample: how the rows that fall into one step become one: mean, sum, first, last, min or max
    fill: the value of a hole or a missing step: the last one ("forward"), on a straight line between its neighbours
        ("linear", which looks ahead) or zero
    """

    every: str | None = None
    resample: Resample | None = None
    fill: Fill | None = None

    def __post_init__(self) -> None:
        if self.resample is not None and self.every is None:
            raise InputError("needs the step to resample to: set --every, such as 1h", where="resample")


def make_panel(table: SeriesTable, rules: Evenness) -> Panel:
    """The table's series on one grid.

    Raises:
        InputError: "load.csv:9: the time 2016-07-01 02:00:00 is in line 8 already", "load.csv:9: … comes after …:
            sort the rows by time", "load.csv:9: … is not on the grid of 1h: …", "load.csv:9: 3 steps of 1h are missing
            before 2016-07-01 05:00:00: …", "load.csv:9: the cell of 'OT' is empty: …".
    """
    names, code = _codes(table.names)
    table = _by_days(table, rules)
    stamps = table.stamps.values
    order = np.lexsort((stamps, code)) if rules.resample else np.argsort(code, kind="stable")
    breaks = np.diff(code[order], prepend=-1) != 0
    if rules.resample is None:
        _check_order(table, order, breaks)
    ordered = table.stamps._replace(values=stamps[order])
    every = rules.every or table.every
    if every is None and not (~breaks[1:] & (np.diff(ordered.values) > 0)).any():
        raise InputError(
            "no series has two times in order: set the step between them, as in --every 1h", where=table.path
        )
    grid = find_grid(ordered, breaks, every)
    notes = [*table.notes, *table.stamps.notes]
    if rules.resample is None:
        index = grid.index(ordered.values)
        _check_even(table, grid, order, index)
        code, values, rows = code[order], table.values[order], order
    else:
        grid = grid.aligned()
        index = grid.floor(ordered.values)
        short = short_ends(grid, names, code[order], index)
        code, index, values, rows = _resampled(code[order], index, table.values[order], order, rules.resample)
        notes.append(f"{number_of(len(stamps), 'row')} resampled by {rules.resample} to "
                     f"{number_of(len(index), 'step')} of {grid.every}")  # fmt: skip
        notes += short
    filler = _Filler(table, grid, rules.fill)
    ends = [*np.flatnonzero(np.diff(code, prepend=-1)).tolist(), len(code)]
    records = [
        filler.record(str(names[code[low]]), index[low:high], values[low:high], rows[low:high])
        for low, high in pairwise(ends)
    ]
    notes += filler.notes()
    columns = table.targets, table.past, table.known
    return Panel(table.path, grid, *columns, tuple(records), tuple(notes), table.time_column)


def _by_days(table: SeriesTable, rules: Evenness) -> SeriesTable:
    """The table with times of day in its zone, where rows are resampled to whole days or more."""
    if rules.resample is None or rules.every is None or table.stamps.kind == "number":
        return table
    kind, step = parse_every(rules.every, "time")
    return table._replace(stamps=local_stamps(table.stamps)) if kind != "time" or step % DAY == 0 else table


def _codes(names: np.ndarray) -> tuple[list[str], np.ndarray]:
    """The series in order of appearance, and the number (N,) of each row's."""
    number: dict[str, int] = {}
    code = np.fromiter((number.setdefault(name, len(number)) for name in names), dtype=np.int64, count=len(names))
    return list(number), code


def _of(table: SeriesTable, row: int) -> str:
    return f" of {table.names[row]!r}" if table.names[row] else ""


def _clocks(table: SeriesTable, row: int, way: str) -> str:
    """The way out, where clocks may have changed: early on a Sunday of spring or autumn, in times without a zone."""
    if table.stamps.kind == "number" or table.stamps.written.zone is not None:
        return ""
    when = np.datetime64(int(table.stamps.values[row]), "us").item()
    early = when.weekday() == 6 and 0 < when.hour <= 3 and when.month in (3, 4, 9, 10, 11)
    return f"if clocks changed there, {way}; else " if early else ""


def _check_order(table: SeriesTable, order: np.ndarray, breaks: np.ndarray) -> None:
    """Times of a series must rise from row to row."""
    stamps = table.stamps.values[order]
    step = np.diff(stamps, prepend=stamps[0] - 1)
    wrong = np.flatnonzero((step <= 0) & ~breaks)
    if not len(wrong):
        return
    first = wrong[table.lines[order[wrong]].argmin()]
    row, before = int(order[first]), int(order[first - 1])
    stamp = table.stamps.text(row)
    if step[first] == 0:
        problem = f"the time {stamp}{_of(table, row)} is in line {table.lines[before]} already: "
        several = table.words or (table.stamps.values == table.stamps.values[row]).sum() > 2
        if not table.names[row] and several:
            column = f"--series-column{''.join(f'={name}' for name in table.words[:1])}"
            problem += f"are these several series? Then set the column that distinguishes them: {column}; else "
        problem += (
            _clocks(table, row, "set the zone: --time-zone Europe/Berlin")
            + "remove one, or make one of several: --every=1h --resample=mean"
        )
    else:
        problem = f"{stamp}{_of(table, row)} comes after {table.stamps.text(before)}: sort the rows by time"
    if table.stamps.kind == "number":
        problem += f" (the times are those of {table.time_column!r}; --time-column chooses another column)"
    raise InputError(problem, where=table.place(row))


def _check_even(table: SeriesTable, grid: Grid, order: np.ndarray, index: np.ndarray) -> None:
    wrong = order[index < 0]
    if not len(wrong):
        return
    row = int(wrong[table.lines[wrong].argmin()])
    more = f" ({len(wrong):,} such rows)" if len(wrong) > 1 else ""
    raise InputError(
        f"{table.stamps.text(row)}{_of(table, row)} is not on the grid of {grid.every} from {grid.text(0)} on{more}: "
        "correct it, set the step: --every, or make the times even: --every=1h --resample=mean",
        where=table.place(row),
    )


def _resampled(
    code: np.ndarray, index: np.ndarray, values: np.ndarray, rows: np.ndarray, rule: Resample
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One row for each series and step; a step whose cells are all holes is one."""
    import polars as pl

    columns = [f"{i}" for i in range(values.shape[1])]
    frame = pl.DataFrame({"code": code, "index": index, "row": rows, **dict(zip(columns, values.T, strict=True))})
    cells = [pl.col(name).fill_nan(None).drop_nulls() for name in columns]
    # A sum of nothing is a hole, not zero.
    results = [pl.when(cell.len() > 0).then(getattr(cell, rule)()).otherwise(None).alias(name)
            for cell, name in zip(cells, columns, strict=True)]  # fmt: skip
    steps = frame.group_by("code", "index", maintain_order=True).agg(pl.col("row").first(), *results)
    numbers = steps.select(columns).cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return steps["code"].to_numpy(), steps["index"].to_numpy(), numbers, steps["row"].to_numpy()


@final
class _Filler:
    """Puts rows on the grid, and fills or refuses holes and gaps."""

    def __init__(self, table: SeriesTable, grid: Grid, rule: Fill | None) -> None:
        self.table, self.grid, self.rule = table, grid, rule
        self.filled: list[tuple[int, int]] = []  # (line, cells)
        self.cells = 0

    def record(self, name: str, index: np.ndarray, values: np.ndarray, rows: np.ndarray) -> Series:
        """One series from its rows in order of time."""
        table, start = self.table, int(index[0])
        length = int(index[-1]) - start + 1
        if length > _SPARSE * len(index) + 1000:
            self._refuse_gap(index, rows)
        whole = np.full((length, values.shape[1]), np.nan)
        whole[index - start] = values
        line = np.zeros(length, dtype=np.int64)
        line[index - start] = table.lines[rows]
        line = _next(line)
        past_at, known_at = len(table.targets), len(table.targets) + len(table.past)
        end = length
        if table.known:  # rows that only say what is known ahead
            seen = np.flatnonzero(~np.isnan(whole[:, :known_at]).all(1))
            end = int(seen[-1]) + 1 if len(seen) else 0
        if end == 0:
            raise InputError(f"no value of {', '.join(map(repr, table.targets[:3]))}", where=table.place(int(rows[0])))
        if self.rule is None and length > len(index):
            self._refuse_gap(index, rows)
        whole[:end, :known_at] = self._fill(whole[:end, :known_at], line, table.channels[:known_at])
        whole[:, known_at:] = self._fill(whole[:, known_at:], line, table.channels[known_at:])
        return Series(name, start, whole[:end, :past_at], whole[:end, past_at:known_at], whole[:, known_at:])

    def _refuse_gap(self, index: np.ndarray, rows: np.ndarray) -> None:
        gaps = np.flatnonzero(np.diff(index) > 1)
        first = int(gaps[self.table.lines[rows[gaps + 1]].argmin()])
        row, missing = int(rows[first + 1]), int(index[first + 1] - index[first]) - 1
        steps = f"{number_of(missing, 'step')} of {self.grid.every}"
        more = f" ({number_of(len(gaps) - 1, 'more gap')})" if len(gaps) > 1 else ""
        if int(index[-1] - index[0]) + 1 > 2 * len(index):  # more would be invented than is known
            ways = "check the time, the step (--every) and the format of times (--time-format)"
        elif self._only_weekends(index):
            ways = "count Monday to Friday alone: --calendar=business"
        else:
            zone = "set the zone: --time-zone Europe/Berlin"
            ways = f"{_clocks(self.table, row, zone)}fill them by --fill (forward, linear or zero)"
        raise InputError(
            f"{steps} {'are' if missing > 1 else 'is'} missing before {self.table.stamps.text(row)}"
            f"{_of(self.table, row)}{more}: {ways}",
            where=self.table.place(row),
        )

    def _only_weekends(self, index: np.ndarray) -> bool:
        """Whether steps of a day are missing on Saturdays and Sundays alone."""
        if self.grid.every != "1d":
            return False
        days = (self.grid.origin // DAY + np.arange(index[0], index[-1] + 1)).astype("M8[D]")
        return bool(np.is_busday(days[index - index[0]]).all())

    def _fill(self, values: np.ndarray, line: np.ndarray, columns: Sequence[str]) -> np.ndarray:
        """The values (T, C) without holes."""
        holes = np.isnan(values)
        self.cells += holes.size
        if not holes.any():
            return values
        at = np.argwhere(holes)
        first = at[line[at[:, 0]].argmin()]
        where = f"{self.table.path}:{line[first[0]]}"
        if self.rule is None:
            more = f" ({len(at):,} such cells)" if len(at) > 1 else ""
            raise InputError(
                f"the cell of {columns[first[1]]!r} is empty{more}: fill them by --fill (forward, linear or zero)",
                where=where,
            )
        steps = np.arange(len(values))
        for column in np.flatnonzero(holes.any(0)).tolist():
            real = ~holes[:, column]
            if self.rule != "zero" and not real[0]:
                self._refuse_end(columns[column], int(line[0]), "before")
            if self.rule == "linear" and not real[-1]:
                self._refuse_end(columns[column], int(line[-1]), "after")
            if self.rule == "zero":
                values[~real, column] = 0.0
            elif self.rule == "linear":
                values[:, column] = np.interp(steps, steps[real], values[real, column])
            else:
                values[:, column] = values[np.maximum.accumulate(np.where(real, steps, 0)), column]
        lines, counts = np.unique(line[at[:, 0]], return_counts=True)
        self.filled += zip(lines.tolist(), counts.tolist(), strict=True)
        return values

    def _refuse_end(self, column: str, line: int, side: str) -> None:
        raise InputError(
            f"{self.rule} cannot fill the cell of {column!r}: no value comes {side} it; cut the row off, or fill by "
            f"{'zero' if side == 'before' else 'forward'}",
            where=f"{self.table.path}:{line}",
        )

    def notes(self) -> list[str]:
        """Notes on filled cells, with the first lines."""
        if not self.filled:
            return []
        cells = sum(count for _, count in self.filled)
        share = f", {percent(cells / self.cells)} of all" if cells > self.cells / 2 else ""
        lines = sorted({line for line, _ in self.filled})
        shown = ", ".join(map(str, lines[:_SHOWN])) + (", …" if len(lines) > _SHOWN else "")
        places = f"line{'s' * (len(lines) > 1)} {shown}"
        return [f"{number_of(cells, 'missing cell')} filled by {self.rule} (at or before {places}){share}"]


def _next(line: np.ndarray) -> np.ndarray:
    """Each step's line, or that of the next row where the step (0) has none."""
    places = np.where(line > 0, np.arange(len(line)), len(line) - 1)
    return line[np.minimum.accumulate(places[::-1])[::-1]]


def cut(panel: Panel, end: int) -> Panel:
    """The panel's values before `end` on its grid; covariates known ahead stay."""
    records = [
        record._replace(values=record.values[: end - record.start], past=record.past[: end - record.start])
        for record in panel.records
        if record.start < end
    ]
    return replace(panel, records=tuple(records))
