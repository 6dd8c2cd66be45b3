"""Baselines of forecasting: repetition of past values, and linear maps."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.digits import number_of
from sightline.core.seeds import derive
from sightline.data.series.corpus import SeriesScaling
from sightline.data.series.windows import WindowBatch, WindowBatches, Windows
from sightline.models import FORECASTERS
from sightline.parts.series_patches import SeriesWindows
from sightline.tasks.forecasting.config import ForecastingConfig
from sightline.tasks.forecasting.fitted import Fitted
from sightline.training.loop import train
from sightline.training.loss import Loss
from sightline.training.optim import OptimConfig
from sightline.training.state import TrainConfig

# Bounds of the training of a linear map that nobody asked for: a minute or two of one core.
EPOCHS, LEAST_STEPS, MOST_STEPS, MOST_FLOPS = 10, 100, 3000, 2e12

Predictor = Callable[[WindowBatch], Tensor]  # (B, H, C, Q)


TRUTH = "truth"


def all_baselines(
    train: Windows, part: Windows, fitted: Fitted, config: ForecastingConfig
) -> Iterator[tuple[str, str, Predictor]]:
    """Every baseline that the data allows for: its name, its description and its forecasts."""
    horizon, season = config.horizon, fitted.season
    yield "repeat", "repeats the last value", repeat(horizon)
    yield "mean", "the mean of the look-back", averaged(horizon)
    if 1 < season <= config.lookback:
        how = "set" if config.season else "estimated from training"
        yield "seasonal naive", f"the value one season before, of {season} steps, {how}", seasonal(horizon, season)
    for name, label in (("dlinear", "DLinear"), ("nlinear", "NLinear")):
        predictor, steps = linear(name, train, fitted.scaling(train.panel))
        yield label, f"one linear map from look-back to horizon, {number_of(steps, 'step')} of training", predictor
    if part.truth is not None:
        predictor = truth(part, config.levels)
        yield TRUTH, "the process that made the series: no expected error is lower", predictor


def repeat(horizon: int) -> Predictor:
    """Repeats the last value."""
    return lambda batch: batch.values[:, -1:].expand(-1, horizon, -1).unsqueeze(3)


def seasonal(horizon: int, season: int) -> Predictor:
    """Repeats the last season."""

    def forecast(batch: WindowBatch) -> Tensor:
        last = batch.values[:, -season:]  # (B, m, C)
        return last[:, torch.arange(horizon) % season].unsqueeze(3)

    return forecast


def averaged(horizon: int) -> Predictor:
    """The mean of the look-back."""
    return lambda batch: batch.values.mean(1, keepdim=True).expand(-1, horizon, -1).unsqueeze(3)


def squared_error(model: nn.Module, batch: WindowBatch) -> Loss:
    """The sum of squared errors over all steps and columns."""
    total = (model(batch.values, batch.past, batch.known)[..., 0] - batch.future).square().sum()
    return Loss(total, total.detach(), batch.future.numel())


def linear(name: str, windows: Windows, scaling: SeriesScaling) -> tuple[Predictor, int]:
    """`dlinear` or `nlinear` trained on the windows by squared error, and the steps that it took.

    Adam at 0.005, batches of 32, the rate falling to zero along a cosine over 10 epochs, or 3,000 steps or 2e12
    operations where that is less, but 100 steps at least; no validation.
    """
    source = SeriesWindows(windows.lookback, windows.horizon, len(windows.panel.targets))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(0, "init"))
        model = FORECASTERS[name].build(source, 1)
    batches = WindowBatches(windows, scaling, size=32)
    a_step = 6 * 32 * source.channels * sum(parameter.numel() for parameter in model.parameters())
    steps = min(EPOCHS * len(batches), MOST_STEPS, max(LEAST_STEPS, int(MOST_FLOPS / a_step)))
    optim = OptimConfig(lr=5e-3, beta2=0.999, weight_decay=0.0, warmup_steps=0, clip_norm=None)
    settings = TrainConfig(budget=f"{steps}steps", optim=optim, device="cpu", dtype="float32", checkpoint_every_s=1e9)
    with tempfile.TemporaryDirectory() as place:
        train(model, squared_error, batches, settings, Path(place) / "run")
    model.eval()

    @torch.no_grad()
    def forecast(batch: WindowBatch) -> Tensor:
        return model(batch.values, batch.past, batch.known)

    return forecast, steps


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
