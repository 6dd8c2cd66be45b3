"""Forecasters that are small enough to learn in a test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sightline.tasks.forecasting.config import ForecastingRun
from sightline.tasks.forecasting.task import ForecastingTask


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
