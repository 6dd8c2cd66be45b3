"""Baselines of forecasting: values of the past, the Theta method, and a linear map by ridge regression."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from sightline.core.cpu_clock import CpuClock
from sightline.core.metrics import Baseline
from sightline.data.series.corpus import SeriesScaling
from sightline.data.series.windows import WindowBatch, WindowBatches, Windows
from sightline.data.spaced import spaced
from sightline.tasks.forecasting.config import ForecastingConfig
from sightline.tasks.forecasting.fitted import Fitted
from sightline.tasks.forecasting.past import MOST_CYCLES, Predictor, cyclic
from sightline.tasks.forecasting.scores import score_windows
from sightline.tasks.forecasting.theta import ALPHAS, theta

MOST_CHOOSING = 500  # validation windows that choose a season and a penalty
MOST_SMOOTHED = 1_000_000_000  # values of test windows times factors of smoothing
MOST_PRODUCTS = 20_000_000_000  # multiplications for a linear map
PENALTIES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # in units of the mean variance of what is read

TRUTH = "truth"
PredictorLoss = Callable[[Predictor], float]


@final
class NamedPredictor(NamedTuple):
    """A baseline that can forecast the windows of any part.

    before: the steps that a series must have before a window for the baseline to mean something
    """

    name: str
    description: str
    predictor: Callable[[Windows], Predictor]
    before: int = 0


def forecast_baselines(
    train: Windows, valid: Windows, part: Windows, fitted: Fitted, config: ForecastingConfig
) -> list[Baseline]:
    """The baselines on `part`, learned from `train` with settings that `valid` chooses.

    Point forecasts get quantiles from their errors in training, where the model has quantiles.
    """
    valid = valid.select(spaced(len(valid), MOST_CHOOSING))
    deciding = "mae" if config.loss == "quantile" else config.metric_name

    def score(windows: Windows, predictor: Predictor, batches: list[WindowBatch]) -> dict[str, float]:
        return score_windows(windows, predictor, batches, fitted.yardstick(windows.panel, config.levels)).metrics()

    batches, choosing = list(fitted.in_order(part)), list(fitted.in_order(valid))
    baselines, clock = [], CpuClock()
    for name, description, predictor, before in all_baselines(
        train, valid, part, fitted, config, lambda predictor: score(valid, predictor, choosing)[deciding]
    ):
        forecasts = predictor(part)
        if config.levels and name != TRUTH:
            known = known_windows(train, before)
            forecasts = with_quantiles(forecasts, predictor(known), fitted.in_order(known), config.levels)
        baselines.append(Baseline(name, description, score(part, forecasts, batches), name == TRUTH, clock.lap()))
    return baselines


def all_baselines(
    train: Windows, valid: Windows, part: Windows, fitted: Fitted, config: ForecastingConfig, loss: PredictorLoss
) -> Iterator[NamedPredictor]:
    """Every baseline that the data allows for, learned from `train`.

    loss: of forecasts of `valid`, which chooses seasons and the penalty
    """
    horizon = config.horizon
    yield NamedPredictor("repeat", "repeats the last value", lambda _: repeat(horizon))
    yield NamedPredictor("mean", "the mean of the look-back", lambda _: averaged(horizon))
    seasons, how = seasons_of(part, fitted, config)
    if seasons:
        for name, what, cycles in (
            ("seasonal naive", "the value one season before", 1),
            ("climatology", f"the mean of the same phase of the last {MOST_CYCLES} seasons", MOST_CYCLES),
        ):
            season = min(seasons, key=lambda m: loss(cyclic(valid, m, cycles)))
            yield NamedPredictor(
                name, f"{what}, of {season:g} steps, {how}", lambda windows, m=season, n=cycles: cyclic(windows, m, n),
                math.ceil(season),
            )  # fmt: skip
    yield smoothed(part, [round(season) for season in seasons], loss)
    yield linear_map(train, fitted.scaling(train.panel), loss)
    if part.truth is not None:
        described = "the process that made the series: no expected error is lower"
        yield NamedPredictor(TRUTH, described, lambda windows: truth(windows, config.levels))


def seasons_of(part: Windows, fitted: Fitted, config: ForecastingConfig) -> tuple[list[float], str]:
    """The seasons to try that lie before every window, and where they come from.

    The one that is set; else the one that training shows clearly; else those of the calendar.
    """
    if config.season:
        seasons, how = [float(config.season)], "set"
    elif fitted.season > 1:
        seasons, how = [float(fitted.season)], "estimated from training"
    else:
        seasons, how = part.panel.grid.seasons, "usual for such steps"
    before = part.origin.min() if len(part) else 0
    known = [season for season in seasons if 1 < season <= before]
    if len(known) > 1:
        how += ", chosen by validation"
    return known, how


def repeat(horizon: int) -> Predictor:
    """Repeats the last value."""
    return lambda batch: batch.values[:, -1:].expand(-1, horizon, -1).unsqueeze(3)


def averaged(horizon: int) -> Predictor:
    """The mean of the look-back."""
    return lambda batch: batch.values.mean(1, keepdim=True).expand(-1, horizon, -1).unsqueeze(3)


def smoothed(part: Windows, seasons: list[int], loss: PredictorLoss) -> NamedPredictor:
    """The Theta method on the look-back, with each season that it has twice and without one: the best in validation."""
    columns = len(part) * len(part.panel.targets) * len(ALPHAS)
    fitting = [season for season in seasons if 2 * season <= part.lookback]
    steps = min(part.lookback, max(24, 3 * max(fitting, default=1), MOST_SMOOTHED // max(columns, 1)))

    def of(season: int) -> Predictor:
        def forecast(batch: WindowBatch) -> Tensor:
            values = batch.values[:, -steps:].double().numpy()
            return torch.from_numpy(theta(values, part.horizon, season)).float().unsqueeze(3)

        return forecast

    season = min([1, *fitting], key=lambda season: loss(of(season)))
    read = "the look-back" if steps == part.lookback else f"the last {steps} steps"
    kind = f"a season of {season} steps" if season > 1 else "no season"
    described = f"exponential smoothing with half the slope of {read} (the Theta method), {kind} by validation"
    return NamedPredictor("Theta", described, lambda _: of(season))


def linear_map(windows: Windows, scaling: SeriesScaling, loss: PredictorLoss) -> NamedPredictor:
    """One linear map from look-back to horizon for all columns, by ridge regression in closed form.

    It reads values, or their differences from the last one (NLinear, Zeng et al. 2023), whichever is better in
    validation, like the penalty. DLinear and NLinear tend to this solution in training (Toner & Darlow 2024).
    """
    back, ahead, columns = windows.lookback, windows.horizon, len(windows.panel.targets)
    most = MOST_PRODUCTS // (columns * (back + 1) * (back + ahead + 1))
    kept = windows.select(spaced(len(windows), max(most, 1)))
    batches = WindowBatches(kept, scaling, size=256, shuffle=False)
    maps = {}
    for differences in (False, True):
        squares, products = torch.zeros(back + 1, back + 1).double(), torch.zeros(back + 1, ahead).double()
        for batch in batches.epoch():
            x, y, _ = _read(batch, differences)
            squares += (x.T @ x).double()
            products += (x.T @ y).double()
        sizes, vectors = torch.linalg.eigh(squares)
        unit = float(squares.diagonal()[:-1].mean()) or 1.0
        for penalty in PENALTIES:
            shrunk = (vectors.T @ products) / (sizes.clamp(min=0) + penalty * unit)[:, None]
            maps[differences, penalty] = (vectors @ shrunk).float()

    def of(setting: tuple[bool, float]) -> Predictor:
        weights, differences = maps[setting], setting[0]

        def forecast(batch: WindowBatch) -> Tensor:
            x, _, last = _read(batch, differences)
            values = (x @ weights + last).unflatten(0, (-1, columns))  # (B, C, H)
            return values.transpose(1, 2).unsqueeze(3)

        return forecast

    best = min(maps, key=lambda setting: loss(of(setting)))
    among = "" if len(kept) == len(windows) else f", learned from {len(kept):,} of {len(windows):,} windows"
    reads = "differences from the last value" if best[0] else "values"
    described = f"one linear map from look-back to horizon for all columns, ridge regression of {reads}{among}"
    return NamedPredictor("linear map", described, lambda _: of(best))


def _read(batch: WindowBatch, differences: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Each column of each window: values read (B·C, L + 1), the last 1, those to forecast (B·C, H), their offset."""
    values, future = (of.transpose(1, 2).flatten(0, 1) for of in (batch.values, batch.future))
    last = values[:, -1:] if differences else torch.zeros_like(values[:, -1:])
    return torch.cat([values - last, torch.ones_like(last)], 1), future - last, last


