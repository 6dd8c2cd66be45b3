"""Grids continue as the calendar does: months, quarters, weeks, business days and month ends."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from sightline.core.errors import InputError
from sightline.data.series.corpus import SeriesColumns, load_panel
from sightline.data.series.panel import Evenness, Panel


def panel_of(path: Path, times: list, rules: Evenness | None = None, **columns: object) -> Panel:
    path /= "a.csv"
    path.write_text("date,v\n" + "".join(f"{time},{i}\n" for i, time in enumerate(times)))
    return load_panel(path, SeriesColumns(**columns), rules)


@pytest.mark.parametrize(
    ("times", "every", "following"),
    [
        (["20240130", "20240131"], "1d", ["20240201", "20240202"]),
        (["202311", "202312"], "1mo", ["202401", "202402"]),
        (["2023123122", "2023123123"], "1h", ["2024010100", "2024010101"]),
        (["2000Q3", "2000Q4"], "1q", ["2001Q1", "2001Q2"]),
        (["2000-Q2", "2000-Q4"], "2q", ["2001-Q2", "2001-Q4"]),
        (["2020-W52", "2020-W53"], "7d", ["2021-W01", "2021-W02"]),
        (["2020-W53-6", "2020-W53-7"], "1d", ["2021-W01-1", "2021-W01-2"]),
        (["2024-01-31", "2024-02-29", "2024-03-29"], "1mo", ["2024-04-30", "2024-05-31"]),  # last business days
        (["2023-12-29", "2024-03-29", "2024-06-28"], "1q", ["2024-09-30", "2024-12-31"]),
        (["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01", "2024-06-03"], "1mo", ["2024-07-01"]),
        (["2024-01-30", "2024-02-29", "2024-03-30"], "1mo", ["2024-04-30", "2024-05-30"]),
        (["2023-06-30", "2023-09-30"], "1q", ["2023-12-31", "2024-03-31"]),  # the last days of months of 30
        (["2022-11-30", "2023-02-28"], "1q", ["2023-05-31", "2023-08-31"]),
        (["1999-12-27/2000-01-02", "2000-01-03/2000-01-09"], "7d", ["2000-01-10"]),
        (["0.5", "0.54", "0.58"], "0.04", ["0.62", "0.66"]),
    ],
)
def test_what_follows(tmp_path: Path, times: list[str], every: str, following: list[str]) -> None:
    panel = panel_of(tmp_path, times)
    assert panel.grid.every == every
    assert panel.records[0].values[:, 0].tolist() == list(range(len(times)))
    assert [panel.grid.text(len(times) + i) for i in range(len(following))] == following
    assert panel_of(tmp_path, times, Evenness(every=every)).grid == panel.grid


def test_one_month_end_is_the_last_day_of_other_months_too(tmp_path: Path) -> None:
    panel = panel_of(tmp_path, ["2024-04-30"], Evenness(every="1mo"))
    assert [panel.grid.text(step) for step in range(4)] == ["2024-04-30", "2024-05-31", "2024-06-30", "2024-07-31"]


@pytest.mark.parametrize("rule", ["sum", "mean"])
def test_steps_at_the_ends_that_are_not_complete_are_noted(tmp_path: Path, rule: Any) -> None:
    """A sum of 9 of 24 hours only looks like a fall of the series."""
    path = tmp_path / "a.csv"
    hours = [("a", 3, 150), ("b", 0, 144), ("c", 0, 130)]  # series, first hour, number of hours
    rows = [f"2024-01-{1 + h // 24:02} {h % 24:02}:00,{name},1" for name, low, n in hours for h in range(low, low + n)]
    path.write_text("\n".join(["time,name,v", *rows]) + "\n")
    _, first, last = load_panel(path, SeriesColumns(series="name"), Evenness("1d", rule)).notes
    usual = "other steps have 24: if it is not complete, leave its rows out"
    assert first == f"the first step of 'a', 2024-01-01 00:00:00, has 21 rows, {usual}"
    assert last == f"the last step of 'a', 2024-01-07 00:00:00, has 9 rows, {usual} (1 more such series)"


def test_rows_that_come_when_they_come_are_not_called_incomplete(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    times = [f"2024-01-{day:02} 00:{m:02}" for day in range(1, 20) for m in range(int(generator.integers(1, 9)))]
    assert len(panel_of(tmp_path, times, Evenness("1d", "sum")).notes) == 1


def test_days_of_a_zone_have_23_or_25_hours(tmp_path: Path) -> None:
    times = ["2024-03-30 00:00+01:00", "2024-03-31 00:00+01:00", "2024-04-01 00:00+02:00"]
    panel = panel_of(tmp_path, times, time_zone="Europe/Berlin")
    assert panel.grid.every == "1d"
    assert panel.grid.text(3) == "2024-04-02 00:00:00+02:00"


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_rows_are_resampled_to_days_of_their_zone(tmp_path: Path, zone: str | None) -> None:
    offset = "+02:00"
    times = [f"2024-05-01 00:30{offset}", f"2024-05-01 23:30{offset}", f"2024-05-02 00:30{offset}"]
    panel = panel_of(tmp_path, times, Evenness("1d", "sum"), time_zone=zone)
    assert panel.grid.text(0) == f"2024-05-01 00:00:00{offset}"
    assert panel.records[0].values[:, 0].tolist() == [1.0, 2.0]
    months = panel_of(tmp_path, times, Evenness("1mo", "sum"), time_zone=zone)
    assert months.grid.text(0) == f"2024-05-01 00:00:00{offset}"
    assert months.records[0].values[:, 0].tolist() == [3.0]


@pytest.mark.parametrize(
    ("zone", "offset", "every", "first"),
    [
        ("Asia/Kolkata", "+05:30", "1h", "2024-05-01 09:00:00+05:30"),
        ("Asia/Kathmandu", "+05:45", "30min", "2024-05-01 09:00:00+05:45"),
        ("Europe/Berlin", "+02:00", "6h", "2024-05-01 06:00:00+02:00"),
        ("America/New_York", "-04:00", "12h", "2024-05-01 00:00:00-04:00"),
        ("UTC", "+00:00", "6h", "2024-05-01 06:00:00+00:00"),
    ],
)
@pytest.mark.parametrize("rule", ["mean", "first"])
def test_whole_hours_are_those_of_the_zone(
    tmp_path: Path, zone: str, offset: str, every: str, first: str, rule: Any
) -> None:
    """Whether the cells name its offset or the user names the zone."""
    times = [datetime(2024, 5, 1, 9) + timedelta(minutes=15 * n) for n in range(200)]
    written = panel_of(tmp_path, [f"{time}{offset}" for time in times], Evenness(every, rule))
    assert written.grid.text(0) == first
    for cells in ([str(time) for time in times], [f"{time}{offset}" for time in times]):
        panel = panel_of(tmp_path, cells, Evenness(every, rule), time_zone=zone)
        assert [panel.grid.text(step) for step in (0, 1)] == [written.grid.text(step) for step in (0, 1)]
        assert np.array_equal(panel.records[0].values, written.records[0].values)


@pytest.mark.parametrize("kind", [pl.Float64, pl.Float32])
def test_times_with_decimals_may_have_a_type(tmp_path: Path, kind: type[pl.DataType]) -> None:
    times, values = [n / 25 for n in range(9)], [float(n) for n in range(9)]
    (tmp_path / "a.csv").write_text(
        "time,v\n" + "".join(f"{time},{v}\n" for time, v in zip(times, values, strict=True))
    )
    pl.DataFrame({"time": pl.Series(times, dtype=kind), "v": values}).write_parquet(tmp_path / "a.parquet")
    typed, written = load_panel(tmp_path / "a.parquet"), load_panel(tmp_path / "a.csv")
    assert (typed.grid, typed.grid.every) == (written.grid, "0.04")
    assert np.array_equal(typed.records[0].values, written.records[0].values)


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2016-07-01 13:00:00+02\t0\n2016-07-01 14:00:00+02\t1\n", None, "2016-07-01 15:00:00+02:00"),
        ("2024-03-31 01:00:00+01\t0\n2024-03-31 03:00:00+02\t1\n", "Europe/Berlin", "2024-03-31 04:00:00+02:00"),
        ("2016-07-01 13:00:00.5+05:30\t0\n2016-07-01 13:00:01+05:30\t1\n", None, "2016-07-01 13:00:01.500000+05:30"),
    ],
)
def test_times_of_postgresql(tmp_path: Path, text: str, zone: str | None, expected: str) -> None:
    """As COPY … TO writes a `timestamptz`."""
    path = tmp_path / "a.tsv"
    path.write_text("at\tv\n" + text)
    panel = load_panel(path, SeriesColumns(time_zone=zone))
    assert panel.grid.text(2) == expected


def business_days(first: date, count: int) -> list[date]:
    days = [first + timedelta(days=i) for i in range(2 * count)]
    return [day for day in days if day.weekday() < 5][:count]


@pytest.mark.parametrize("first", [date(2024, 2, 28), date(1969, 12, 29)])
def test_business_days_have_no_gaps_at_weekends(tmp_path: Path, first: date) -> None:
    days = business_days(first, 13)
    panel = panel_of(tmp_path, days[:10], Evenness(every="1b"))
    assert panel.grid.every == "1b"
    assert len(panel.records[0].values) == 10
    assert [panel.grid.text(10 + i) for i in range(3)] == [str(day) for day in days[10:]]


def test_a_holiday_is_a_missing_business_day(tmp_path: Path) -> None:
    days = business_days(date(2024, 12, 20), 6)
    with pytest.raises(InputError, match="1 step of 1b is missing before 2024-12-26"):
        panel_of(tmp_path, [day for day in days if day.day != 25], Evenness(every="1b"))


def test_a_weekend_is_not_a_business_day(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.csv:3: 2024-03-02 is not on the grid of 1b"):
        panel_of(tmp_path, ["2024-03-01", "2024-03-02", "2024-03-04"], Evenness(every="1b"))


def test_weekends_belong_to_their_friday_when_resampled(tmp_path: Path) -> None:
    times = ["2024-03-01 09:00", "2024-03-02 09:00", "2024-03-03 09:00", "2024-03-04 09:00"]
    panel = panel_of(tmp_path, times, Evenness("1b", "last"))
    assert panel.records[0].values[:, 0].tolist() == [2.0, 3.0]
    assert panel.grid.text(1) == "2024-03-04 00:00:00"


def test_missing_weekends_have_the_flag_as_advice(tmp_path: Path) -> None:
    days = business_days(date(2024, 3, 4), 10)
    with pytest.raises(InputError, match="count Monday to Friday alone: --calendar=business"):
        panel_of(tmp_path, days)


def test_filling_is_not_advised_where_most_would_be_invented(tmp_path: Path) -> None:
    times = ["0", "1", "2", *map(str, range(50, 60)), *map(str, range(100, 105))]
    with pytest.raises(InputError) as caught:
        panel_of(tmp_path, times)
    assert "--fill" not in str(caught.value)
    assert "check the time, the step (--every) and the format of times (--time-format)" in str(caught.value)
    panel = panel_of(tmp_path, times, Evenness(fill="linear"))
    assert panel.notes[0].endswith(", 83 % of all")


def test_the_only_column_of_type_datetime_is_the_time(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    when = [datetime(2024, 1, 1, hour) for hour in range(3)]
    pl.DataFrame({"day": [1, 1, 1], "v": [1.0, 2.0, 3.0], "measured": when}).write_parquet(path)
    panel = load_panel(path)
    assert (panel.targets, panel.grid.every) == (("day", "v"), "1h")


@pytest.mark.parametrize(
    ("header", "row", "time", "targets", "notes"),
    [
        (",date,v", "{i},2024-01-{d},7", "2024-01-01", ("v",), 1),
        ("Unnamed: 0,when,v", "{i},2024-01-{d},7", "2024-01-01", ("v",), 1),
        (",v", "2024-01-{d},7", "2024-01-01", ("v",), 0),  # the index of a frame by days
        (",v", "{i},7", "0", ("v",), 0),
        ("v,when", "7,2024-01-{d}", "2024-01-01", ("v",), 0),
        ("hour,when,v", "5,2024-01-{d},7", "2024-01-01", ("hour", "v"), 0),
    ],
)
def test_the_column_of_times(
    tmp_path: Path, header: str, row: str, time: str, targets: tuple[str, ...], notes: int
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join([header, *(row.format(i=i, d=f"{i + 1:02}") for i in range(5))]) + "\n")
    panel = load_panel(path)
    assert (panel.grid.text(0), panel.targets) == (time, targets)
    assert len(panel.notes) == notes
    assert all("only numbers the rows" in note for note in panel.notes)


def test_a_column_named_time_is_the_time_beside_others_that_contain_times(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("loaded,time,v\n2024-05-01,0,7\n2024-05-02,1,8\n")
    assert load_panel(path, SeriesColumns(targets=("v",))).grid.text(0) == "0"


def test_numbers_that_mark_missing_values_are_holes(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("t,v\n0,1\n1,-9999\n2,3\n")
    columns = SeriesColumns(missing=(-9999.0,))
    with pytest.raises(InputError, match=r"a\.csv:3: the cell of 'v' is empty"):
        load_panel(path, columns)
    np.testing.assert_array_equal(load_panel(path, columns, Evenness(fill="linear")).records[0].values[:, 0], [1, 2, 3])


@pytest.mark.parametrize("cell", ["1e300", "-4e38", "1e39"])
def test_values_beyond_float32_are_refused(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"t,v\n0,1\n1,{cell}\n")
    with pytest.raises(InputError, match=r"a\.csv:3: the cell of 'v' is .*beyond the largest number of float32"):
        load_panel(path)
