"""A series with its forecast, opened for inspection."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sightline.core.front_end import FrontEnd
from sightline.core.modes import evaluating
from sightline.data.series.windows import forecastable, next_windows
from sightline.tasks.forecasting.forecaster import Forecaster
from sightline.tasks.opened import OpenedInput, OpenedSide, patch_spans, replaced_stretches


@torch.no_grad()
def open_series(forecaster: Forecaster, given: Any) -> OpenedInput:
    """The look-back of the first series of a file, or of an array, and the steps after it; of quantiles the middle one.

    A model that forecasts patch after patch reads the middle one again, as with `paths` = 0: it draws no futures.

    Raises:
        InputError: what `Forecaster.panel` and `forecastable` raise.
    """
    config, model = forecaster.config, forecaster.model
    panel, _ = forecastable(forecaster.panel(given), config.lookback, config.horizon)
    windows = next_windows(panel, config.lookback, config.horizon).select([0])
    batch = next(iter(forecaster.fitted.in_order(windows))).to(next(model.parameters()).device)

    def answer(changed: Tensor) -> Tensor:
        rows = len(changed)
        past, known = (part.expand(rows, -1, -1) for part in (batch.past, batch.known))
        quantiles = model(changed, past, known)  # (R, H, C, Q)
        return quantiles[..., quantiles.shape[3] // 2]

    front_end = next(
        (part for part in model.modules() if isinstance(part, FrontEnd)), getattr(model, "front_end", None)
    )
    patch = getattr(front_end, "patch", getattr(model, "patch", 1))
    stride = getattr(front_end, "stride", patch)
    count = getattr(front_end, "count", lambda steps: steps // stride)(config.lookback)
    spans = patch_spans(config.lookback, patch, stride, count)
    with evaluating(model):
        scaled = answer(batch.values)[0].double().cpu()  # (H, C)
    forecast = scaled * batch.spread + batch.center
    series = panel.records[0]
    times = [panel.grid.text(series.end - config.lookback + step) for step in range(config.lookback)]
    return OpenedInput(
        "series",
        series.name or panel.name,
        OpenedSide(
            [times[first] if end - first == 1 else f"{times[first]} – {times[end - 1]}" for first, end in spans],
            batch.values,
            answer,
            replaced_stretches(batch.values, spans),
            front_end,
        ),
        [panel.grid.text(series.end + step) for step in range(config.horizon)],
        spans=spans,
        values=series.values[-config.lookback :],
        channels=panel.targets,
        forecast=forecast.numpy(),
    )
