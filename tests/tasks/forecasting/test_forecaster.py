"""A forecaster answers without a task, with whatever model it is given."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from sightline.data.series.corpus import load_series
from sightline.tasks.forecasting.forecaster import Forecaster
from tests.tasks.forecasting.small import built, small


class LastValue(nn.Module):
    """Repeats the last value for twelve steps, and a constant above it."""

    def __init__(self) -> None:
        super().__init__()
        self.above = nn.Parameter(torch.tensor(0.25))

    def forward(self, values: Tensor, past: Tensor, known: Tensor) -> Tensor:
        return (values[:, -1:] + self.above).expand(-1, 12, -1).unsqueeze(3)


def test_forecasts_are_in_the_units_of_the_series() -> None:
    task, _ = built(small())
    panel = load_series("builtin:seasonal?length=600&season=6&series=2").panel
    forecast = Forecaster(task.config, LastValue(), task.fitted).forecast(panel)
    for number, record in enumerate(forecast.panel.records):
        expected = record.values[-1] + 0.25 * np.array(task.fitted.spread[number])
        np.testing.assert_allclose(forecast.values[number], np.tile(expected, (12, 1)), rtol=1e-5, atol=1e-5)
