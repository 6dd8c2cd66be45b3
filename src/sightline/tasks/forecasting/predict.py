"""Forecasts of a model, and arrays as series to forecast."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.data.rows.arrays import array_of
from sightline.data.series.grid import Grid
from sightline.data.series.panel import Panel, Series
from sightline.data.series.windows import WindowBatch
from sightline.tasks.forecasting.baselines import Predictor
from sightline.tasks.forecasting.config import ForecastingConfig


def futures_drawn(model: nn.Module, config: ForecastingConfig) -> int:
    """Futures that are drawn for the quantiles of a forecast, where patches follow one another; otherwise 0."""
    return getattr(config.model, "paths", 0) if config.levels and hasattr(model, "sample") else 0


def predictor_of(model: nn.Module, config: ForecastingConfig) -> Predictor:
    """Scaled forecasts of a model in its current state.

    Quantiles that cross are put in order, which makes no pinball loss worse (Chernozhukov et al. 2010).
    """
    paths, device = futures_drawn(model, config), next(model.parameters()).device

    @torch.no_grad()
    def forecast(batch: WindowBatch) -> Tensor:
        batch = batch.to(device)
        if not paths:
            predicted = model(batch.values, batch.past, batch.known)
            return predicted.sort(3).values if config.levels else predicted
        generator = torch.Generator(device).manual_seed(derive(0, "paths", batch.rows[0]))
        levels = torch.tensor(config.levels, device=device)
        sample: Any = model.sample
        return sample(batch.values, batch.past, batch.known, levels=levels, paths=paths, generator=generator)

    return forecast


def panel_of(values: Any, targets: tuple[str, ...]) -> Panel:
    """One series of values (T, C), or of one column (T,), without times.

    Raises:
        InputError: "expected values of shape (T, 2), got (30,)"; "step 3 of the values is not finite".
    """
    array = array_of(values)
    values = np.asarray(values if array is None else array, dtype=np.float64)
    if values.ndim == 1 and len(targets) == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] != len(targets):
        raise InputError(f"expected values of shape (T, {len(targets)}), got {values.shape}")
    if not np.isfinite(values).all():
        raise InputError(f"step {int((~np.isfinite(values)).any(1).argmax())} of the values is not finite")
    empty = np.zeros((len(values), 0))
    series = Series("", 0, values, empty, empty)
    return Panel("values", Grid("number", 0, 1), targets, (), (), (series,), timed=False)
