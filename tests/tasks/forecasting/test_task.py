"""Forecasting: learning, measuring, saving, and the values after the last one."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.data.series.corpus import level_and_spread
from sightline.data.series.windows import make_windows
from sightline.models import FORECASTERS
from sightline.tasks.fit import train_task
from sightline.tasks.forecasting import baselines
from sightline.tasks.forecasting.config import ForecastingRun
from sightline.tasks.forecasting.past import cyclic
from sightline.tasks.forecasting.task import ForecastingTask
from sightline.training.optim import OptimConfig

ETT = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "ett" / "ETTh1.csv"


def small(
    arch: str = "gru", data: str = "builtin:seasonal?length=600&season=6&series=2", **changes: Any
) -> ForecastingRun:
    preset = ForecastingTask.preset(arch)
    if arch not in ("dlinear", "nlinear"):
        model = {"d_model": 16, "layers": 1, "heads": 2, "patch": 6, "dropout": 0.0, **changes.pop("model", {})}
        preset = preset.changed(model=replace(preset.settings.model, **model))
    run = {"lookback": 24, "horizon": 12, "budget": "20steps", "device": "cpu", "batch_size": 32, **changes}
    return preset.changed(data=data, **run)


def built(run: ForecastingRun) -> tuple[ForecastingTask, Any]:
    data = ForecastingTask.load_data(run)
    return ForecastingTask.build(data, run), data


@pytest.mark.parametrize("arch", ["nlinear", "dlinear"])
def test_a_linear_map_comes_near_the_truth_of_a_season(
    arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = small(arch, "builtin:seasonal?length=3000&season=6&series=2&slope=0", budget="250steps", lookback=60)
    task, data = built(run)
    trained = train_task(task, data, tmp_path / "run", run.training).task
    measured = trained.baselines(data.train, data.valid, data.test)
    scores = {baseline.name: baseline.metrics["mse"] for baseline in measured}
    reached = trained.measure(data.test).metrics["mse"]
    assert scores["truth"] == pytest.approx(float(np.mean((0.5 / np.array(task.fitted.spread)) ** 2)), rel=0.12)
    assert scores["truth"] < reached < 1.3 * scores["truth"]
    assert reached < 0.75 * scores["seasonal naive"] < scores["repeat"]
    assert task.fitted.season == 6


def test_seasonal_naive_has_twice_the_noise_of_the_truth() -> None:
    """Both its numbers carry the noise; the slope over a season adds next to nothing."""
    task, data = built(small("nlinear", "builtin:seasonal?length=20000&season=6&series=1&slope=0"))
    noise = (0.5 / task.fitted.spread[0][0]) ** 2
    found = task.score(data.test, cyclic(data.test, 6.0, 1)).metrics()
    assert found["mse"] == pytest.approx(2 * noise, rel=0.05)


def test_true_quantiles_are_calibrated_and_cheapest() -> None:
    run = small(
        data="builtin:ar?length=6000&phi=0.8&series=1", loss="quantile", quantiles=(0.05, 0.25, 0.5, 0.75, 0.95)
    )
    task, data = built(run)
    truth = task.score(data.test, baselines.truth(data.test, run.settings.quantiles))
    assert truth.metrics()["coverage"] == pytest.approx(0.9, abs=0.02)
    assert truth.details()["intervals"][1]["coverage"] == pytest.approx(0.5, abs=0.03)
    assert truth.metrics()["pinball"] < task.measure(data.test).metrics["pinball"]


@pytest.mark.parametrize("decoding", ["direct", "autoregressive"])
@pytest.mark.parametrize("loss", ["mse", "mae", "quantile"])
def test_the_training_loss_is_that_of_its_formula(loss: str, decoding: str) -> None:
    task, data = built(small(loss=loss, model={"decoding": decoding}))
    batch = next(task.batches(data.train, seed=0).epoch())
    forecast = task.model(batch.values, batch.past, batch.known, batch.future).detach().numpy()
    true = torch.cat([batch.values, batch.future], 1).numpy()[:, -forecast.shape[1] :]
    assert forecast.shape[1] == (12 if decoding == "direct" else 24 - 6 + 12)
    measured = task.loss(task.model, batch)
    if loss == "quantile":
        expected = sum(
            np.where(true >= forecast[..., i], q * (true - forecast[..., i]), (1 - q) * (forecast[..., i] - true)).sum()
            for i, q in enumerate((0.1, 0.5, 0.9))
        ) / 3  # fmt: skip
    else:
        expected = (np.abs(true - forecast[..., 0]) ** (2 if loss == "mse" else 1)).sum()
    assert float(measured.total.detach()) == pytest.approx(expected, rel=1e-4)
    assert measured.count == true.size


def test_scaling_and_season_are_learnt_from_training_alone(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=200)
    text = "t,v\n" + "\n".join(f"{t},{v:.6f}" for t, v in enumerate(values)) + "\n"
    other = "t,v\n" + "\n".join(f"{t},{v if t < 140 else 1e3 * v:.6f}" for t, v in enumerate(values)) + "\n"
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.csv").write_text(other)
    fitted = [built(small(data=str(tmp_path / name)))[0].fitted for name in ("a.csv", "b.csv")]
    assert fitted[0] == fitted[1]


@pytest.mark.parametrize("arch", ["dlinear", "gru"])
@pytest.mark.parametrize("loss", ["mse", "quantile"])
def test_a_saved_forecaster_says_the_same(arch: str, loss: str, tmp_path: Path) -> None:
    run = small(arch, loss=loss, match=None if arch == "dlinear" else "params=20k")
    task, data = built(run)
    task.save(tmp_path / "model")
    again = ForecastingTask.load(tmp_path / "model")
    assert again.config == task.config
    assert again.fitted == task.fitted
    assert again.measure(data.test).metrics == task.measure(data.test).metrics
    assert "series.json" in (tmp_path / "model" / "README.md").read_text()


def test_a_forecaster_with_fewer_weights_than_its_average_is_wide_loads(tmp_path: Path) -> None:
    task, data = built(small("dlinear", lookback=4, horizon=2))
    task.save(tmp_path / "model")
    assert ForecastingTask.load(tmp_path / "model").measure(data.test).metrics == task.measure(data.test).metrics


def test_a_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    run = small(model={"dropout": 0.1})
    how = replace(run.training, optim=OptimConfig(schedule="constant", warmup_steps=5), validate_every=10)
    whole = train_task(*built(run), tmp_path / "whole", how).task
    train_task(*built(run), tmp_path / "parts", replace(how, budget="10steps"))
    parts = train_task(*built(run), tmp_path / "parts", how, resume=True).task
    for left, right in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.equal(left, right)


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


def test_what_a_forecast_costs_and_how_it_was_read() -> None:
    task, data = built(small("nlinear", loss="quantile"))
    costs = task.costs(data.test)
    assert costs.ms is not None
    assert 0 < costs.ms < 10_000
    assert task.facts()["reads"] == "24 steps of 1h"
    assert task.facts()["forecasts"] == "12 steps, quantiles 0.1, 0.5, 0.9"


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


def test_a_look_back_that_does_not_vary_keeps_its_size() -> None:
    center, spread = level_and_spread(np.full((12, 2), 0.1) * [1, 0])
    assert center.tolist() == pytest.approx([0.1, 0.0])
    assert spread.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": "lstmm"}, "arch: unknown architecture 'lstmm', did you mean 'lstm'"),
        (
            {"arch": "bahdanau"},
            "arch: 'bahdanau' is an encoder-decoder, which reads a source and writes a target, but forecasting needs",
        ),
        ({"horizon": -1}, "horizon: must be at least 0"),
        ({"quantiles": (0.1, 0.9)}, "quantiles: expected rising levels"),
        ({"quantiles": (0.9, 0.5, 0.1)}, "quantiles: expected rising levels"),
        ({"quantiles": (0.0, 0.5, 1.0)}, "quantiles: expected rising levels"),
        ({"lookback": 20, "model": {"decoding": "autoregressive"}}, "lookback: must be a multiple of the patch of 6"),
        ({"data": ""}, "--data: no data named"),
        ({"lookback": 5000}, "no window of 5000"),
    ],
)
def test_data_that_cannot_be_trained_on_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        built(small(**changes))
    assert message in str(caught.value)


def test_linear_maps_refuse_covariates_and_sizes(table: Path) -> None:
    with pytest.raises(InputError, match="arch: dlinear does not read covariates"):
        built(small("dlinear", str(table), **COVARIATES))
    with pytest.raises(InputError, match="cannot be scaled"):
        built(small("dlinear", match="params=1M"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.update(center=[[0.0]]), "expected 1 rows of 2 numbers"),
        (lambda found: found.update(spread=[[0.0, 1.0]]), "expected positive numbers"),
        (lambda found: found.update(season=0), "expected series, targets and a season"),
        (lambda found: found.update(seasons=3), "unknown key, did you mean 'season'"),
        (lambda found: found["columns"].update(past=["x"]), "expected 2 rows of 1 numbers"),
        (lambda found: found.update(names=["", "b"]), "expected 2 rows"),
        (lambda found: found["columns"].update(targets=["s0"]), "expected 1 rows of 1 numbers"),
    ],
)
def test_a_damaged_series_file_is_refused(change: Any, message: str, tmp_path: Path) -> None:
    task, _ = built(small("nlinear"))
    task.save(tmp_path / "model")
    path = tmp_path / "model" / "series.json"
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    with pytest.raises(InputError) as caught:
        ForecastingTask.load(tmp_path / "model")
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe"])
def test_a_series_file_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    task, _ = built(small("nlinear"))
    task.save(tmp_path / "model")
    (tmp_path / "model" / "series.json").write_bytes(content)
    with pytest.raises(InputError, match=r"series\.json: not"):
        ForecastingTask.load(tmp_path / "model")


def test_every_architecture_of_the_form_has_a_preset() -> None:
    for arch in FORECASTERS:
        assert ForecastingTask.preset(arch).settings.arch == arch


@pytest.mark.skipif(not ETT.exists(), reason=f"needs {ETT}: see SIGHTLINE_VERIFY_DATA")
@pytest.mark.parametrize(("horizon", "mse", "mae"), [(96, 1.295, 0.713), (336, 1.323, 0.744)])
def test_repeating_on_etth1_has_the_published_error(horizon: int, mse: float, mae: float) -> None:
    """Zeng et al. 2023, table 2, whose loader leaves out the last windows that fill no batch of 32."""
    run = small(
        "nlinear", str(ETT), split=(8640.0, 2880.0, 2880.0), horizon=horizon, lookback=336, protocol="published"
    )
    task, data = built(run)
    assert len(data.test) % 32 == 0
    found = task.score(data.test, baselines.repeat(horizon)).metrics()
    assert found["mse"] == pytest.approx(mse, abs=0.001)
    assert found["mae"] == pytest.approx(mae, abs=0.001)


def test_the_median_alone_is_a_quantile_forecast() -> None:
    task, data = built(small(data="builtin:ar?length=600&series=1", loss="quantile", quantiles=(0.5,)))
    measured = task.measure(data.test)
    assert measured.metrics["pinball"] == pytest.approx(measured.metrics["mae"] / 2)
    assert task.validator(data.valid)(task.model)["loss"] > 0


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


def test_sizes_that_are_not_named_follow_the_data_and_are_kept(tmp_path: Path) -> None:
    run = small("gru", "builtin:seasonal?length=600&season=7&series=2", lookback=0, horizon=0)
    task, data = built(run)
    assert (task.config.lookback, task.config.horizon) == (28, 7)
    assert "look-back 28 and horizon 7, as the season has 7 steps (--lookback, --horizon)" in data.notes
    trained = train_task(task, data, tmp_path / "run", run.training).task
    assert (trained.config.lookback, trained.config.horizon) == (28, 7)
    # The same part of the data, even where other data would have other defaults.
    other = make_windows(data.series, 30, 10).test
    assert trained.measure(other).metrics == trained.measure(data.test).metrics
    patches, _ = built(small(lookback=0, horizon=0, model={"decoding": "autoregressive", "patch": 5}))
    assert patches.config.lookback % 5 == 0


@pytest.mark.parametrize("steps", [2, 3, 9, 40])
def test_short_series_are_described(steps: int, tmp_path: Path) -> None:
    table = panel_file(tmp_path / "a.csv", {"a": steps})
    survey = ForecastingTask.survey(small("gru", str(table), series_column="id", lookback=96))
    assert sum(part["values"] for part in survey.parts.values()) == steps
    assert any("each part needs some" in note or "no window of 96" in note for note in survey.notes)
    list(survey.lines())
    json.dumps(survey.to_dict(), allow_nan=False)


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


@pytest.mark.parametrize("value", ["1e300", "-inf", "1e39"])
def test_a_value_too_large_stops_training_and_leaves_nothing(
    value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "a.csv"
    table.write_text("t,v\n" + "".join(f"{t},{value if t == 50 else t % 7}\n" for t in range(100)))
    flags = ["--task", "forecasting", "--arch", "nlinear", "--max-steps", "2", "-q"]
    assert main(["train", "--data", str(table), "--out-dir", str(tmp_path / "run"), *flags]) == 2
    assert capsys.readouterr().err.startswith(f"sightline: error: {table}:52: the cell of 'v' is ")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_a_forecast_continues_dates_as_whole_numbers(tmp_path: Path) -> None:
    days = [f"{np.datetime64('2023-11-01') + day}".replace("-", "") for day in range(92)]
    table = tmp_path / "a.csv"
    table.write_text("date,v\n" + "".join(f"{day},{i % 7}\n" for i, day in enumerate(days)))
    task, _ = built(small("nlinear", str(table), horizon=7))
    (answer,) = task.answer([str(table)])
    assert [row["time"] for row in answer.record["forecast"]][:2] == ["20240201", "20240202"]
    assert "are read as dates" in answer.notes[0]
