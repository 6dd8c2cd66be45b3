"""Time stamps as numbers: what a column of times means.

A stamp is an integer of one kind: a plain number, or microseconds since 1970 (in UTC where the file names a zone).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Literal, NamedTuple, final
from zoneinfo import ZoneInfo

import numpy as np

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.data.series.advice import short, way_for_time
from sightline.data.series.zones import Zone, check_zone, in_utc

if TYPE_CHECKING:
    import polars

SECOND = 1_000_000
DAY = 86_400 * SECOND
MICRO = 10**6  # of a number with decimals: the parts of 1 that are told apart
NUMBER = "number"  # the value of `time_format` by which whole numbers are no dates
_ISO = (  # after the last slash: the end of a period of pandas
    r"^([0-9]{4})[-/]?([0-9]{2})(?:[-/]?([0-9]{2})(?:[T ]([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:[.,]([0-9]+))?)?)?"
    r"\s?(Z|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)?)?(?:/[0-9]{4}-[0-9]{2}-[0-9]{2})?)?$"
)
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"  # without the digits of other scripts
_QUARTER, _WEEK = re.compile(r"[0-9]{4}([- ]?[Qq])[1-4]"), re.compile(r"[0-9]{4}(-?)W[0-9]{2}(?:(-?)[1-7])?")
_COMPACT = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}  # by digits
_MOSTLY = 0.9  # the share of whole numbers that must be dates for the others to be slips
_SHORT = {"F": "%Y-%m-%d", "T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "e": "%d", ".": ".%"}  # as polars has them
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = (
    (when.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) for when in (datetime.min, datetime.max)
)


class Written(NamedTuple):
    """How a file writes its times.

    zone: minutes east of Greenwich, or the name of a zone; None = no zone is named
    dates: every stamp is a day, without a time of day
    form: of strftime, and %q for the quarter; None = ISO 8601
    scale: of numbers, the stamps per 1
    local: stamps are times of day in `zone`, which days and months follow, not UTC
    """

    zone: int | str | None = None
    dates: bool = False
    form: str | None = None
    scale: int = 1
    local: bool = False

    def ahead(self, stamp: int) -> int:
        """The microseconds by which the zone's clocks are ahead of the stamps at a time; 0 where stamps follow them."""
        if self.zone is None or self.local:
            return 0
        if isinstance(self.zone, int):
            return self.zone * 60 * SECOND
        offset = (_EPOCH + timedelta(microseconds=stamp)).astimezone(ZoneInfo(self.zone)).utcoffset()
        return (offset or timedelta()) // timedelta(microseconds=1)

    def number(self, stamp: int) -> str:
        """A plain number as the file would write it."""
        return str(stamp) if self.scale == 1 else f"{stamp / self.scale:.6f}".rstrip("0").rstrip(".")

    def time(self, stamp: int) -> str:
        """A time as the file would write it; OverflowError beyond the year 9999."""
        when = _EPOCH + timedelta(microseconds=stamp)
        if self.zone is None:
            when = when.replace(tzinfo=None)
        else:
            zone = ZoneInfo(self.zone) if isinstance(self.zone, str) else timezone(timedelta(minutes=self.zone))
            when = when.replace(tzinfo=zone) if self.local else when.astimezone(zone)
        if self.form is not None:
            return when.strftime(self.form.replace("%q", str((when.month + 2) // 3)))
        return when.date().isoformat() if self.dates else when.isoformat(" ")


class Stamps(NamedTuple):
    """Parsed times: microseconds since 1970 or plain numbers, how the file writes them, and notes for the user."""

    values: np.ndarray  # (N,) int64
    kind: Literal["number", "time"]
    written: Written = Written()
    notes: tuple[str, ...] = ()

    def text(self, row: int) -> str:
        """The stamp of a row as the file writes it."""
        return getattr(self.written, self.kind)(int(self.values[row]))


@final
class BadTime(ValueError):
    """A cell that is not a time, or not of the kind of those before it; `row` counts from 0."""

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(problem)
        self.row = row


def is_time(cell: object) -> bool:
    """Whether a cell is plainly a time: of such a type, or a text in ISO 8601; a number may be anything."""
    if not isinstance(cell, str):
        return hasattr(cell, "isoformat")
    cell = cell.strip()
    return bool((re.match(_ISO, cell) and not cell.isdecimal()) or _QUARTER.fullmatch(cell) or _WEEK.fullmatch(cell))


def whole_dates(cells: Sequence[object]) -> bool:
    """Whether several numbers are dates, such as 20240131, of different days."""
    import polars as pl

    texts = [str(cell).strip() for cell in cells if isinstance(cell, str | int) and not isinstance(cell, bool)]
    if len(texts) < len(cells) or len(set(texts)) < 2 or not all(map(str.isdecimal, texts)):
        return False
    try:
        return _compact(pl.Series(texts), None) is not None
    except BadTime:  # most are dates
        return True


def stamps_of(
    cells: polars.Series, form: str | None = None, zone: str | None = None, series: np.ndarray | None = None
) -> Stamps:
    """The stamps of a column of texts, numbers, dates or times.

    Texts and numbers are plain numbers; dates as whole numbers (20240131, with a note); ISO 8601, quarters (2000Q1) and
    weeks (2024-W01); or times of the strptime form `form`. `zone` names the zone of times without an offset, and of
    those whose offsets change. An hour that occurs twice in it as clocks are put back is read by the order of rows,
    those of each of the `series` (N,), with a note.

    Raises:
        BadTime: "'13.7.2016' is not a time: …", "an empty time", "mixed zones: +02:00 here, none in the first row: …".
        InputError: "--time-format: …" where the form itself cannot be used.
    """
    check_zone(zone)
    stamps = _stamps_of(cells, form, Zone(zone, series) if zone is not None else None)
    if stamps.kind == "time":
        margin = 0 if stamps.written.zone is None else DAY
        wrong = (stamps.values < _FIRST + margin) | (stamps.values > _LAST - margin)
        if wrong.any():
            raise BadTime(int(wrong.argmax()), "the time is outside of the years 1 to 9999")
    return stamps


def _stamps_of(cells: polars.Series, form: str | None, zone: Zone | None) -> Stamps:
    import polars as pl

    if cells.dtype.is_numeric():
        cells = cells.cast(pl.String)
    if cells.null_count():
        raise BadTime(int(cells.is_null().arg_max() or 0), "an empty time")
    if cells.dtype == pl.String:
        return _parsed(cells.str.strip_chars(), form, zone)
    own = cells.dtype.time_zone if isinstance(cells.dtype, pl.Datetime) else None
    fine = isinstance(cells.dtype, pl.Datetime) and cells.dtype.time_unit == "ns"
    notes = _rounded(fine and bool((cells.to_physical() % 1000 != 0).any()))
    values = cells.cast(pl.Datetime("us", own)).to_physical().to_numpy()
    if own is not None:
        return _in_zone(values, own if zone is None else zone.name, notes)
    if zone is not None:
        return _by_clocks(cells.cast(pl.String), values, zone, notes)
    return Stamps(values, "time", Written(dates=cells.dtype == pl.Date), notes)


def _parsed(cells: polars.Series, form: str | None, zone: Zone | None) -> Stamps:
    if form not in (None, NUMBER):
        return _by_form(cells, form, zone)
    first = cells[0] if len(cells) else ""
    if re.match(_NUMBER, first) or form == NUMBER:
        return _numbers(cells, zone, plain=form == NUMBER)
    if _QUARTER.fullmatch(first) or _WEEK.fullmatch(first):
        return _of_calendar(cells, first)
    return _iso(cells, zone)


def _numbers(cells: polars.Series, zone: Zone | None, *, plain: bool) -> Stamps:
    """Plain numbers, or dates as whole numbers unless `plain`."""
    import polars as pl

    _refuse(cells, ~cells.str.contains(_NUMBER), "is not a number, as the time of the first row is")
    dates = None if plain else _compact(cells, zone)
    if dates is not None:
        return dates
    if zone is not None:
        raise InputError("the times are plain numbers, which have no zone", where="--time-zone")
    whole = cells.cast(pl.Int64, strict=False)
    if not whole.null_count():
        return Stamps(whole.to_numpy(), "number")
    values = cells.cast(pl.Float64)
    _refuse(cells, values.abs() > 9e12, "is too large for a number with decimals: write whole numbers")
    numbers = values.to_numpy()
    if (numbers == np.rint(numbers)).all():
        return Stamps(numbers.astype(np.int64), "number")
    return Stamps(np.rint(numbers * MICRO).astype(np.int64), "number", Written(scale=MICRO))


def _compact(cells: polars.Series, zone: Zone | None) -> Stamps | None:
    """Dates as whole numbers, such as 20240131; None where the numbers are plain."""
    form = _COMPACT.get(len(cells[0]))
    if form is None:
        return None
    length = len(cells[0])
    filled = cells + "01000000"[length - 6 :]
    parsed = filled.str.to_datetime("%Y%m%d%H%M%S", time_unit="us", strict=False)
    right = (cells.str.len_bytes() == length) & parsed.is_not_null() & filled.str.contains(r"^(19|20|2100)[0-9]")
    right = right & parsed.dt.year().is_between(1900, 2100).fill_null(False)
    if right.sum() < _MOSTLY * len(right):
        return None
    _refuse(cells, ~right, f"is not a time of the form {form}, as most others are")
    note = f"the times are read as dates, {form} (--time-format={NUMBER} reads plain numbers)"
    stamps = _with_offsets(cells, parsed.to_physical().to_numpy(), None, zone, (note,))
    return stamps._replace(written=stamps.written._replace(dates=length == 8, form=form))


def _of_calendar(cells: polars.Series, first: str) -> Stamps:
    """Quarters such as 2000Q1, or weeks and days of ISO 8601 such as 2024-W01 and 2024-W01-1."""
    import polars as pl

    quarter, week = _QUARTER.fullmatch(first), _WEEK.fullmatch(first)
    if quarter:
        form, pattern = f"%Y{quarter[1]}%q", r"^([0-9]{4})[- ]?[Qq]([1-4])$"
        parts = cells.str.extract_groups(pattern).struct.unnest()
        month = (parts["2"].cast(pl.Int32) * 3 - 2).cast(pl.String).str.zfill(2)
        parsed = (parts["1"] + "-" + month + "-01").str.to_datetime("%Y-%m-%d", time_unit="us", strict=False)
    else:
        day = week is not None and week[2] is not None
        form = f"%G{week[1]}W%V" + (f"{week[2]}%u" if day else "") if week else ""
        plain = cells.str.replace_all("-", "") + ("" if day else "1")
        plain = plain.set(~plain.str.contains(r"^[0-9]{4}W[0-9]{2}[1-7]$"), None)
        parsed = plain.str.to_date("%GW%V%u", strict=False).cast(pl.Datetime("us"))
    _refuse(cells, parsed.is_null(), f"is not a time of the form of the first row, {first!r}")
    return Stamps(parsed.to_physical().to_numpy(), "time", Written(dates=True, form=form))


def _iso(cells: polars.Series, zone: Zone | None) -> Stamps:
    import polars as pl

    parts = cells.str.extract_groups(_ISO).struct.unnest()
    year, month, day, hour, minute, second, fraction, offset = (parts[name] for name in parts.columns)
    wrong = year.is_null()
    if wrong.any():
        _refuse(cells, wrong, f"is not a time: {way_for_time(cells[int(wrong.arg_max() or 0)])}")
    written = pl.select(
        pl.concat_str(
            year, month, day.fill_null("01"), hour.fill_null("00"), minute.fill_null("00"), second.fill_null("00"),
            pl.lit("."), fraction.fill_null("0").str.slice(0, 6).str.pad_end(6, "0"),
        )
    ).to_series()  # fmt: skip
    parsed = written.str.to_datetime("%Y%m%d%H%M%S%.f", time_unit="us", strict=False)
    _refuse(cells, parsed.is_null(), "is a day or a time that does not exist")
    notes = _rounded(bool(fraction.str.slice(6).str.contains("[1-9]").any()))
    plain = offset.str.replace("Z|UTC", "+00:00").str.replace(":", "").str.pad_end(5, "0")
    sign = pl.select(pl.when(plain.str.starts_with("-")).then(-1).otherwise(1)).to_series()
    hours, minutes = (plain.str.slice(place, 2).cast(pl.Int64, strict=False) for place in (1, 3))
    offsets = (sign * (60 * hours + minutes)).cast(pl.Float64)
    stamps = _with_offsets(cells, parsed.to_physical().to_numpy(), offsets, zone, notes)
    return stamps._replace(written=stamps.written._replace(dates=zone is None and bool(hour.is_null().all())))


def _by_form(cells: polars.Series, form: str, zone: Zone | None) -> Stamps:
    """As `datetime.strptime` reads them; a week without a day means its first day."""
    import polars as pl

    form = re.sub("%(.)", lambda match: _SHORT.get(match[1], match[0]), form)
    directives = set(re.findall("%(.)", form))
    if not directives:
        raise InputError(f"{form!r} contains no directive such as %Y", where="--time-format")
    if "Z" in directives:
        raise InputError(
            f"{form!r}: %Z reads the name of a zone and drops it: write offsets such as +02:00 and %z, or the name "
            "itself in the form and --time-zone", where="--time-format",
        )  # fmt: skip
    if directives & set("dmbBjUW") and not directives & set("YyGcx"):
        raise InputError(f"{form!r} has no year: times of several years would be the same: write %Y",
                         where="--time-format")  # fmt: skip
    if ("I" in directives) != ("p" in directives):
        one, other = ("%I", "%p") if "I" in directives else ("%p", "%I")
        raise InputError(
            f"{form!r} has {one} without {other}: morning and afternoon would be the same: write both, or %H alone",
            where="--time-format",
        )
    day, full = "", form
    if directives & set("UWV") and not directives & set("aAwudj"):
        full, day = (form + " %w", " 0") if "U" in directives else (form + " %u", " 1")
    texts = cells.unique(maintain_order=True).to_list()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forms without a year, which the check above refuses
        times = {text: _strptime(text + day, full) for text in texts}
    whens = [times[cell] for cell in cells]
    real = [when for when in whens if isinstance(when, datetime)]
    if len(real) < len(whens):
        row = next(row for row, when in enumerate(whens) if isinstance(when, str))
        raise BadTime(row, f"{short(cells[row])} is not a time of the form {form!r}{whens[row]}")
    local = np.array(
        [(when.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1) for when in real], dtype=np.int64
    )
    gaps = [when.utcoffset() for when in real]
    minutes = [None if gap is None else gap.total_seconds() / 60 for gap in gaps]
    stamps = _with_offsets(cells, local, pl.Series(minutes, dtype=pl.Float64), zone, ())
    dates = stamps.written.zone is None and bool((stamps.values % DAY == 0).all())
    return stamps._replace(written=stamps.written._replace(dates=dates))


def _strptime(text: str, form: str) -> datetime | str:
    """The time, or why the text is not one, where that is not obvious: ": unconverted data remains: 789"."""
    try:
        return datetime.strptime(text, form)
    except re.error:
        problem = "the same directive twice"
    except ValueError as error:
        problem = str(error)
        if not re.search("bad directive|stray %|ISO (year|week) directive", problem):
            return "" if "does not match" in problem else f": {problem}"
    raise InputError(f"{form!r} is not a form of strptime: {problem}", where="--time-format")


def _with_offsets(
    cells: polars.Series, local: np.ndarray, offsets: polars.Series | None, zone: Zone | None, notes: tuple[str, ...]
) -> Stamps:
    """Stamps from times of day and their offsets from UTC in minutes, null where a time names none."""
    if offsets is None or not offsets.count():
        if zone is None:
            return Stamps(local, "time", notes=notes)
        return _by_clocks(cells, local, zone, notes)
    first = offsets[0]
    wrong = offsets.is_null() != (first is None)
    if zone is None and first is not None:
        wrong |= (offsets != first).fill_null(False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        way = "write the offset of each time"
        if offsets[row] is not None and first is not None:
            way = "set their zone, as in --time-zone Europe/Berlin, or --time-zone=UTC"
        problem = f"mixed zones: {_offset(offsets[row])} here, {_offset(first)} in the first row"
        raise BadTime(row, f"{problem}: {way}")
    values = local - np.rint(offsets.to_numpy() * 60 * SECOND).astype(np.int64)
    if zone is not None:
        return _in_zone(values, zone.name, notes)
    return Stamps(values, "time", Written(round(first or 0)), notes)


def _by_clocks(cells: polars.Series, local: np.ndarray, zone: Zone, notes: tuple[str, ...]) -> Stamps:
    """Stamps from the times of day of a zone."""
    import polars as pl

    utc = in_utc(local, zone)
    way = "write offsets, or all rows of that hour in order"
    _refuse(cells, pl.Series(utc.unclear), f"does not exist in {zone.name}, or twice, as the clocks change: {way}")
    if utc.by_order:
        times = number_of(utc.by_order, "time")
        notes = (*notes, f"{times} of the hour that occurs twice as clocks change: read by the order of rows")
    return _in_zone(utc.values, zone.name, notes)


def _in_zone(utc: np.ndarray, zone: str, notes: tuple[str, ...]) -> Stamps:
    """Stamps of a zone: where all have the same time of day there, they are days of the zone, of 23 hours or 25."""
    stamps = Stamps(utc, "time", Written(zone), notes)
    local = local_stamps(stamps)
    return local if (local.values % DAY == local.values[:1] % DAY).all() else stamps


def local_stamps(stamps: Stamps) -> Stamps:
    """The same times as times of day in the zone that the file names, by which days and months are counted."""
    import polars as pl

    zone = stamps.written.zone
    if zone is None or stamps.written.local:
        return stamps
    if isinstance(zone, int):
        values = stamps.values + zone * 60 * SECOND
    else:
        times = pl.Series(stamps.values).cast(pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
        values = times.dt.replace_time_zone(None).to_physical().to_numpy()
    return stamps._replace(values=values, written=stamps.written._replace(local=True))


def _rounded(finer: bool) -> tuple[str, ...]:
    return ("the digits of the times beyond microseconds are left out",) if finer else ()


def _offset(minutes: float | None) -> str:
    if minutes is None:
        return "none"
    return f"{'-' if minutes < 0 else '+'}{int(abs(minutes) // 60):02}:{int(abs(minutes) % 60):02}"


def _refuse(cells: polars.Series, wrong: polars.Series, problem: str) -> None:
    row = wrong.arg_max() if wrong.any() else None
    if row is not None:
        raise BadTime(row, f"{short(cells[row])} {problem}")
