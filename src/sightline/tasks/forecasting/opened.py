"""A series with its forecast, opened for inspection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sightline.core.front_end import FrontEnd
from sightline.core.modes import evaluating
from sightline.data.series.windows import WindowBatch, forecastable, next_windows
from sightline.tasks.forecasting.forecaster import Forecaster
from sightline.tasks.opened import OpenedInput, OpenedSide, patch_spans, replaced_stretches


@torch.no_grad()
def open_series(forecaster: Forecaster, source: Any) -> OpenedInput:
    """The look-back of the first series of a file, or of an array, and the steps after it; of quantiles the middle one.

    A model that forecasts patch after patch reads the middle one again, as with `paths` = 0: it draws no futures.

    Raises:
        InputError: what `Forecaster.panel` and `forecastable` raise.
    """
    config = forecaster.config
    panel, _ = forecastable(forecaster.panel(source), config.lookback, config.horizon)
    windows = next_windows(panel, config.lookback, config.horizon).select([0])
    batch = next(iter(forecaster.fitted.in_order(windows)))
    series = panel.records[0]
    times = [panel.grid.text(series.end - config.lookback + step) for step in range(config.lookback)]
    ahead = [panel.grid.text(series.end + step) for step in range(config.horizon)]
    opened = open_window(forecaster, batch, times, ahead)
    return opened._replace(
        text=series.name or panel.name, values=series.values[-config.lookback :], channels=panel.targets
    )


def patches_of(model: nn.Module) -> tuple[nn.Module | None, int, int]:
    """The module that gives the vectors of positions, the steps that each covers, and those from one to the next."""
    front_end = next(
        (part for part in model.modules() if isinstance(part, FrontEnd)), getattr(model, "front_end", None)
    )
    patch = getattr(front_end, "patch", getattr(model, "patch", 1))
    return front_end, patch, getattr(front_end, "stride", patch)


@torch.no_grad()
def open_window(
    forecaster: Forecaster, batch: WindowBatch, times: Sequence[str] = (), ahead: Sequence[str] = ()
) -> OpenedInput:
    """One scaled window; the steps of look-back and horizon are shown by these times, or by their numbers."""
    config, model = forecaster.config, forecaster.model
    batch = batch.to(next(model.parameters()).device)
    times = times or [str(step) for step in range(1, config.lookback + 1)]
    ahead = ahead or [str(config.lookback + step) for step in range(1, config.horizon + 1)]

    def answer(changed: Tensor) -> Tensor:
        rows = len(changed)
        past, known = (part.expand(rows, -1, -1) for part in (batch.past, batch.known))
        quantiles = model(changed, past, known)  # (R, H, C, Q)
        return quantiles[..., quantiles.shape[3] // 2]

    front_end, patch, stride = patches_of(model)
    count = getattr(front_end, "count", lambda steps: steps // stride)(config.lookback)
    spans = patch_spans(config.lookback, patch, stride, count)
    with evaluating(model):
        scaled = answer(batch.values)[0].double().cpu()  # (H, C)
    forecast = scaled * batch.spread + batch.center
    return OpenedInput(
        "series",
        "",
        OpenedSide(
            [times[first] if end - first == 1 else f"{times[first]} – {times[end - 1]}" for first, end in spans],
            batch.values,
            answer,
            replaced_stretches(batch.values, spans),
            front_end,
        ),
        list(ahead),
        spans=spans,
        values=(batch.values[0].double().cpu() * batch.spread + batch.center).numpy(),
        channels=forecaster.fitted.columns.targets,
        forecast=forecast.numpy(),
    )
