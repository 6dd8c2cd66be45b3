"""The training loss of forecasts, as scikit-learn computes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_squared_error

from sightline.tasks.forecasting.config import ForecastingConfig
from sightline.tasks.forecasting.loss import forecast_loss


@pytest.mark.parametrize("loss", ["mse", "mae", "quantile"])
def test_the_loss_is_the_mean_of_scikit_learn(loss: Literal["mse", "mae", "quantile"]) -> None:
    config = replace(ForecastingConfig(), loss=loss, quantiles=(0.2, 0.5, 0.9))
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(3, 5, 2, generator=generator)
    predicted = torch.randn(3, 5, 2, config.outputs, generator=generator)
    of = forecast_loss(predicted, targets, config)
    true, levels = targets.numpy().ravel(), predicted.numpy().reshape(-1, config.outputs).T
    if loss == "quantile":
        pinball = [mean_pinball_loss(true, one, alpha=q) for q, one in zip(config.levels, levels, strict=True)]
        expected = float(np.mean(pinball))
    else:
        expected = (mean_squared_error if loss == "mse" else mean_absolute_error)(true, levels[0])
    assert of.count == 30
    assert float(of.total) / of.count == pytest.approx(expected, rel=1e-5)
