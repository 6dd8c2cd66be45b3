"""Forecasts of new series: after the last value, in the form of the file, and what is wrong with them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.data.series.grid import Grid
from sightline.data.series.panel import Panel, Series
from sightline.tasks.forecasting.forecast import Forecast
from sightline.tasks.forecasting.task import ForecastingTask
from tests.tasks.forecasting.small import built, small


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Hourly, a holiday known two days ahead, a temperature that is not."""
    rows = []
    for t in range(240 + 48):
        day, hour = divmod(t, 24)
        holiday = int(day % 7 == 0)
        value = f"{np.sin(t / 3) + 2 * holiday:.4f},{np.cos(t / 5):.4f}" if t < 240 else ","
        rows.append(f"2024-03-{1 + day:02d}T{hour:02d}:00Z,{value},{holiday}")
    path = tmp_path / "load.csv"
    path.write_text("time,load,heat,holiday\n" + "\n".join(rows) + "\n")
    return path


COVARIATES = {"past_covariates": ("heat",), "known_covariates": ("holiday",)}


@pytest.mark.parametrize("decoding", ["direct", "autoregressive"])
def test_a_forecast_follows_the_last_value(table: Path, decoding: str, tmp_path: Path) -> None:
    task, _ = built(small(data=str(table), loss="quantile", model={"decoding": decoding, "paths": 0}, **COVARIATES))
    answer = task.answer([str(table)])[0]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["time"] for row in rows[:3]] == [f"2024-03-11 0{h}:00:00+00:00" for h in range(3)]
    assert len(rows) == 12
    assert list(rows[0]) == ["time", "column", "value", "q0.1", "q0.5", "q0.9"]
    assert all(float(row["q0.1"]) <= float(row["value"]) <= float(row["q0.9"]) for row in rows)
    json.dumps(answer.record, allow_nan=False)
    # The same window, cut by hand, gives the same numbers in the data's own units.
    forecast = task.predict([table])[0]
    panel = forecast.panel
    scaling = task.fitted.scaling(panel)
    record = scaling.scaled(panel).records[0]
    parts = [record.values[-24:], record.past[-24:], record.known[216:252]]
    predicted = task.model(*(torch.from_numpy(part).float()[None] for part in parts)).sort(3).values
    own = predicted[0].detach().numpy() * scaling.spread[0][:, None] + scaling.center[0][:, None]
    np.testing.assert_allclose(forecast.quantiles[0], own, rtol=1e-4, atol=1e-5)


def test_what_is_missing_for_a_forecast_is_named(table: Path, tmp_path: Path) -> None:
    task, _ = built(small(data=str(table), **COVARIATES))
    short = tmp_path / "short.csv"
    lines = table.read_text().splitlines()
    short.write_text("\n".join(lines[:246]) + "\n")
    with pytest.raises(InputError, match="has 5 steps of 'holiday' beyond the last value, but a forecast needs 12"):
        task.answer([str(short)])
    short.write_text("\n".join(lines[:15]) + "\n")
    with pytest.raises(InputError, match="has 14 steps, but the model reads 24"):
        task.answer([str(short)])
    short.write_text("\n".join([lines[0], *lines[1:200:2]]) + "\n")
    with pytest.raises(InputError, match="the step is 2h, but the model was trained on steps of 1h"):
        task.answer([str(short)])
    short.write_text("\n".join([lines[0].replace("load", "lod"), *lines[1:100]]) + "\n")
    with pytest.raises(InputError, match="no column 'load' for the target, did you mean 'lod'"):
        task.answer([str(short)])


def test_arrays_are_forecast_too() -> None:
    task, _ = built(small("nlinear", loss="quantile"))
    found = task.predict([np.random.default_rng(0).normal(size=(50, 2)), [[1.0, 2.0]] * 24])
    assert [one.shape for one in found] == [(12, 2, 3)] * 2
    with pytest.raises(InputError, match=r"expected values of shape \(T, 2\), got \(50, 3\)"):
        task.predict([np.zeros((50, 3))])


