"""Scores of forecasts against other libraries and against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_squared_error

from sightline.core.metrics import find_metric
from sightline.data.series.corpus import SeriesScaling
from sightline.data.series.grid import Grid
from sightline.data.series.panel import Panel, Series
from sightline.tasks.forecasting.metrics import Yardstick
from sightline.tasks.forecasting.scores import ForecastScores, intervals_of, naive_errors


def panel(*series: np.ndarray) -> Panel:
    columns = series[0].shape[1]
    records = tuple(
        Series(f"s{i}", 0, rows, np.zeros((len(rows), 0)), np.zeros((len(rows), 0))) for i, rows in enumerate(series)
    )
    return Panel("p", Grid("number", 0, 1), tuple(f"c{i}" for i in range(columns)), (), (), records)


def yardstick(records: int, columns: int, *, season: int = 1, quantiles: tuple[float, ...] = (), spread: float = 1.0,
              center: float = 0.0, naive: float = 1.0) -> Yardstick:  # fmt: skip
    shape = (records, columns)
    scaling = SeriesScaling(np.full(shape, center), np.full(shape, spread), np.zeros((2, 0)), np.zeros((2, 0)))
    return Yardstick(scaling, np.full(shape, naive), season, quantiles)


def test_errors_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    truth = random.normal(size=(20, 6, 3))
    forecasts = np.sort(random.normal(size=(20, 6, 3, 5)), 3)
    scores = ForecastScores(panel(np.zeros((9, 3))), 6, yardstick(1, 3, quantiles=levels))
    for low in range(0, 20, 7):  # in batches of different sizes
        scores.add(np.zeros(len(truth[low : low + 7]), int), forecasts[low : low + 7], truth[low : low + 7])
    result = scores.metrics()
    point = forecasts[..., 2]
    assert result["mse"] == pytest.approx(mean_squared_error(truth.ravel(), point.ravel()))
    assert result["mae"] == pytest.approx(mean_absolute_error(truth.ravel(), point.ravel()))
    pinball = [mean_pinball_loss(truth.ravel(), forecasts[..., i].ravel(), alpha=q) for i, q in enumerate(levels)]
    assert result["pinball"] == pytest.approx(np.mean(pinball))
    details = scores.details()
    by_step = [mean_squared_error(truth[:, h].ravel(), point[:, h].ravel()) for h in range(6)]
    assert details["by_step"]["mse"] == pytest.approx(by_step)
    by_column = [mean_absolute_error(truth[..., c].ravel(), point[..., c].ravel()) for c in range(3)]
    assert [row["mae"] for row in details["by_series"]] == pytest.approx(by_column)
    inside = (truth >= forecasts[..., 0]) & (truth <= forecasts[..., 4])
    assert result["coverage"] == pytest.approx(inside.mean())
    assert result["interval_width"] == pytest.approx((forecasts[..., 4] - forecasts[..., 0]).mean())
    assert [(i["low"], i["high"]) for i in details["intervals"]] == [(0.05, 0.95), (0.25, 0.75)]


def test_true_quantiles_cover_what_they_claim_and_no_others_cost_less() -> None:
    levels = (0.1, 0.5, 0.9)
    truth = np.random.default_rng(1).normal(size=(4000, 1, 1))
    costs = {}
    for factor in (0.8, 1.0, 1.25):
        forecasts = np.broadcast_to(factor * norm.ppf(levels), (4000, 1, 1, 3))
        scores = ForecastScores(panel(np.zeros((2, 1))), 1, yardstick(1, 1, quantiles=levels))
        scores.add(np.zeros(4000, int), forecasts, truth)
        costs[factor] = scores.metrics()
    assert costs[1.0]["coverage"] == pytest.approx(0.8, abs=0.02)
    assert costs[1.0]["pinball"] < min(costs[0.8]["pinball"], costs[1.25]["pinball"])


def test_mase_worked_out_by_hand() -> None:
    """Training 1, 3, 2, 4, 3, 5: |y_t - y_{t-1}| = 2, 1, 2, 1, 2, mean 1.6; season 2: 1 throughout."""
    series = np.array([[1.0], [3.0], [2.0], [4.0], [3.0], [5.0]])
    np.testing.assert_allclose(naive_errors([series], 1), [[1.6]])
    np.testing.assert_allclose(naive_errors([series], 2), [[1.0]])
    np.testing.assert_allclose(naive_errors([series[:1]], 1), [[0.0]])
    scores = ForecastScores(panel(series), 2, yardstick(1, 1, naive=1.6, spread=10.0))
    scores.add(np.array([0]), np.array([[[[0.3]], [[0.5]]]]), np.array([[[0.4]], [[0.2]]]).reshape(1, 2, 1))
    # errors 1 and 3 in the data's own units, spread 10: mean 2, over 1.6
    assert scores.metrics()["mase"] == pytest.approx(2 / 1.6)
    assert scores.details()["by_step"]["mase"] == pytest.approx([1 / 1.6, 3 / 1.6])


def test_the_naive_forecast_in_training_has_a_mase_of_one() -> None:
    series = np.cumsum(np.random.default_rng(2).normal(size=(300, 2)), 0)
    for season in (1, 5):
        scores = ForecastScores(panel(series), 1, Yardstick(
            SeriesScaling(np.zeros((1, 2)), np.ones((1, 2)), np.zeros((2, 0)), np.zeros((2, 0))),
            naive_errors([series], season), season,
        ))  # fmt: skip
        scores.add(np.zeros(300 - season, int), series[:-season, None, :, None], series[season:, None])
        assert scores.metrics()["mase"] == pytest.approx(1.0)


def test_a_series_that_training_had_not_is_left_out_of_mase() -> None:
    ruler = yardstick(2, 1)
    ruler.naive[1] = 0.0
    scores = ForecastScores(panel(np.zeros((3, 1)), np.zeros((3, 1))), 1, ruler)
    scores.add(np.array([0, 1]), np.array([1.0, 50.0]).reshape(2, 1, 1, 1), np.zeros((2, 1, 1)))
    assert scores.metrics()["mase"] == pytest.approx(1.0)
    assert scores.metrics()["mae"] == pytest.approx(25.5)


def test_smape_is_of_the_data_s_own_units() -> None:
    """Truth 10 and 0, forecast 30 and 0: 2·20/40 = 1 and 0."""
    scores = ForecastScores(panel(np.zeros((3, 1))), 2, yardstick(1, 1, spread=20.0, center=10.0))
    forecasts = np.array([1.0, -0.5]).reshape(1, 2, 1, 1)
    scores.add(np.array([0]), forecasts, np.array([0.0, -0.5]).reshape(1, 2, 1))
    assert scores.metrics()["smape"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("levels", "pairs"),
    [((), []), ((0.5,), []), ((0.1, 0.5, 0.9), [(0, 2)]), ((0.05, 0.2, 0.5, 0.8, 0.95), [(0, 4), (1, 3)]),
     ((0.1, 0.3, 0.5, 0.8, 0.9), [(0, 4)])],
)  # fmt: skip
def test_intervals_are_pairs_of_quantiles(levels: tuple[float, ...], pairs: list[tuple[int, int]]) -> None:
    assert intervals_of(levels) == pairs


def test_items_are_blocks_that_add_up_to_the_metrics() -> None:
    random = np.random.default_rng(3)
    record = np.repeat([0, 1, 2], [25, 9, 4])
    origin = np.concatenate([np.arange(8, 33), np.arange(8, 17), np.arange(20, 24)])
    ruler = yardstick(3, 2, quantiles=(0.1, 0.5, 0.9), spread=3.0)
    ruler.naive[:] = [[0.5, 2.0], [3.0, 0.0], [0.0, 0.0]]  # 0: unknown, the column has no mase
    scores = ForecastScores(panel(*[np.zeros((40, 2))] * 3), 10, ruler)
    for rows in np.array_split(np.arange(38), 4):
        forecast = np.sort(random.normal(size=(len(rows), 10, 2, 3)), 3)
        scores.add(record[rows], forecast, random.normal(size=(len(rows), 10, 2)))
    items, metrics = scores.items(record, origin), scores.metrics()
    assert items.keys() == metrics.keys()
    for name, rows in items.items():
        assert find_metric(name).value(rows[None]) == pytest.approx([metrics[name]]), name
    # origins 8–9, 10–19, 20–29, 30–32 of the first series, 8–9 and 10–16 of the second; 20 numbers a window
    assert items["mse"][:, 1].tolist() == [40, 200, 200, 60, 40, 140, 80]