def known_windows(train: Windows, before: int) -> Windows:
    """The windows whose errors give quantiles: evenly spaced ones of those with so many steps before them, else of all.

    A window without a season before it has another error than those that are measured.
    """
    enough = np.flatnonzero(train.origin >= before)
    train = train.select(enough) if len(enough) else train
    return train.select(spaced(len(train), MOST_CHOOSING))


def with_quantiles(
    point: Predictor, of_known: Predictor, known: Iterable[WindowBatch], levels: tuple[float, ...]
) -> Predictor:
    """Point forecasts with quantiles around them: those of their errors in the windows `known`, by step and column."""
    errors = [batch.future - of_known(batch).squeeze(3) for batch in known]  # (B, H, C) each
    marks = torch.from_numpy(np.quantile(torch.cat(errors).double().numpy(), levels, axis=0)).permute(1, 2, 0)
    return lambda batch: point(batch) + marks


def truth(windows: Windows, levels: tuple[float, ...]) -> Predictor:
    """The best possible forecast of built-in series, with its quantiles."""
    from scipy.stats import norm

    known = windows.truth
    if known is None:
        raise ValueError("only built-in series come with their truth")
    marks = norm.ppf(levels) if levels else np.zeros(1)

    def forecast(batch: WindowBatch) -> Tensor:
        forecasts = []
        for row, center, spread in zip(batch.rows, batch.center.numpy(), batch.spread.numpy(), strict=True):
            number, origin = int(windows.record[row]), int(windows.origin[row])
            record = windows.panel.records[number]
            mean, error = known.forecast(number, record.start + origin, record.values[:origin], windows.horizon)
            quantiles = mean[..., None] + error[..., None] * marks  # (H, C, Q)
            forecasts.append((quantiles - center[:, None]) / spread[:, None])
        return torch.from_numpy(np.stack(forecasts))

    return forecast
