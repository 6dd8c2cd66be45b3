"""Baselines of forecasting by hand, and as statsmodels and scikit-learn have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from sightline.data.series.corpus import fit_scaling
from sightline.data.series.grid import Grid
from sightline.data.series.times import DAY
from sightline.data.series.windows import WindowBatches
from sightline.tasks.forecasting import baselines, theta
from sightline.tasks.forecasting.forecaster import Forecaster
from sightline.tasks.forecasting.past import cyclic
from sightline.tasks.forecasting.task import ForecastingTask
from tests.tasks.forecasting import small

HOUR = DAY // 24

# statsmodels 0.15.0: ThetaModel(y, period=m, deseasonalize=m > 1, use_test=False, method="additive").fit(), its alpha
# and forecast(6).
STATSMODELS = {
    1: (0.14255402478770135, [14.5560458, 14.6025873, 14.64912881, 14.69567031, 14.74221181, 14.78875331]),
    4: (0.432998157309646, [18.09858758, 15.20061327, 12.20036623, 15.25125556, 18.30214489, 15.40417058]),
    7: (0.9998620333064785, [2.29143529, 3.13905434, 4.32476862, 5.84857815, 0.70000672, 0.99429243]),
}


def series_of(season: int) -> np.ndarray:
    t = np.arange(45)
    if season == 7:
        return 10 - 0.2 * t + (t % 7) ** 2 / 7 + (t * t % 11) * 0.2
    return 10 + 0.1 * t + 3 * np.sin(2 * np.pi * t / 4) + (t * 7 % 5) * 0.3


@pytest.mark.parametrize("season", list(STATSMODELS))
def test_theta_is_that_of_statsmodels(season: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alpha, expected = STATSMODELS[season]
    values = np.stack([series_of(season), 5 - 2 * series_of(season)], 1)[None]  # the method commutes with a scale
    near = theta.theta(values, 6, season)[0]
    monkeypatch.setattr(theta, "ALPHAS", np.array([alpha]))
    same = theta.theta(values, 6, season)[0]
    np.testing.assert_allclose(same[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(same[:, 1], 5 - 2 * np.array(expected), atol=1e-6)
    np.testing.assert_allclose(near[:, 0], expected, atol=0.2)  # alpha is one of a few values


def built(path: Path, values: np.ndarray, **changes):
    """A task of a table of one column; the last tenth is the test."""
    path.write_text("t,v\n" + "\n".join(f"{t},{float(v)!r}" for t, v in enumerate(values)) + "\n")
    run = ForecastingTask.preset("nlinear").changed(data=str(path), device="cpu", **changes)
    data = ForecastingTask.load_data(run)
    return ForecastingTask.build(data, run), data


def forecasts(task: ForecastingTask, windows, predictor) -> np.ndarray:
    """In the units of the data (N, H)."""
    batch = next(WindowBatches(windows, task.fitted.scaling(windows.panel), size=len(windows), shuffle=False).epoch())
    scaled = predictor(batch)[..., 0].double().numpy()
    return (scaled * batch.spread.numpy()[:, None] + batch.center.numpy()[:, None])[..., 0]


def test_cycles_by_hand(tmp_path: Path) -> None:
    """Values are squares of their number: what is 3, 6 and 9 steps before is known."""
    task, data = built(tmp_path / "a.csv", np.arange(100.0) ** 2, lookback=4, horizon=5)
    window = data.test.select([0])
    origin = int(window.origin[0])
    back = np.array([-3, -2, -1, -3, -2])
    naive, three = (forecasts(task, window, cyclic(window, 3.0, cycles))[0] for cycles in (1, 3))
    np.testing.assert_allclose(naive, (origin + back) ** 2, rtol=1e-5)
    expected = np.mean([(origin + back - 3 * cycle) ** 2.0 for cycle in range(3)], 0)
    np.testing.assert_allclose(three, expected, rtol=1e-5)


def test_a_season_of_a_part_of_a_step_is_rounded_cycle_by_cycle(tmp_path: Path) -> None:
    task, data = built(tmp_path / "a.csv", np.arange(200.0), lookback=4, horizon=1)
    window = data.test.select([5])
    origin = int(window.origin[0])
    # 10.25, 20.5, 30.75 and 41 steps before, halves to the even number
    expected = np.mean([origin - 10, origin - 20, origin - 31, origin - 41])
    assert forecasts(task, window, cyclic(window, 10.25, 4))[0] == pytest.approx([expected], rel=1e-5)


def test_without_a_cycle_before_it_the_last_value_is_repeated(tmp_path: Path) -> None:
    task, data = built(tmp_path / "a.csv", np.arange(200.0), lookback=4, horizon=3)
    window = data.train.select([0])
    assert forecasts(task, window, cyclic(window, 50.0, 3))[0] == pytest.approx([3, 3, 3], rel=1e-5)
    later = data.train.select([1])  # 5 steps before: the first step is 5 and 10 steps after others, the last has none
    assert forecasts(task, later, cyclic(later, 5.0, 3))[0] == pytest.approx([0, 1, 2], abs=1e-4)


@pytest.mark.parametrize(
    ("grid", "seasons"),
    [
        (Grid("time", 0, HOUR), [24, 168]),
        (Grid("time", 0, HOUR // 4), [96, 672]),
        (Grid("time", 0, DAY), [7, 365.25]),
        (Grid("time", 0, 7 * DAY), [365.25 / 7]),
        (Grid("month", 0, 1), [12]),
        (Grid("month", 0, 3), [4]),
        (Grid("month", 0, 12), []),
        (Grid("business", 0, 1), [5, 365.25 * 5 / 7]),
        (Grid("number", 0, 1), []),
    ],
)
def test_the_seasons_of_the_calendar(grid: Grid, seasons: list[float]) -> None:
    assert grid.seasons == pytest.approx(seasons)


def hourly(path: Path, values: np.ndarray) -> str:
    times = np.datetime64("2024-01-01T00") + np.arange(len(values)) * np.timedelta64(1, "h")
    path.write_text("t,v\n" + "\n".join(f"{time},{v:.5f}" for time, v in zip(times, values, strict=True)) + "\n")
    return str(path)


@pytest.mark.parametrize(
    ("period", "season", "expected"),
    [(0, None, "usual for such steps"), (24, None, "24 steps, estimated from training"), (0, 9, "9 steps, set")],
)
def test_where_a_season_comes_from(period: int, season: int | None, expected: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=2000) + (3 * np.sin(2 * np.pi * np.arange(2000) / period) if period else 0.0)
    data = hourly(tmp_path / "a.csv", values)
    run = ForecastingTask.preset("nlinear").changed(data=data, device="cpu", lookback=48, horizon=24, season=season)
    corpus = ForecastingTask.load_data(run)
    measured = ForecastingTask.build(corpus, run).baselines(corpus.train, corpus.valid, corpus.test)
    named = {one.name: one for one in measured}
    for name in ("seasonal naive", "climatology"):
        assert expected in named[name].description
    assert all(one.seconds is not None and one.seconds >= 0 for one in measured)
    # The mean of 20 values has an error of 1/20 beside that of the noise, whose variance is 1.
    assert named["climatology"].metrics["mse"] == pytest.approx(1.05 / values[:1600].var(), rel=0.15)


def test_validation_chooses_the_week_where_the_week_matters(tmp_path: Path) -> None:
    """Two days a week are low; the season of a task is set to none, as if no test had shown one."""
    random = np.random.default_rng(1)
    hours = np.arange(24 * 7 * 30)
    values = np.where(hours // 24 % 7 < 5, 1.0, -1.0) + 0.1 * random.normal(size=len(hours))
    data = hourly(tmp_path / "a.csv", values)
    run = ForecastingTask.preset("nlinear").changed(data=data, device="cpu", lookback=48, horizon=24)
    corpus = ForecastingTask.load_data(run)
    task = ForecastingTask.build(corpus, run)
    unclear = ForecastingTask(Forecaster(task.config, task.model, replace(task.fitted, season=1)))
    measured = unclear.baselines(corpus.train, corpus.valid, corpus.test)
    naive = next(one for one in measured if one.name == "seasonal naive")
    assert "of 168 steps, usual for such steps, chosen by validation" in naive.description
    assert naive.metrics["mse"] < 0.05


def test_the_linear_map_is_ridge_regression(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    values = np.cumsum(random.normal(size=400)) * 0.1 + np.sin(np.arange(400) / 3)
    monkeypatch.setattr(baselines, "PENALTIES", (0.01,))
    task, data = built(tmp_path / "a.csv", values, lookback=12, horizon=4)
    scaling = task.fitted.scaling(data.train.panel)
    candidate = baselines.linear_map(data.train, scaling, lambda predictor: 0.0)
    known, tested = (
        next(WindowBatches(windows, scaling, size=len(windows), shuffle=False).epoch())
        for windows in (data.train, data.test)
    )
    x, y, asked = (of[..., 0].double().numpy() for of in (known.values, known.future, tested.values))
    x, asked = (np.hstack([of, np.ones((len(of), 1))]) for of in (x, asked))
    model = Ridge(alpha=0.01 * float((x[:, :-1] ** 2).sum(0).mean()), fit_intercept=False).fit(x, y)
    np.testing.assert_allclose(
        candidate.predictor(data.test)(tested)[..., 0, 0].numpy(), model.predict(asked), rtol=1e-3, atol=1e-4
    )


def test_a_linear_recurrence_is_forecast_exactly(tmp_path: Path) -> None:
    """A sine of any period follows from its last two values, for one linear map."""
    task, data = built(tmp_path / "a.csv", 3 + np.sin(np.arange(600) * 0.7), lookback=8, horizon=6)
    measured = {one.name: one.metrics["mse"] for one in task.baselines(data.train, data.valid, data.test)}
    assert measured["linear map"] < 1e-6 < measured["repeat"]


def test_quantiles_of_past_errors_cover_what_they_say() -> None:
    run = ForecastingTask.preset("gru").changed(
        data="builtin:ar?length=8000&phi=0.8&series=1", device="cpu", lookback=24, horizon=6, loss="quantile",
        quantiles=(0.1, 0.5, 0.9),
    )  # fmt: skip
    data = ForecastingTask.load_data(run)
    measured = {
        b.name: b.metrics for b in ForecastingTask.build(data, run).baselines(data.train, data.valid, data.test)
    }
    for name in ("repeat", "mean", "linear map", "Theta"):
        assert measured[name]["coverage"] == pytest.approx(0.8, abs=0.06)
    assert measured["truth"]["pinball"] <= measured["linear map"]["pinball"] < measured["repeat"]["pinball"]


def test_quantiles_of_a_long_season_are_of_windows_that_have_one_before() -> None:
    """A third of the training windows begins before a season is over: there the last value is repeated, and far off."""
    data = "builtin:seasonal?length=600&season=150&noise=0.3&slope=0&series=2"
    task, corpus = small.built(small.small("nlinear", data, loss="quantile", season=150, horizon=24))
    measured = {one.name: one.metrics for one in task.baselines(corpus.train, corpus.valid, corpus.test)}
    truth = 2 * 1.2815515655 * 2**0.5 * 0.3  # the width of 80 % of the difference of two values with that noise
    spread = task.fitted.scaling(corpus.test.panel).spread[0]
    assert measured["seasonal naive"]["interval_width"] == pytest.approx(float((truth / spread).mean()), rel=0.1)
    assert measured["seasonal naive"]["coverage"] == pytest.approx(0.8, abs=0.08)


def test_many_series_are_smoothed_over_their_last_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_SMOOTHED", 0)
    _, data = built(tmp_path / "a.csv", np.arange(600.0), lookback=100, horizon=2)
    candidate = baselines.smoothed(data.test, [12], lambda predictor: 0.0)
    assert "the last 36 steps" in candidate.description
    line = torch.arange(100.0)[None, :, None]
    batch = next(WindowBatches(data.test, fit_scaling(data.series, "none"), size=1, shuffle=False).epoch())._replace(
        values=line
    )
    # of a straight line half the slope is added to the smoothed level, which follows it with alpha = 1
    assert candidate.predictor(data.test)(batch)[0, :, 0, 0].tolist() == pytest.approx([99.5, 100.0], abs=1e-4)
