"""The training loss of forecasts."""

from __future__ import annotations

import torch
from torch import Tensor

from sightline.tasks.forecasting.config import ForecastingConfig
from sightline.training.loss import Loss


def forecast_loss(predicted: Tensor, targets: Tensor, config: ForecastingConfig) -> Loss:
    """The sum of the errors of forecasts (B, n, C, Q) of targets (B, n, C): squared, absolute, or the mean over
    quantiles of the pinball error max(q e, (q - 1) e). It counts values.
    """
    error = targets.unsqueeze(3) - predicted.float()  # (B, n, C, Q)
    if config.loss == "quantile":
        levels = torch.tensor(config.levels, device=error.device)
        errors = torch.maximum(levels * error, (levels - 1) * error).mean(3)
    else:
        errors = error.squeeze(3).square() if config.loss == "mse" else error.squeeze(3).abs()
    total = errors.sum()
    return Loss(total, total.detach(), targets.numel())
