"""The even grid that time stamps lie on: every stamp is `origin + index · step`, in one of four ways to count."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, final

import numpy as np

from sightline.core.errors import InputError
from sightline.data.series.times import DAY, SECOND, Stamps, Written

GridKind = Literal["number", "time", "month", "business"]

_UNITS = {"us": 1, "ms": 1_000, "s": SECOND, "min": 60 * SECOND, "h": 3_600 * SECOND, "d": DAY, "w": 7 * DAY}
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_ISO = Written()
_FIRST_BUSINESS, _LAST_BUSINESS, _LAST = 0, -1, 31  # values of `Grid.day`
_LATEST = 9999 * 366  # months or business days after the year 9999
_MONDAY = np.datetime64("0001-01-01")  # business days are counted from here


@final
@dataclass(frozen=True)
class Grid:
    """Evenly spaced times.

    kind: "number" for plain numbers; "time" with a step in microseconds; "month" with a step in months, a month's stamp
        being its number since year 0; "business" with a step in days from Monday to Friday
    written: how the file writes its times
    day: on a grid of months the day of the month that is meant, or the last one before it (31: the last); 0: the first
        business day, -1: the last one
    clock: microseconds after midnight, on a grid of months or business days
    """

    kind: GridKind
    origin: int
    step: int
    written: Written = _ISO
    day: int = 1
    clock: int = 0

    def index(self, stamps: np.ndarray) -> np.ndarray:
        """The index (N,) of each parsed stamp; -1 where it is not on the grid, or before its origin."""
        steps = self.counted(stamps) - self.origin
        right = (steps % self.step == 0) & (steps >= 0)
        if self.kind in ("month", "business"):
            day, clock = _split(stamps)
            fits = _day_of(day.astype("M8[M]"), self.day) == day if self.kind == "month" else np.is_busday(day)
            right &= fits & (clock == self.clock)
        return np.where(right, steps // self.step, -1)

    def floor(self, stamps: np.ndarray) -> np.ndarray:
        """The index (N,) of the step that each stamp falls into, for resampling; a step begins at its stamp."""
        return (self.counted(stamps) - self.origin) // self.step

    def text(self, index: int) -> str:
        """The stamp of an index as the file writes it.

        Raises:
            InputError: "time: 9 steps after the first time the calendar ends".
        """
        stamp = self.origin + index * self.step
        if self.kind == "number":
            return self.written.number(stamp)
        try:
            if self.kind != "time" and stamp > _LATEST:
                raise OverflowError
            return self.written.time(stamp if self.kind == "time" else int(self.stamps(np.array([stamp]))[0]))
        except OverflowError:
            raise InputError(f"{index} steps after the first time the calendar ends", where="time") from None

    @property
    def every(self) -> str:
        """The step as `every` writes it, such as `15min`."""
        if self.kind == "number":
            return self.written.number(self.step)
        if self.kind == "business":
            return f"{self.step}b"
        units = _MONTHS if self.kind == "month" else {name: size for name, size in _UNITS.items() if name != "w"}
        unit = next(name for name in reversed(units) if self.step % units[name] == 0)
        return f"{self.step // units[unit]}{unit}"

    @property
    def season(self) -> int:
        """The steps of a year, a week or a day, whichever the calendar suggests; 1 where none does."""
        whole = {"month": 12, "business": 5, "time": 7 * DAY if self.step == DAY else DAY, "number": 1}[self.kind]
        return whole // self.step if whole % self.step == 0 else 1

    @property
    def seasons(self) -> list[float]:
        """The steps of the two shortest of a day, a week and a year that have at least two, the shortest first.

        24 and 168 for hours, 7 and 365.25 for days, 5 and 261 for business days, 52.2 for weeks, 12 for months, 4 for
        quarters; none for plain numbers.
        """
        steps = {
            "time": [DAY / self.step, 7 * DAY / self.step, 365.25 * DAY / self.step],
            "month": [12 / self.step],
            "business": [5 / self.step, 365.25 * 5 / 7 / self.step],
            "number": [],
        }[self.kind]
        return [length for length in steps if length >= 2][:2]

    def aligned(self) -> Grid:
        """The grid moved back to where whole steps begin: full hours for `1h`, Mondays for `1w`, Januaries for `1y`.

        Hours are those of the zone that the file names, where its clocks change as they are at the first time.
        """
        if self.kind == "number":
            return self
        if self.kind == "business":
            return replace(self, clock=0)
        if self.kind == "month":
            return replace(self, origin=self.origin // self.step * self.step, day=1, clock=0)
        shift = self.written.ahead(self.origin)  # days begin at the zone's midnight
        monday = 4 * DAY if self.step % (7 * DAY) == 0 else 0  # 1970 began on a Thursday
        origin = (self.origin + shift - monday) // self.step * self.step + monday - shift
        dates = self.written.dates and self.step % DAY == 0
        return replace(self, origin=origin, written=self.written._replace(dates=dates))

    def stamps(self, counted: np.ndarray) -> np.ndarray:
        """The stamps (N,) of numbers in the units of `origin`; the inverse of `counted`."""
        if self.kind in ("number", "time"):
            return counted
        if self.kind == "month":
            days = _day_of((counted - 1970 * 12).astype("M8[M]"), self.day)
        else:
            days = np.busday_offset(_MONDAY, counted)
        return days.astype("M8[us]").astype(np.int64) + self.clock

    def counted(self, stamps: np.ndarray) -> np.ndarray:
        """Parsed stamps (N,) in the units of `origin`: microseconds, months since year 0 or business days."""
        if self.kind == "month":
            return stamps.astype("M8[us]").astype("M8[M]").astype(np.int64) + 1970 * 12
        # The days before the next day, so that a weekend belongs to its Friday.
        return np.busday_count(_MONDAY, _split(stamps)[0] + 1) - 1 if self.kind == "business" else stamps


def parse_every(text: str, kind: Literal["number", "time"], scale: int = 1) -> tuple[GridKind, int]:
    """A step such as `15min`, `1h`, `1d`, `1b`, `1w`, `1mo`, `1q`, `1y`, or a plain number for times that are numbers.

    Raises:
        InputError: "every: expected a number and a unit of us, ms, s, min, h, d, w, b, mo, q, y, found '1 fortnight'".
    """
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*([a-z]*)\s*", text)
    number, unit = (float(match[1]), match[2]) if match else (0.0, "")
    units = ["", *_UNITS, "b", *_MONTHS]
    if number <= 0 or unit not in units or (unit and number % 1):
        raise InputError(f"expected a number and a unit of {', '.join(units[1:])}, found {text!r}", where="every")
    if (kind == "number") != (unit == ""):
        want = "a plain number" if kind == "number" else "a number with a unit, as in 1h,"
        raise InputError(f"the times are {'numbers' if kind == 'number' else 'dates'}: expected {want} not {text!r}",
                         where="every")  # fmt: skip
    if unit in _MONTHS:
        return "month", int(number) * _MONTHS[unit]
    if unit == "b":
        return "business", int(number)
    if unit:
        return "time", int(number) * _UNITS[unit]
    step = number * scale
    if step % 1:
        raise InputError(f"the times are whole numbers: expected a whole number, not {text!r}", where="every")
    return "number", int(step)


def find_grid(stamps: Stamps, breaks: np.ndarray, every: str | None = None) -> Grid:
    """The grid that most stamps are on, from the earliest one.

    breaks: (N,) bool, True where a row begins another series, so that its distance from the row before means nothing
    every: the step; None = the commonest distance between neighbours, in calendar months where all days of the month
        are the same (or the last of it, or its first or last business day)

    Raises:
        InputError: what `parse_every` raises.
        ValueError: without `every` some two neighbours must be in order.
    """
    values, written = stamps.values, stamps.written
    distance = np.diff(values)
    between = ~breaks[1:] & (distance > 0)
    if every is not None:
        kind, step = parse_every(every, stamps.kind, written.scale)
    else:
        kind, step = stamps.kind, _commonest(distance[between])
    if stamps.kind == "number":
        return Grid(kind, int(values.min()), step, written)
    monthly = month_day(values) is not None and len(np.unique(_split(values)[1])) == 1
    if every is None and monthly and distance[between].min() >= 28 * DAY:
        months = values.astype("M8[us]").astype("M8[M]").astype(np.int64)
        kind, step = "month", _commonest(np.diff(months)[between])
    grid = grid_of(kind, step, values, written)
    return replace(grid, origin=int(grid.counted(values).min()))


def grid_of(kind: GridKind, step: int, values: np.ndarray, written: Written) -> Grid:
    """The grid of this step from 0 on, with the day of the month and the time of day of stamps (N,), where all have the
    same.
    """
    clock, day = np.unique(_split(values)[1]), month_day(values)
    grid = Grid(kind, 0, step, written)
    if kind == "month" and day is not None and len(clock) == 1:
        return replace(grid, day=day, clock=int(clock[0]))
    return replace(grid, clock=int(clock[0])) if kind == "business" and len(clock) == 1 else grid


def month_day(values: np.ndarray) -> int | None:
    """The day of the month of all stamps (N,), as `Grid.day` has it; None where they have none in common.

    Days that are all the last one of their month are that, of whatever length the months are: after 30 June and 30
    September comes 31 December.
    """
    day, _ = _split(values)
    months = day.astype("M8[M]")
    days = (_LAST, int((day - months).astype(np.int64).max()) + 1, _LAST_BUSINESS, _FIRST_BUSINESS)
    return next((code for code in days if (_day_of(months, code) == day).all()), None)


def _commonest(distances: np.ndarray) -> int:
    values, counts = np.unique(distances, return_counts=True)
    return int(values[counts.argmax()])


def _split(stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Days (N,) as datetime64[D], and microseconds (N,) after midnight."""
    return stamps.astype("M8[us]").astype("M8[D]"), stamps % DAY


def _day_of(month: np.ndarray, code: int) -> np.ndarray:
    """The day (N,) that `Grid.day` = `code` means in each month (N,)."""
    first, after = month.astype("M8[D]"), (month + 1).astype("M8[D]")
    if code == _FIRST_BUSINESS:
        return np.busday_offset(first, 0, roll="forward")
    if code == _LAST_BUSINESS:
        return np.busday_offset(after, -1, roll="forward")
    return first + np.minimum(code, (after - first).astype(np.int64)) - 1
