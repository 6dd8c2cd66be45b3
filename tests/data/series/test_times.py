"""Times mean what `datetime.strptime`, ISO 8601 and the calendar say, or are refused with what to write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.core.errors import InputError
from sightline.data.series.times import BadTime, Stamps, stamps_of

EPOCH = datetime(1970, 1, 1)


def stamps(*cells: object, form: str | None = None, zone: str | None = None) -> Stamps:
    return stamps_of(pl.Series(cells), form, zone)


def microseconds(when: datetime) -> int:
    naive = when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
    return (naive - EPOCH) // timedelta(microseconds=1)


FORMS = [
    "%Y-%m-%d %H:%M:%S.%f", "%f %S %M %H %d %m %Y", "%Y%m%d%H", "%Y%m%d%H%M%S%f", "%Y-%m-%d %H", "%Y-%m",
    "%d/%m/%y", "%d. %B %Y", "%a %b %d %H:%M:%S %Y", "%I:%M %p, %m/%d/%Y", "%Y-%j", "%Y-%W-%w", "%Y-%U-%a", "%G-W%V-%u",
    "%Y-%m-%dT%H:%M:%S%z", "%c", "%x %X", "%Y", "%%%Y%%", "%H:%M",
]  # fmt: skip
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2068, 1, 1)).map(lambda when: when.replace(tzinfo=UTC))


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@given(times=st.lists(TIMES, min_size=1, max_size=5))
def test_a_form_means_what_strptime_says(form: str, times: list[datetime]) -> None:
    cells = [when.strftime(form) for when in times]
    expected = [microseconds(datetime.strptime(cell, form)) for cell in cells]
    assert stamps(*cells, form=form).values.tolist() == expected


@pytest.mark.parametrize(
    ("form", "cells", "first_days"),
    [
        ("%Y-%W", ["2023-00", "2024-01", "2024-52"], ["2022-12-26", "2024-01-01", "2024-12-23"]),
        ("%Y week %U", ["2024 week 01"], ["2024-01-07"]),  # a Sunday
        ("%G-W%V", ["2020-W53", "2021-W01"], ["2020-12-28", "2021-01-04"]),
    ],
)
def test_a_week_without_a_day_is_its_first_day(form: str, cells: list[str], first_days: list[str]) -> None:
    whens = stamps(*cells, form=form).values.astype("M8[us]").astype("M8[D]")
    assert whens.tolist() == np.array(first_days, "M8[D]").tolist()


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ("%Y-%m-%d %H:%M %Z", "%Z reads the name of a zone and drops it: write offsets"),
        ("%Y-%Q", "'Q' is a bad directive"),
        ("%Y-%Y", "the same directive twice"),
        ("%Y-%", "stray %"),
        ("%Y-%V", "Use the ISO year '%G'"),
        ("%d.%m.", "has no year"),
        ("%Y-%m-%d %I:%M", "has %I without %p: morning and afternoon would be the same"),
        ("%Y-%m-%d %H:%M %p", "has %p without %I"),  # strptime reads 01:30 PM by it as half past one at night
        ("today", "contains no directive"),
    ],
)
def test_a_form_that_cannot_be_used(form: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        stamps("2024-01", form=form)
    assert str(caught.value).startswith("--time-format: ")
    assert problem in str(caught.value)


def test_a_form_applies_to_whole_numbers_of_any_type() -> None:
    assert stamps(20240131, form="%Y%d%m%H").values.tolist() == stamps("20240131", form="%Y%d%m%H").values.tolist()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2016-07-01 13:00:00+02", datetime(2016, 7, 1, 11)),  # PostgreSQL
        ("2016-07-01 13:00:00.25-03:30", datetime(2016, 7, 1, 16, 30, 0, 250000)),
        ("2016-07-01 13:00:00.000000000", datetime(2016, 7, 1, 13)),  # numpy
        ("2016-07-01 13:00:00 UTC", datetime(2016, 7, 1, 13)),
        ("20160701T130000", datetime(2016, 7, 1, 13)),  # basic ISO 8601
        ("20160701T130000.5Z", datetime(2016, 7, 1, 13, 0, 0, 500000)),
        ("20160701T1300", datetime(2016, 7, 1, 13)),
        ("20160701T13Z", datetime(2016, 7, 1, 13)),
        ("2016-07-01 13Z", datetime(2016, 7, 1, 13)),
        ("2016-07-01 13", datetime(2016, 7, 1, 13)),
        ("2016/07/01 13:00", datetime(2016, 7, 1, 13)),
        ("2016-06-27/2016-07-03", datetime(2016, 6, 27)),  # a week of pandas
        ("2016Q3", datetime(2016, 7, 1)),
        ("2016-Q3", datetime(2016, 7, 1)),
        ("2016-W26", datetime(2016, 6, 27)),
        ("2016W26", datetime(2016, 6, 27)),
        ("2016-W26-5", datetime(2016, 7, 1)),
        ("2016W265", datetime(2016, 7, 1)),
    ],
)
def test_written_times(cell: str, expected: datetime) -> None:
    read = stamps(cell)
    assert (read.kind, read.values.tolist(), read.notes) == ("time", [microseconds(expected)], ())


@pytest.mark.parametrize("cell", ["2016Q5", "2016-W54-1", "2014-W53", "2016-W00", "2016-13", "2016-02-30", "2016-7-1"])
def test_times_that_do_not_exist(cell: str) -> None:
    with pytest.raises(BadTime):
        stamps(cell)


def test_digits_beyond_microseconds_are_left_out_and_noted() -> None:
    nanoseconds = pl.Series([1_467_378_000_123_456_789]).cast(pl.Datetime("ns"))
    for read in (stamps("2016-07-01 13:00:00.123456789"), stamps_of(nanoseconds)):
        assert read.values.tolist() == [microseconds(datetime(2016, 7, 1, 13, 0, 0, 123456))]
        assert read.notes == ("the digits of the times beyond microseconds are left out",)
    assert stamps_of(nanoseconds.dt.truncate("1us")).notes == ()


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["20240131", "20240201"], ["20240131", "20240201"]),
        (["202401", "202402"], ["202401", "202402"]),
        (["2024013123", "2024020100"], ["2024013123", "2024020100"]),
        (["202401312359", "202402010000"], ["202401312359", "202402010000"]),
        (["20240131235959", "20240201000000"], ["20240131235959", "20240201000000"]),
        ([20240131, 20240201], ["20240131", "20240201"]),
    ],
)
def test_dates_as_whole_numbers(cells: list[str] | list[int], expected: list[str]) -> None:
    read = stamps(*cells)
    assert read.kind == "time"
    assert [read.text(row) for row in range(len(cells))] == expected
    assert "are read as dates" in read.notes[0]


@pytest.mark.parametrize(
    "cells",
    [
        [str(number) for number in range(200001, 200101)],  # months of 2000, if there were more than 12
        ["1467378000", "1467381600", "1467385200"],  # seconds since 1970
        ["1467378000000", "1467381600000"],
        ["1467378000000000000", "1467381600000000000"],
        ["18990101", "18990102"],
        ["21010101", "21010102"],
        ["2000", "2001"],
        ["240131", "240201"],
    ],
)
def test_other_whole_numbers_stay_numbers(cells: list[str]) -> None:
    read = stamps(*cells)
    assert (read.kind, read.values.tolist(), read.notes) == ("number", list(map(int, cells)), ())
    assert read.text(0) == cells[0]


def test_a_slip_among_dates_is_an_error_and_numbers_can_be_asked_for() -> None:
    days = [f"202401{day:02}" for day in range(1, 29)]
    with pytest.raises(BadTime, match="'20240230' is not a time of the form %Y%m%d, as most others are"):
        stamps(*days, "20240230")
    assert stamps(*days, form="number").values.tolist() == list(map(int, days))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["0.0", "0.04", "0.08"], ["0", "0.04", "0.08"]),
        ([1467378000.5, 1467378001.0], ["1467378000.5", "1467378001"]),
        (["1.467378e+09", "1.467378001e+09"], ["1467378000", "1467378001"]),
        (["-1.5", ".5"], ["-1.5", "0.5"]),
    ],
)
def test_numbers_with_decimals(cells: list[str] | list[float], expected: list[str]) -> None:
    read = stamps(*cells)
    assert read.kind == "number"
    assert [read.text(row) for row in range(len(cells))] == expected


def test_offsets_that_change_need_the_name_of_the_zone() -> None:
    cells = ("2024-03-31 01:00+01:00", "2024-03-31 03:00+02:00")
    with pytest.raises(BadTime, match=r"mixed zones: \+02:00 here, \+01:00 in the first row: .* --time-zone Europe"):
        stamps(*cells)
    for zone, texts in {
        "UTC": ["2024-03-31 00:00:00+00:00", "2024-03-31 01:00:00+00:00"],
        "Europe/Berlin": ["2024-03-31 01:00:00+01:00", "2024-03-31 03:00:00+02:00"],
    }.items():
        read = stamps(*cells, zone=zone)
        assert np.diff(read.values).tolist() == [3_600_000_000]
        assert [read.text(0), read.text(1)] == texts


@pytest.mark.slow
@given(times=st.lists(TIMES, min_size=1, max_size=9))
def test_times_of_a_zone_come_back(times: list[datetime]) -> None:
    """With their offsets in the file; without them where the clock shows a time once."""
    zone = ZoneInfo("America/New_York")
    local = [when.astimezone(zone) for when in times]
    read = stamps(*(when.isoformat(" ") for when in local), zone="America/New_York")
    assert [read.text(row) for row in range(len(local))] == [when.isoformat(" ") for when in local]
    once = [when for when in local if when.replace(fold=0).utcoffset() == when.replace(fold=1).utcoffset()]
    if once:
        read = stamps(*(when.replace(tzinfo=None).isoformat(" ") for when in once), zone="America/New_York")
        assert [read.text(row) for row in range(len(once))] == [when.isoformat(" ") for when in once]


@pytest.mark.parametrize("cell", ["2024-03-31 02:30", "2024-10-27 02:30"])
def test_a_time_that_a_zone_has_never_or_twice(cell: str) -> None:
    with pytest.raises(BadTime, match="does not exist in Europe/Berlin, or twice"):
        stamps(cell, zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("zone", "minutes"),
    [("Europe/Berlin", 60), ("America/New_York", 15), ("America/Havana", 30), ("Australia/Lord_Howe", 15)],
)
def test_rows_in_order_tell_the_hour_that_occurs_twice(zone: str, minutes: int) -> None:
    """Two years in steps, without offsets: the offsets of Python's zoneinfo come back."""
    count = 2 * 366 * 24 * 60 // minutes
    utc = [datetime(2023, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes * step) for step in range(count)]
    cells = [when.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") for when in utc]
    read = stamps(*cells, zone=zone)
    assert read.values.tolist() == [microseconds(when) for when in utc]
    assert any("of the hour that occurs twice as clocks change: read by the order of rows" in n for n in read.notes)


def test_the_hour_that_occurs_twice_is_read_in_each_series() -> None:
    clocks = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]
    cells = [f"2024-10-27 {clock}" for clock in clocks for _ in range(2)]
    by_turns = stamps_of(pl.Series(cells), zone="Europe/Berlin", series=np.array(["a", "b"] * 6, dtype=object))
    assert (np.diff(by_turns.values[::2]) == 30 * 60 * 10**6).all()
    assert (by_turns.values[::2] == by_turns.values[1::2]).all()
    with pytest.raises(BadTime, match="or all rows of that hour in order"):
        stamps(*cells, zone="Europe/Berlin")