def test_a_new_series_is_scaled_by_what_each_window_reads(tmp_path: Path) -> None:
    def rows(names: str, scale: float) -> str:
        return "id,t,v\n" + "\n".join(f"{n},{t},{scale * np.sin(t):.5f}" for n in names for t in range(120)) + "\n"

    (tmp_path / "a.csv").write_text(rows("ab", 1.0))
    (tmp_path / "b.csv").write_text(rows("xa", 1000.0))
    run = small("nlinear", str(tmp_path / "a.csv"), series_column="id")
    task, _ = built(run)
    part = ForecastingTask.read_part(run.changed(data=str(tmp_path / "b.csv")))
    batch = next(iter(task.batches(part, seed=0).epoch()))
    for place, row in enumerate(batch.rows):
        values = part.panel.records[part.record[row]].values[part.origin[row] - 24 : part.origin[row]]
        seen = part.panel.records[part.record[row]].name == "a"
        assert batch.spread[place].numpy() == (task.fitted.spread[0] if seen else values.std(0))
        assert batch.center[place].numpy() == (task.fitted.center[0] if seen else values.mean(0))
        scaled = (values - batch.center[place].numpy()) / batch.spread[place].numpy()
        np.testing.assert_array_equal(batch.values[place].numpy(), scaled.astype(np.float32))
    found = list(csv.DictReader(io.StringIO(task.answer([str(tmp_path / "b.csv")])[0].text)))
    assert [row["series"] for row in found] == ["x"] * 12 + ["a"] * 12
    assert len(part) == 2 * (120 - 24 - 12 + 1)
    measured = task.measure(part)
    assert measured.details["by_series"][0]["series"] == "x"
    assert all(np.isfinite(value) for value in measured.metrics.values())


@pytest.mark.parametrize("norm", ["none", "revin"])
def test_the_future_of_a_new_series_changes_no_earlier_forecast(norm: str, tmp_path: Path) -> None:
    def outputs(name: str, series: str, values: np.ndarray) -> list[np.ndarray]:
        rows = "".join(f"{series},{t},{v:.5f}\n" for t, v in enumerate(values))
        (tmp_path / name).write_text("id,t,v\n" + rows)
        part = ForecastingTask.read_part(run.changed(data=str(tmp_path / name)))
        return task.outputs_of(part)

    values = 5 + np.sin(np.arange(120))
    (tmp_path / "a.csv").write_text("id,t,v\n" + "".join(f"a,{t},{v:.5f}\n" for t, v in enumerate(values)))
    run = small(data=str(tmp_path / "a.csv"), series_column="id", model={"instance_norm": norm})
    task, _ = built(run)
    changed = np.where(np.arange(120) < 60, values, 1e4 * values)
    whole, other = outputs("x.csv", "x", values), outputs("y.csv", "x", changed)
    first = 60 - 24 + 1  # windows whose look-back ends before the change
    np.testing.assert_array_equal(whole[:first], other[:first])
    assert not np.array_equal(whole[first], other[first])
    text = task.answer([str(tmp_path / "x.csv")])[0].record
    assert text["forecast"][0]["value"] == pytest.approx(task.predict([values[:, None].round(5)])[0][0, 0, 0])


def panel_file(path: Path, lengths: dict[str, int]) -> Path:
    rows = [f"{name},{t},{np.sin(t) + ord(name[0]):.5f}" for name, steps in lengths.items() for t in range(steps)]
    path.write_text("id,t,v\n" + "\n".join(rows) + "\n")
    return path


def test_series_that_are_too_short_are_named_and_the_others_forecast(tmp_path: Path) -> None:
    table = panel_file(tmp_path / "a.csv", {"a": 120, "new": 20, "b": 120})
    task, _ = built(small("nlinear", str(table), series_column="id"))
    alone, _ = built(small("nlinear", str(panel_file(tmp_path / "b.csv", {"a": 120, "b": 120})), series_column="id"))
    alone.model.load_state_dict(task.model.state_dict())
    (answer,) = task.answer([str(table)])
    reason = "20 steps, but the model reads 24"
    assert answer.record["left_out"] == [{"series": "new", "reason": reason}]
    assert answer.notes == (f"{table}: 'new' is left out: it has {reason}",)
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["series"] for row in rows] == ["a"] * 12 + ["b"] * 12
    expected = alone.answer([str(tmp_path / "b.csv")])[0]
    assert [row["time"] for row in rows] == [row["time"] for row in expected.record["forecast"]]
    np.testing.assert_allclose(
        [float(row["value"]) for row in rows], [row["value"] for row in expected.record["forecast"]], rtol=1e-5
    )


