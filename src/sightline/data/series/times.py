"""Time stamps as numbers, and the even grid that they lie on.

A stamp is an integer of one kind: a plain step number, microseconds since 1970 (in UTC where the file names a zone),
or, on a grid of calendar months, the number of months. Every stamp of a grid is `origin + index · step`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Literal, NamedTuple, final

import numpy as np

from sightline.core.errors import InputError

if TYPE_CHECKING:
    import polars

GridKind = Literal["number", "time", "month"]

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND
_UNITS = {
    "us": 1, "ms": 1_000, "s": _SECOND, "min": 60 * _SECOND, "h": 3_600 * _SECOND, "d": _DAY, "w": 7 * _DAY,
}  # fmt: skip
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_ISO = r"^(\d{4})-(\d{2})(?:-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6})0*)?)?\s?(Z|[+-]\d{2}:?\d{2})?)?)?$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HINT = "write times as 2016-07-01 13:00 (ISO 8601) or as whole numbers, or name their form, as in %d/%m/%Y"


class Stamps(NamedTuple):
    """Parsed times: microseconds since 1970 or plain numbers, and how the file writes them."""

    values: np.ndarray  # (N,) int64
    kind: Literal["number", "time"]
    zone: int | None = None  # minutes east of Greenwich that every stamp names; None = no zone is named
    dates: bool = False  # every stamp is a day, without a time of day


@final
class BadTime(ValueError):
    """A cell that is not a time, or not of the kind of those before it; `row` counts from 0."""

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(problem)
        self.row = row


@final
@dataclass(frozen=True)
class Grid:
    """Evenly spaced times: `origin + index · step`.

    kind: "number" for plain numbers, "time" with a step in microseconds, "month" with a step in months; a month's
        stamp is its number since year 0 and `day` says which day of it is meant (32: the last)
    """

    kind: GridKind
    origin: int
    step: int
    zone: int | None = None
    dates: bool = False
    day: int = 1
    clock: int = 0  # microseconds after midnight, on a grid of months

    def index(self, stamps: np.ndarray) -> np.ndarray:
        """The index (N,) of each parsed stamp; -1 where it is not on the grid, or before its origin."""
        if self.kind == "month":
            months, days, clock, last = _calendar(stamps)
            right = (clock == self.clock) & (last if self.day == 32 else days == self.day)
            steps = months - self.origin
        else:
            right, steps = np.ones(len(stamps), dtype=bool), stamps - self.origin
        right &= (steps % self.step == 0) & (steps >= 0)
        return np.where(right, steps // self.step, -1)

    def text(self, index: int) -> str:
        """The stamp of an index as ISO 8601, with the zone that the file named."""
        stamp = self.origin + index * self.step
        if self.kind == "number":
            return str(stamp)
        try:
            if self.kind == "month":
                when = _EPOCH + timedelta(microseconds=self._of_month(stamp))
            else:
                when = _EPOCH + timedelta(microseconds=stamp)
        except OverflowError:
            raise InputError(f"{index} steps after the first time the calendar ends", where="time") from None
        return stamp_text(when, self.zone, self.dates)

    @property
    def every(self) -> str:
        """The step as `every` writes it, such as `15min`."""
        if self.kind == "number":
            return str(self.step)
        if self.kind == "month":
            unit = next(name for name in ("y", "q", "mo") if self.step % _MONTHS[name] == 0)
            return f"{self.step // _MONTHS[unit]}{unit}"
        unit = next(name for name in reversed(_UNITS) if name != "w" and self.step % _UNITS[name] == 0)
        return f"{self.step // _UNITS[unit]}{unit}"

    def _of_month(self, month: int) -> int:
        first, following = (_month_start(month + i) for i in (0, 1))
        days = (following - first) // _DAY
        return first + (min(self.day, days) - 1) * _DAY + self.clock


def stamp_text(when: datetime, zone: int | None, dates: bool) -> str:
    """A time in UTC as the file would write it."""
    if dates:
        return when.date().isoformat()
    if zone is None:
        return when.replace(tzinfo=None).isoformat(" ")
    return when.astimezone(timezone(timedelta(minutes=zone))).isoformat(" ")


def stamps_of(cells: polars.Series, form: str | None = None) -> Stamps:
    """The stamps of a column of texts, whole numbers, dates or times; those of a typed zone in UTC.

    Raises:
        BadTime: an empty cell, and what `parse_times` raises.
    """
    import polars as pl

    if cells.null_count():
        raise BadTime(int(cells.is_null().arg_max() or 0), "an empty time")
    if cells.dtype == pl.String:
        return parse_times(cells, form)
    if cells.dtype.is_integer():
        return Stamps(cells.cast(pl.Int64).to_numpy(), "number")
    zoned = isinstance(cells.dtype, pl.Datetime) and cells.dtype.time_zone is not None
    values = cells.cast(pl.Datetime("us", "UTC" if zoned else None)).to_physical().to_numpy()
    return Stamps(values, "time", 0 if zoned else None, cells.dtype == pl.Date)


def parse_times(cells: polars.Series, form: str | None = None) -> Stamps:
    """The stamps in text cells: whole numbers or ISO 8601, or times of the strptime form `form`.

    Raises:
        BadTime: a cell that is neither, or has not the kind, or zone, of the first: "'13.7.2016' is not a time: …",
            "mixed zones: +02:00 here, none in the first row: …".
    """
    import polars as pl

    cells = cells.str.strip_chars()
    if form is not None:
        return _by_form(cells, form)
    numbers = cells.str.contains(r"^[+-]?\d{1,15}$").fill_null(False)
    if len(cells) and numbers[0]:
        _refuse(cells, ~numbers, "is not a whole number, as the time of the first row is")
        return Stamps(cells.cast(pl.Int64).to_numpy(), "number")
    parts = cells.str.extract_groups(_ISO).struct.unnest()
    year, month, day, hour, minute, second, fraction, zone = (parts[name] for name in parts.columns)
    _refuse(cells, year.is_null(), f"is not a time: {_HINT}")
    dates = bool(hour.is_null().all())
    _refuse_mixed_zones(zone)
    written = pl.select(
        pl.concat_str(
            year, pl.lit("-"), month, pl.lit("-"), day.fill_null("01"), pl.lit("T"), hour.fill_null("00"), pl.lit(":"),
            minute.fill_null("00"), pl.lit(":"), second.fill_null("00"), pl.lit("."),
            fraction.fill_null("0").str.pad_end(6, "0"),
        )
    ).to_series()  # fmt: skip
    parsed = written.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    _refuse(cells, parsed.is_null(), "is a day or a time that does not exist")
    offset = next((_minutes(text) for text in zone.head(1) if text is not None), None)
    return Stamps(parsed.to_physical().to_numpy() - (offset or 0) * 60 * _SECOND, "time", offset, dates)


def _by_form(cells: polars.Series, form: str) -> Stamps:
    import polars as pl

    try:
        parsed = cells.str.to_datetime(form, time_unit="us", strict=False)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            f"{form!r} is not a form of times: {str(error).splitlines()[0]}", where="time_format"
        ) from None
    _refuse(cells, parsed.is_null(), f"is not a time of the form {form!r}")
    zoned = getattr(parsed.dtype, "time_zone", None) is not None
    values = parsed.to_physical().to_numpy()
    return Stamps(values, "time", 0 if zoned else None, not zoned and bool((values % _DAY == 0).all()))


def _refuse(cells: polars.Series, wrong: polars.Series, problem: str) -> None:
    row = wrong.arg_max() if wrong.any() else None
    if row is not None:
        cell = cells[row]
        shown = "an empty time" if not cell else repr(cell if len(cell) <= 40 else cell[:39] + "…")
        raise BadTime(row, f"{shown} {problem}")


def _refuse_mixed_zones(zone: polars.Series) -> None:
    """Zones that differ, or are named for some times only."""
    texts = zone.fill_null("none").str.replace("Z", "+00:00").str.replace(r"(\d{2})(\d{2})$", "$1:$2")
    other = texts != texts[0]
    if other.any():
        row = int(other.arg_max() or 0)
        raise BadTime(
            row,
            f"mixed zones: {texts[row]} here, {texts[0]} in the first row: convert all times to one, such as UTC",
        )


def _minutes(zone: str) -> int:
    if zone == "Z":
        return 0
    sign = -1 if zone[0] == "-" else 1
    return sign * (60 * int(zone[1:3]) + int(zone[-2:]))


def parse_every(text: str, kind: Literal["number", "time"]) -> tuple[GridKind, int]:
    """A step such as `15min`, `1h`, `1d`, `1w`, `1mo`, `1q`, `1y`, or a plain number for times that are numbers.

    Raises:
        InputError: "every: expected a number and a unit of us, ms, s, min, h, d, w, mo, q, y, found '1 fortnight'".
    """
    match = re.fullmatch(r"\s*(\d{1,9})\s*([a-z]*)\s*", text)
    if match is None or int(match[1]) < 1 or (match[2] and match[2] not in {*_UNITS, *_MONTHS}):
        units = ", ".join([*_UNITS, *_MONTHS])
        raise InputError(f"expected a number and a unit of {units}, found {text!r}", where="every")
    number, unit = int(match[1]), match[2]
    if (kind == "number") != (unit == ""):
        want = "a plain number" if kind == "number" else "a number with a unit, as in 1h,"
        raise InputError(f"the times are {'numbers' if kind == 'number' else 'dates'}: expected {want} not {text!r}",
                         where="every")  # fmt: skip
    if unit in _MONTHS:
        return "month", number * _MONTHS[unit]
    return ("number", number) if unit == "" else ("time", number * _UNITS[unit])


def find_grid(stamps: Stamps, breaks: np.ndarray, every: str | None = None) -> Grid:
    """The grid that most stamps are on, from the earliest one.

    breaks: (N,) bool, True where a row begins another series, so that its distance from the row before means nothing
    every: the step; None = the commonest distance between neighbours, in calendar months where all days of the month
        are the same (or the last of it)

    Raises:
        InputError: "every: two times are needed to find the step; name it".
    """
    values = stamps.values
    number = stamps.kind == "number"
    months, days, clock, last = (values,) * 4 if number else _calendar(values)
    same_day = bool((days == days[0]).all())
    monthly = not number and bool((clock == clock[0]).all()) and (same_day or bool(last.all()))

    def of_months(step: int) -> Grid:
        day, hour = (int(days[0]) if same_day else 32, int(clock[0])) if monthly else (1, 0)
        return Grid("month", int(months.min()), step, stamps.zone, stamps.dates, day, hour)

    if every is not None:
        kind, step = parse_every(every, stamps.kind)
        return of_months(step) if kind == "month" else Grid(kind, int(values.min()), step, stamps.zone, stamps.dates)
    distance = np.diff(values)
    between = ~breaks[1:] & (distance > 0)
    if not between.any():
        raise InputError("two times in order are needed to find the step between them; name it", where="every")
    if monthly and distance[between].min() >= 28 * _DAY:
        return of_months(_commonest(np.diff(months)[between]))
    return Grid(stamps.kind, int(values.min()), _commonest(distance[between]), stamps.zone, stamps.dates)


def _commonest(distances: np.ndarray) -> int:
    values, counts = np.unique(distances, return_counts=True)
    return int(values[counts.argmax()])


def _calendar(stamps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Months since year 0, day of the month, microseconds of the day, and whether it is the month's last day."""
    when = stamps.astype("datetime64[us]")
    months = when.astype("datetime64[M]")
    day = when.astype("datetime64[D]")
    last = (day + 1).astype("datetime64[M]") != months
    number = months.astype(np.int64) + 1970 * 12
    return number, (day - months).astype(np.int64) + 1, stamps % _DAY, last


def _month_start(month: int) -> int:
    year, rest = divmod(month, 12)
    if not 1 <= year <= 9999:
        raise OverflowError
    return (datetime(year, rest + 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)


def floor_stamps(grid: Grid, stamps: np.ndarray) -> np.ndarray:
    """The index (N,) of the step that each stamp falls into, for resampling; a step begins at its stamp."""
    if grid.kind == "month":
        stamps = _calendar(stamps)[0]
    return (stamps - grid.origin) // grid.step


def aligned(grid: Grid) -> Grid:
    """The grid moved back to where whole steps begin: full hours for `1h`, Mondays for `1w`, Januaries for `1y`."""
    if grid.kind == "number":
        return grid
    from dataclasses import replace

    if grid.kind == "month":
        return replace(grid, origin=grid.origin // grid.step * grid.step, day=1, clock=0)
    shift = (grid.zone or 0) * 60 * _SECOND  # days begin at the zone's midnight
    monday = 4 * _DAY if grid.step % (7 * _DAY) == 0 else 0  # 1970 began on a Thursday
    origin = (grid.origin + shift - monday) // grid.step * grid.step + monday - shift
    return replace(grid, origin=origin, dates=grid.dates and grid.step % _DAY == 0)