@pytest.mark.parametrize("clocks", [["02:00"], ["02:00", "02:30"], ["02:30", "02:15", "02:00"], ["02:00"] * 3])
def test_an_hour_that_occurs_twice_and_that_rows_do_not_tell(clocks: list[str]) -> None:
    with pytest.raises(BadTime, match="does not exist in Europe/Berlin, or twice") as caught:
        stamps("2024-10-27 01:00", *(f"2024-10-27 {clock}" for clock in clocks), zone="Europe/Berlin")
    assert caught.value.row == 1


def test_dates_as_whole_numbers_have_a_zone_and_plain_numbers_have_none() -> None:
    read = stamps("2024033101", "2024033103", zone="Europe/Berlin")
    assert np.diff(read.values).tolist() == [3_600_000_000]
    assert [read.text(0), read.text(1)] == ["2024033101", "2024033103"]
    with pytest.raises(InputError, match="--time-zone: the times are plain numbers"):
        stamps("1", "2", zone="UTC")


def test_an_unknown_zone() -> None:
    with pytest.raises(InputError, match=r"^--time-zone: unknown zone 'Europe/Berlim'"):
        stamps("2024-01-01", zone="Europe/Berlim")


def test_typed_times_keep_their_zone() -> None:
    whens = [datetime(2024, 3, day, tzinfo=timezone(timedelta(hours=1))) for day in (29, 30)]
    column = pl.Series(whens).dt.convert_time_zone("Europe/Berlin")
    assert stamps_of(column).text(1) == "2024-03-30 00:00:00+01:00"


def test_the_reason_why_a_time_is_not_of_a_form() -> None:
    with pytest.raises(BadTime, match="unconverted data remains: 789"):
        stamps("13:00:00.123456789", form="%H:%M:%S.%f")
    with pytest.raises(BadTime, match="out of range"):
        stamps("2024-02-30", form="%Y-%m-%d")


@pytest.mark.parametrize(
    "cells",
    [
        pl.Series(["0001-01-01 00:00+02:00"]),
        pl.Series(["9999-12-31 23:00-05"]),
        pl.Series([2**60]).cast(pl.Datetime("us")),
        pl.Series([-(2**60)]).cast(pl.Datetime("us", "UTC")),
    ],
)
def test_times_outside_of_the_calendar(cells: pl.Series) -> None:
    with pytest.raises(BadTime, match="outside of the years 1 to 9999"):
        stamps_of(cells)