def test_measuring_and_forecasting_refuse_the_same_steps(table: Path, tmp_path: Path) -> None:
    run = small(data=str(table), **COVARIATES)
    task, _ = built(run)
    lines = table.read_text().splitlines()
    other = tmp_path / "other.csv"
    other.write_text("\n".join([lines[0], *lines[1:200:2]]) + "\n")
    problem = "the step is 2h, but the model was trained on steps of 1h"
    with pytest.raises(InputError, match=problem):
        task.measure(task.read_part(run.changed(data=str(other))))
    with pytest.raises(InputError, match=problem):
        task.answer([str(other)])


def test_values_too_far_from_those_of_training_are_named(tmp_path: Path) -> None:
    values = [*(1e-30 * np.sin(np.arange(100))), *[1e20] * 20]
    path = tmp_path / "a.csv"
    path.write_text("t,v\n" + "".join(f"{t},{value}\n" for t, value in enumerate(values)))
    task, data = built(small("nlinear", str(path)))
    with pytest.raises(InputError, match=r"a\.csv: 'v' at 100 is too large beside the values of training"):
        task.measure(data.test)
    with pytest.raises(InputError, match="step 3 of the values is not finite"):
        task.predict([[[0.0]] * 3 + [[float("nan")]] + [[0.0]] * 30])


def test_predict_names_the_series_that_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = panel_file(tmp_path / "a.csv", {"a": 120, "new": 20})
    task, _ = built(small("nlinear", str(table), series_column="id"))
    task.save(tmp_path / "model")
    assert main(["predict", str(tmp_path / "model"), str(table)]) == 0
    out, error = capsys.readouterr()
    assert {row["series"] for row in csv.DictReader(io.StringIO(out))} == {"a"}
    assert error == f"sightline: {table}: 'new' is left out: it has 20 steps, but the model reads 24\n"
    assert main(["predict", str(tmp_path / "model"), str(table), "--json"]) == 0
    (prediction,) = json.loads(capsys.readouterr().out)["predictions"]
    assert [series["series"] for series in prediction["left_out"]] == ["new"]
    assert main(["predict", str(tmp_path / "model"), str(panel_file(tmp_path / "b.csv", {"new": 20}))]) == 2


def test_a_forecast_continues_dates_as_whole_numbers(tmp_path: Path) -> None:
    days = [f"{np.datetime64('2023-11-01') + day}".replace("-", "") for day in range(92)]
    table = tmp_path / "a.csv"
    table.write_text("date,v\n" + "".join(f"{day},{i % 7}\n" for i, day in enumerate(days)))
    task, _ = built(small("nlinear", str(table), horizon=7))
    (answer,) = task.answer([str(table)])
    assert [row["time"] for row in answer.record["forecast"]][:2] == ["20240201", "20240202"]
    assert "are read as dates" in answer.notes[0]


@pytest.mark.parametrize("first", [1_704_067_200_000_000_001, 7])
def test_a_frame_continues_whole_numbers_exactly(first: int) -> None:
    """Nanoseconds since 1970 have more digits than float64."""
    times = [first + 1_000_003 * step for step in range(8)]
    values = np.arange(8.0)[:, None]
    empty = np.zeros((8, 0))
    panel = Panel("a", Grid("number", first, 1_000_003), ("v",), (), (), (Series("", 0, values, empty, empty),))
    forecast = Forecast(panel, np.zeros((1, 3, 1)), np.zeros((1, 3, 1, 0)))
    frame = forecast.frame(pl.DataFrame({"time": times, "v": values[:, 0]}))
    assert frame["time"].to_list() == [first + 1_000_003 * step for step in (8, 9, 10)]


def test_linear_maps_refuse_covariates_and_sizes(table: Path) -> None:
    with pytest.raises(InputError, match="arch: dlinear does not read covariates"):
        built(small("dlinear", str(table), **COVARIATES))
    with pytest.raises(InputError, match="cannot be scaled"):
        built(small("dlinear", match="params=1M"))


@pytest.mark.parametrize("steps", [2, 3, 9, 40])
def test_short_series_are_described(steps: int, tmp_path: Path) -> None:
    table = panel_file(tmp_path / "a.csv", {"a": steps})
    survey = ForecastingTask.survey(small("gru", str(table), series_column="id", lookback=96))
    assert sum(part["values"] for part in survey.parts.values()) == steps
    assert any("each part needs some" in note or "no window of 96" in note for note in survey.notes)
    list(survey.lines())
    json.dumps(survey.to_dict(), allow_nan=False)
