"""Tables of series: values are those in the file, on the grid of the times, divided by time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import StandardScaler

from sightline.core.errors import InputError
from sightline.data.series.builtin import Autoregression, Seasonal, generate
from sightline.data.series.corpus import SeriesColumns, SeriesScaling, fit_scaling, load_panel, load_series
from sightline.data.series.panel import Evenness


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def hourly(tmp_path: Path) -> Path:
    begin = datetime(2024, 2, 28, 22)
    rows = [f"{begin + timedelta(hours=i)},{i},{i * i / 10}" for i in range(40)]
    return written(tmp_path / "a.csv", "time,x,y\n" + "\n".join(rows) + "\n")


def test_a_wide_table_is_one_series_of_several_columns(hourly: Path) -> None:
    panel = load_panel(hourly)
    assert panel.targets == ("x", "y")
    assert [record.name for record in panel.records] == [""]
    np.testing.assert_array_equal(panel.records[0].values[:, 0], np.arange(40))
    np.testing.assert_array_equal(panel.records[0].values[:, 1], np.arange(40) ** 2 / 10)
    assert panel.grid.every == "1h"
    assert panel.grid.text(26) == "2024-03-01 00:00:00"  # through a leap day
    assert panel.notes == ()


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz", ".parquet"])
def test_every_container_gives_the_same_panel(hourly: Path, tmp_path: Path, suffix: str) -> None:
    frame = pl.read_csv(hourly, try_parse_dates=True)
    path = tmp_path / f"b{suffix}"
    if suffix == ".parquet":
        frame.write_parquet(path)
    elif suffix == ".csv.gz":
        import gzip

        path.write_bytes(gzip.compress(hourly.read_bytes()))
    else:
        path.write_text(hourly.read_text().replace(",", "\t" if suffix == ".tsv" else ","))
    panel, expected = load_panel(path), load_panel(hourly)
    np.testing.assert_array_equal(panel.records[0].values, expected.records[0].values)
    assert panel.grid == expected.grid


def test_a_long_table_is_one_series_for_each_name_in_any_order_of_rows(tmp_path: Path) -> None:
    text = "id,ds,v\nb,2024-01-02,20\na,2024-01-01,1\nb,2024-01-03,30\na,2024-01-02,2\na,2024-01-03,3\n"
    panel = load_panel(written(tmp_path / "a.csv", text), SeriesColumns(series="id"))
    result = {record.name: (record.start, record.values[:, 0].tolist()) for record in panel.records}
    assert result == {"b": (1, [20.0, 30.0]), "a": (0, [1.0, 2.0, 3.0])}
    assert panel.grid.every == "1d"
    assert panel.grid.text(2) == "2024-01-03"
    assert panel.label(0, 0) == "b"


@pytest.mark.parametrize(
    ("times", "every", "following"),
    [
        (["1949-01", "1949-02", "1949-03"], "1mo", "1949-04-01"),
        (["2023-01-31", "2023-02-28", "2023-03-31"], "1mo", "2023-04-30"),
        (["2023-01-15", "2023-04-15", "2023-07-15"], "1q", "2023-10-15"),
        (["2019-03-01", "2020-03-01", "2021-03-01"], "1y", "2022-03-01"),
        (["2024-01-01", "2024-01-08", "2024-01-15"], "7d", "2024-01-22"),
        (["2024-01-01T00:00Z", "2024-01-01T00:15Z", "2024-01-01T00:30Z"], "15min", "2024-01-01 00:45:00+00:00"),
        (["2024-06-01 00:00+02:00", "2024-06-01 06:00+0200", "2024-06-01 12:00+02:00"], "6h",
         "2024-06-01 18:00:00+02:00"),
        (["2024-01-01 00:00:00.25", "2024-01-01 00:00:00.5", "2024-01-01 00:00:00.75"], "250ms", "2024-01-01 00:00:01"),
        (["7", "9", "11"], "2", "13"),
    ],
)  # fmt: skip
def test_the_grid_goes_on_as_the_times_do(tmp_path: Path, times: list[str], every: str, following: str) -> None:
    text = "date,v\n" + "".join(f"{time},{i}\n" for i, time in enumerate(times))
    panel = load_panel(written(tmp_path / "a.csv", text))
    assert panel.grid.every == every
    assert panel.grid.text(3) == following
    assert panel.records[0].values[:, 0].tolist() == [0.0, 1.0, 2.0]


def test_a_named_form_of_times(tmp_path: Path) -> None:
    text = "day,v\n30/12/2023,1\n31/12/2023,2\n01/01/2024,3\n"
    panel = load_panel(written(tmp_path / "a.csv", text), SeriesColumns(time_format="%d/%m/%Y"))
    assert [panel.grid.text(i) for i in range(3)] == ["2023-12-30", "2023-12-31", "2024-01-01"]


def test_covariates_known_ahead_may_go_on_beyond_the_values(tmp_path: Path) -> None:
    text = "t,v,sun,holiday\n0,1,5,0\n1,2,6,0\n2,3,7,1\n3,,,1\n4,,,0\n"
    columns = SeriesColumns(past=("sun",), known=("holiday",))
    record = load_panel(written(tmp_path / "a.csv", text), columns).records[0]
    assert record.values[:, 0].tolist() == [1.0, 2.0, 3.0]
    assert record.past[:, 0].tolist() == [5.0, 6.0, 7.0]
    assert record.known[:, 0].tolist() == [0.0, 0.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("fill", "expected"),
    [
        ("forward", [1.0, 1.0, 4.0, 4.0, 4.0, 8.0]),
        ("linear", [1.0, 2.5, 4.0, 16 / 3, 20 / 3, 8.0]),
        ("zero", [1.0, 0.0, 4.0, 0.0, 0.0, 8.0]),
    ],
)
def test_holes_and_gaps_are_filled_by_the_named_rule_and_counted(tmp_path: Path, fill: str, expected: list) -> None:
    path = written(tmp_path / "a.csv", "t,v\n0,1\n1,NaN\n2,4\n5,8\n")
    panel = load_panel(path, rules=Evenness(fill=fill))
    np.testing.assert_allclose(panel.records[0].values[:, 0], expected)
    assert panel.notes == (f"3 missing cells filled by {fill} (at or before lines 3, 5)",)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("mean", [2.0, 5.0]), ("sum", [4.0, 10.0]), ("first", [1.0, 6.0]), ("last", [3.0, 4.0]),
     ("min", [1.0, 4.0]), ("max", [3.0, 6.0])],
)  # fmt: skip
def test_uneven_times_are_resampled_by_the_named_rule(tmp_path: Path, rule: str, expected: list[float]) -> None:
    text = "time,v\n2024-01-01 10:05,1\n2024-01-01 10:55,3\n2024-01-01 11:59,4\n2024-01-01 11:10,6\n2024-01-01 11:20,\n"
    panel = load_panel(written(tmp_path / "a.csv", text), rules=Evenness(every="1h", resample=rule))
    assert panel.records[0].values[:, 0].tolist() == expected
    assert panel.grid.text(0) == "2024-01-01 10:00:00"
    assert "5 rows resampled" in panel.notes[0]


def test_parts_are_divided_by_time_alike_for_all_series(tmp_path: Path) -> None:
    rows = [f"{name},{t},{t}" for name, first in (("a", 0), ("b", 6)) for t in range(first, 20)]
    path = written(tmp_path / "a.csv", "id,t,v\n" + "\n".join(rows) + "\n")
    data = load_series(path, SeriesColumns(series="id"), split=(10.0, 4.0, 4.0))
    assert data.bounds == (0, 10, 14, 18)
    assert [rows[:, 0].tolist() for rows in data.values("valid")] == [[10.0, 11, 12, 13]] * 2
    assert [len(rows) for rows in data.values("train")] == [10, 4]
    assert data.panel.end == 18
    assert data.notes == ("the split leaves out the last 2 of 20 steps",)
    assert load_series(path, SeriesColumns(series="id"), split=(0.5, 0.2, 0.3)).bounds == (0, 10, 14, 20)


@pytest.mark.parametrize(
    ("split", "problem"),
    [
        ((0.9, 0.1, 0.0), "0 of test: each part needs some"),
        ((30.0, 10.0, 10.0), "asks for 50 steps of 40"),
        ((0.9, 0.9, 0.9), "expected shares of at most 1"),
        ((float("nan"), 0.1, 0.1), "expected three shares"),
    ],
)
def test_a_split_that_cannot_be(hourly: Path, split: tuple[float, float, float], problem: str) -> None:
    with pytest.raises(InputError, match=f"^split: .*{problem}"):
        load_series(hourly, split=split)


def test_scaling_is_learnt_from_training_alone(hourly: Path) -> None:
    data = load_series(hourly, split=(20.0, 10.0, 10.0))
    scaling = fit_scaling(data)
    values = data.panel.records[0].values
    expected = StandardScaler().fit(values[:20]).transform(values)
    np.testing.assert_allclose(scaling.scaled(data.panel).records[0].values, expected)
    assert isinstance(scaling, SeriesScaling)
    np.testing.assert_array_equal(fit_scaling(data, "none").scaled(data.panel).records[0].values, values)


def test_a_constant_column_keeps_its_size(tmp_path: Path) -> None:
    data = load_series(written(tmp_path / "a.csv", "t,v\n" + "".join(f"{i},7\n" for i in range(9))))
    assert fit_scaling(data).scaled(data.panel).records[0].values.tolist() == [[0.0]] * 9


def test_a_column_that_is_constant_in_training_keeps_its_size_later(tmp_path: Path) -> None:
    """The deviation of a thousand times 21.4 is 3.6e-15 in floating point: rounding, not a spread."""
    rows = [f"{i},{21.4 + 0.5 * (i >= 900)},{21.4 + 0.5 * (i >= 900)},{0.7 + 0.5 * (i >= 900)}" for i in range(1000)]
    columns = SeriesColumns(targets=("v",), past=("p",), known=("k",))
    data = load_series(written(tmp_path / "a.csv", "t,v,p,k\n" + "\n".join(rows) + "\n"), columns)
    scaled = fit_scaling(data).scaled(data.panel).records[0]
    for values in (scaled.values, scaled.past, scaled.known):
        np.testing.assert_allclose(values[:900], 0.0, atol=1e-12)
        np.testing.assert_allclose(values[900:], 0.5, atol=1e-12)


def test_the_hash_is_of_the_numbers_and_their_times(hourly: Path, tmp_path: Path) -> None:
    other = written(tmp_path / "b.csv", hourly.read_text().replace(",3,", ",3.0,").replace("\n", "\r\n"))
    assert load_series(other).sha256 == load_series(hourly).sha256
    changed = written(tmp_path / "c.csv", hourly.read_text().replace(",39,", ",39.5,"))
    later = written(tmp_path / "d.csv", hourly.read_text().replace("2024-", "2028-"))
    assert len({load_series(path).sha256 for path in (hourly, changed, later)}) == 3


def test_numbers_that_seem_to_mark_missing_values_are_noted(tmp_path: Path) -> None:
    def noted(values: np.ndarray) -> tuple[str, ...]:
        return load_series(
            written(tmp_path / "a.csv", "t,v\n" + "".join(f"{t},{v}\n" for t, v in enumerate(values)))
        ).notes

    values = np.round(np.random.default_rng(0).normal(20, 3, 170), 2)
    assert noted(values) == ()
    values[::17] = -9999
    (note,) = noted(values)
    assert note.startswith("10 values of 'v' are -9999, far from all others")
    assert "--missing=-9999" in note
    values[::17] = -9999.1234567
    assert "--missing=-9999.1234567" in noted(values)[0]  # what finds it
    assert noted((np.arange(170) % 7 == 0).astype(int)) == ()  # a flag
    assert noted(np.minimum(values, 100)[values > 0].clip(18)) == ()  # a limit of a sensor


@pytest.mark.parametrize("numbers", [pl.Float32, pl.Float64, pl.String])
def test_a_marker_is_found_in_numbers_of_any_precision(tmp_path: Path, numbers: type[pl.DataType]) -> None:
    """-99.99 of float32 is -99.98999786 in float64."""
    values = pl.Series([1.5, -99.99, 3.5, 4.5]).cast(numbers)
    pl.DataFrame({"t": [1, 2, 3, 4], "v": values}).write_parquet(tmp_path / "a.parquet")
    if numbers == pl.String:
        pl.DataFrame({"t": [1, 2, 3, 4], "v": values}).write_csv(tmp_path / "a.csv")
    path = tmp_path / ("a.csv" if numbers == pl.String else "a.parquet")
    panel = load_panel(path, SeriesColumns(missing=(-99.99,)), Evenness(fill="linear"))
    assert panel.records[0].values[:, 0].tolist() == [1.5, 2.5, 3.5, 4.5]


def test_the_seasonal_truth_leaves_white_noise() -> None:
    panel, truth = generate("builtin:seasonal?length=20000&noise=0.3&series=3")
    assert isinstance(truth, Seasonal)
    mean, spread = truth.forecast(0, 0, panel.records[0].values[:0], 20000)
    rest = panel.records[0].values - mean
    np.testing.assert_allclose(rest.std(0), 0.3, rtol=0.02)
    assert abs(np.corrcoef(rest[1:, 0], rest[:-1, 0])[0, 1]) < 0.02
    assert (spread == 0.3).all()


def test_the_autoregressive_truth_has_the_error_that_theory_gives() -> None:
    panel, truth = generate("builtin:ar?length=50000&phi=0.8&noise=2&series=1")
    assert isinstance(truth, Autoregression)
    values = panel.records[0].values
    origins = range(100, 49000, 19)
    for h in (1, 3, 10):
        errors = [values[t + h - 1] - truth.forecast(0, t, values[:t], h)[0][-1] for t in origins]
        expected = 2.0**2 * (1 - 0.8 ** (2 * h)) / (1 - 0.8**2)
        assert np.mean(np.square(errors)) == pytest.approx(expected, rel=0.08)
        assert truth.forecast(0, 100, values[:100], h)[1][-1, 0] ** 2 == pytest.approx(expected)


def test_built_in_series_are_the_same_each_time_and_differ_by_seed() -> None:
    assert load_series("builtin:ar").sha256 == load_series("builtin:ar").sha256
    assert load_series("builtin:ar").sha256 != load_series("builtin:ar?seed=1").sha256


@pytest.mark.parametrize(
    ("frequency", "every", "second"),
    [
        ("half_hourly", "30min", "2024-01-31 00:30:00"),
        ("10_minutes", "10min", "2024-01-31 00:10:00"),
        ("4_seconds", "4s", "2024-01-31 00:00:04"),
        ("daily", "1d", "2024-02-01"),
        ("weekly", "7d", "2024-02-07"),
        ("monthly", "1mo", "2024-02-29"),
        ("quarterly", "1q", "2024-04-30"),
        ("yearly", "1y", "2025-01-31"),
    ],
)
def test_frequencies_of_the_monash_archive(tmp_path: Path, frequency: str, every: str, second: str) -> None:
    text = f"# a comment\n@frequency {frequency}\n@attribute start_timestamp date\n@data\n2024-01-31 00-00-00:1,2\n"
    panel = load_panel(written(tmp_path / "a.tsf", text))
    assert (panel.grid.every, panel.grid.text(1)) == (every, second)
    assert panel.records[0].values[:, 0].tolist() == [1.0, 2.0]


def test_months_of_the_monash_archive_begin_on_the_day_that_all_series_have(tmp_path: Path) -> None:
    head = "@frequency monthly\n@attribute name string\n@attribute start_timestamp date\n@data\n"

    def times(*starts: str) -> tuple[list[list[str]], tuple[str, ...]]:
        lines = [f"{start[-2:]}:{start} 00-00-00:1,2" for start in starts]
        panel = load_panel(written(tmp_path / "a.tsf", head + "\n".join(lines) + "\n"))
        return [[panel.grid.text(one.start + step) for step in (0, 1)] for one in panel.records], panel.notes

    assert times("1990-01-31", "1990-02-28") == ([["1990-01-31", "1990-02-28"], ["1990-02-28", "1990-03-31"]], ())
    assert times("1990-01-15")[0] == [["1990-01-15", "1990-02-15"]]
    both, notes = times("1990-01-15", "1990-03-02")
    assert both == [["1990-01-01", "1990-02-01"], ["1990-03-01", "1990-04-01"]]
    assert notes == ("the series begin on different days of a month: their times are those of its first day",)


def test_series_without_times_are_numbered(tmp_path: Path) -> None:
    text = "@attribute series_name string\n@attribute state string\n@data\na:NSW:1,2,3\nb:VIC:4\n"
    panel = load_panel(written(tmp_path / "a.tsf", text))
    assert [(r.name, r.start, r.values[:, 0].tolist()) for r in panel.records] == [("a", 0, [1, 2, 3]), ("b", 0, [4])]
    assert panel.notes == ("not read: state", "the series have no times: their steps are numbered")
