"""The training loss of forecasts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sightline.data.series.windows import WindowBatch
from sightline.tasks.forecasting.config import ForecastingConfig
from sightline.training.loss import Loss


def window_loss(model: nn.Module, batch: WindowBatch, config: ForecastingConfig) -> Loss:
    """The `forecast_loss` of a model's forecasts of a batch, in scaled units.

    An autoregressive model is also asked for the steps of the look-back after its first patch, each given those before
    it.
    """
    predicted = model(batch.values, batch.past, batch.known, batch.future)  # (B, n, C, Q), the last n steps
    targets = torch.cat([batch.values, batch.future], 1)[:, -predicted.shape[1] :]
    return forecast_loss(predicted, targets, config)


def forecast_loss(predicted: Tensor, targets: Tensor, config: ForecastingConfig) -> Loss:
    """The sum of the `forecast_errors` of forecasts (B, n, C, Q) of targets (B, n, C). It counts values."""
    total = forecast_errors(predicted, targets, config).sum()
    return Loss(total, total.detach(), targets.numel())


def forecast_errors(predicted: Tensor, targets: Tensor, config: ForecastingConfig) -> Tensor:
    """The errors (B, n, C) of forecasts (B, n, C, Q) of targets (B, n, C): squared, absolute, or the mean over
    quantiles of the pinball error max(q e, (q - 1) e).
    """
    error = targets.unsqueeze(3) - predicted.float()  # (B, n, C, Q)
    if config.loss == "quantile":
        levels = torch.tensor(config.levels, device=error.device)
        return torch.maximum(levels * error, (levels - 1) * error).mean(3)
    return error.squeeze(3).square() if config.loss == "mse" else error.squeeze(3).abs()
