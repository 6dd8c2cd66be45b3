"""Forecasting: learning, measuring, saving."""

from __future__ import annotations

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
from sightline.tasks.forecasting.past import cyclic
from sightline.tasks.forecasting.task import ForecastingTask
from sightline.training.optim import OptimConfig
from tests.tasks.forecasting.small import built, small

ETT = Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "ett" / "ETTh1.csv"


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    run = small(model={"dropout": 0.1})
    how = replace(run.training, optim=OptimConfig(schedule="constant", warmup_steps=5), validate_every=10)
    whole = train_task(*built(run), tmp_path / "whole", how).task
    train_task(*built(run), tmp_path / "parts", replace(how, budget="10steps"))
    parts = train_task(*built(run), tmp_path / "parts", how, resume=True).task
    for left, right in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.equal(left, right)


def test_what_a_forecast_costs_and_how_it_was_read() -> None:
    task, data = built(small("nlinear", loss="quantile"))
    costs = task.costs(data.test)
    assert costs.ms is not None
    assert 0 < costs.ms < 10_000
    assert task.facts()["reads"] == "24 steps of 1h"
    assert task.facts()["forecasts"] == "12 steps, quantiles 0.1, 0.5, 0.9"


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
        ({"data": ""}, "--data: no data: give"),
        ({"lookback": 5000}, "no window of 5000"),
    ],
)
def test_data_that_cannot_be_trained_on_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        built(small(**changes))
    assert message in str(caught.value)


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
    assert task.validator(data.valid)(task.model).metrics["loss"] > 0


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("season", "note"),
    [
        (None, "a season of 6 steps in the training part"),
        (12, "a season of 12 steps, as set (--season)"),
        (1, "no season, as set (--season)"),
    ],
)
def test_the_summary_has_the_season_that_is_used(season: int | None, note: str) -> None:
    run = small("gru", lookback=0, horizon=0, season=season)
    for survey in (ForecastingTask.survey(run), ForecastingTask.load_data(run).describe()):
        assert [one for one in survey.notes if one.startswith(("a season", "no season"))] == [note]


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
