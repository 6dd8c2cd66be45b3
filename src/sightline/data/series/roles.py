"""Which column of a table of series has which role: the times, the names of series, targets and covariates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, NamedTuple, final

from sightline.core.errors import InputError
from sightline.data.rows.index import index_columns, index_notes
from sightline.data.rows.numbers import is_number, parsed
from sightline.data.rows.record import Rows
from sightline.data.series.times import is_time, whole_dates

_NAMES = ("time", "date", "datetime", "timestamp", "ds", "period", "month", "day", "hour", "year")
_PARTS = _NAMES[-4:]  # a column named so may be a number for the calendar, beside the times
_WORDS = frozenset(("time", "date", "datetime", "timestamp", "datum", "zeit", "zeitpunkt", "zeitstempel", "fecha"))
_SAMPLED_ROWS = 200
_MOSTLY = 0.9  # the share of cells that must be times, so that a slip is reported with its line
_LIKE_A_NUMBER = re.compile(r"\W*\d")  # such as 12,5 or $12: a slip, and not a column of words


@final
@dataclass(frozen=True)
class SeriesColumns:
    """The roles of a table's columns.

    time: the column of times; None = the only one of type datetime, else the one named time, date, datetime, timestamp,
        ds, …, or the first that contains times in ISO 8601 or dates as whole numbers, or one whose name says so, or the
        first whose values are in order
    series: in a long table, the column that says which series a row belongs to; None = a wide table, one series
    targets: the columns to forecast; () = all columns of numbers that have no other role
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


class Roles(NamedTuple):
    """The columns by role.

    words: columns without numbers, which have no role
    """

    time: str
    series: str | None
    targets: tuple[str, ...]
    past: tuple[str, ...]
    known: tuple[str, ...]
    words: tuple[str, ...]
    notes: list[str]

    @property
    def channels(self) -> tuple[str, ...]:
        """The columns of numbers."""
        return self.targets + self.past + self.known


def roles_of(rows: Rows, columns: SeriesColumns) -> Roles:
    """The role of each column that has one; each must exist once.

    Raises:
        InputError: "load.csv:1: no column 'dat' for the time, did you mean 'date'?", "load.csv:1: no column is left to
            forecast", "load.csv:1: which column has the times? Set --time-column: one of 'id', 'text'".
    """
    header = rows.columns
    if len(header) < 2:
        raise InputError("expected at least a column of times and one of values, found 1 column", where=rows.where)
    cells = sample(rows)
    time = columns.time or _time_column(rows, columns, cells)
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
    index = tuple(name for name in index_columns(rows) if name not in taken)
    free = [] if columns.targets else [rows.column(name) for name in header if name not in (*taken, *index)]
    words = tuple(name for name in free if _are_words(cells[name]))
    targets = columns.targets or tuple(name for name in free if name not in words)
    if not targets:
        raise InputError(f"no column is left to forecast{_without_numbers(words)}", where=rows.where)
    notes = [*rows.notes, *([] if columns.targets else index_notes(index))]
    notes += [
        f"the column {name!r} contains no numbers and is left out (--series-column, if it names the series)"
        for name in words
    ]
    return Roles(time, columns.series, targets, columns.past, columns.known, words, notes)


def sample(rows: Rows) -> dict[str, list[Any]]:
    """The cells that are not empty of the first rows, by column."""
    records = [record.cells for record in islice(rows.records(), _SAMPLED_ROWS) if not record.problem]
    return {name: [row[name] for row in records if row[name] not in (None, "")] for name in rows.columns}


def likely_times(columns: Mapping[str, Sequence[Any]]) -> list[str]:
    """The columns that contain times, by their cells or else by their names, the likeliest first."""
    plain = [name for name, cells in columns.items() if sum(map(is_time, cells)) > _MOSTLY * len(cells)]
    typed = [name for name in plain if not any(isinstance(cell, str) for cell in columns[name])]
    named = [name for name in columns if name.lower() in _NAMES]
    whole = [name for name in named if name.lower() not in _PARTS]
    dates = [name for name, cells in columns.items() if whole_dates(cells)]
    worded = [name for name, cells in columns.items() if _says_time(name) and not all(map(is_number, cells))]
    order = [*(typed if len(typed) == 1 else ()), *(name for name in named if name in plain), *whole, *plain, *dates,
             *worded, *named]  # fmt: skip
    return list(dict.fromkeys(order))


def _time_column(rows: Rows, columns: SeriesColumns, cells: Mapping[str, Sequence[Any]]) -> str:
    """The column of times where none is named."""
    others = {columns.series, *columns.targets, *columns.past, *columns.known}
    free = [name for name in rows.columns if name not in others] or list(rows.columns)
    likely = likely_times({name: cells[name] for name in free})
    if likely:
        return likely[0]
    numbers = [name for name in free if all(map(is_number, cells[name]))]
    rising = [name for name in numbers if _rises(cells[name])]
    if free[0] in rising or free[0] not in numbers:
        return free[0]
    if rising and numbers == free:
        return rising[0]
    constant = [name for name in free if len(cells[name]) > 1 and len(set(map(str, cells[name]))) == 1]
    if free[0] in constant:
        names = ", ".join(map(repr, [name for name in free if name not in constant][:8]))
        raise InputError(f"which column has the times? Set --time-column: one of {names}", where=rows.where)
    return free[0]


def _rises(cells: Sequence[Any]) -> bool:
    """Whether cells are numbers in order."""
    numbers = [number for number in map(parsed, cells) if number is not None]
    return 0 < len(numbers) == len(cells) and all(before < after for before, after in pairwise(numbers))


def _says_time(name: str) -> bool:
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name))
    return not _WORDS.isdisjoint(word.lower() for word in words)


def _are_words(cells: Sequence[Any]) -> bool:
    return bool(cells) and all(
        isinstance(cell, str) and (is_time(cell) or not _LIKE_A_NUMBER.match(cell)) and not is_number(cell)
        for cell in cells
    )


def _without_numbers(words: Sequence[str]) -> str:
    return f": {', '.join(map(repr, words))} {'has' if len(words) == 1 else 'have'} no numbers" if words else ""
