"""Forecasts from all that a series did before a window, with no weights: its last cycle, and its last cycles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sightline.data.series.windows import WindowBatch, Windows

Predictor = Callable[[WindowBatch], Tensor]  # (B, H, C, Q)
MOST_CYCLES = 20  # that are averaged


def cyclic(windows: Windows, season: float, cycles: int) -> Predictor:
    """The mean of the same phase in up to `cycles` cycles before the first step that is forecast.

    One cycle is the seasonal naive forecast. A season that is not a whole number is rounded cycle by cycle: the value k
    cycles before step t is that of step t - round(k · season). Where a series has no cycle before the window, its last
    value is repeated.
    """
    values = np.concatenate([record.values for record in windows.panel.records])  # (T, C)
    lengths = [len(record.values) for record in windows.panel.records]
    starts = (np.cumsum(lengths) - lengths)[windows.record]  # (N,)
    origins = starts + windows.origin
    ahead = np.arange(windows.horizon)
    nearest = np.ceil((ahead + 1) / season)  # the first cycle that begins before the window's future

    def forecast(batch: WindowBatch) -> Tensor:
        rows = np.array(batch.rows)
        start, origin = starts[rows, None], origins[rows, None]  # (B, 1)
        total = np.zeros((len(rows), windows.horizon, values.shape[1]))
        count = np.zeros((len(rows), windows.horizon, 1))
        for cycle in range(cycles):
            at = origin + ahead - np.rint((nearest + cycle) * season).astype(int)  # (B, H)
            inside = at >= start
            if not inside.any():
                break
            total += np.where(inside[..., None], values[np.maximum(at, 0)], 0.0)
            count += inside[..., None]
        mean = np.where(count > 0, total / np.maximum(count, 1), values[origin - 1])
        scaled = (mean - batch.center.numpy()[:, None]) / batch.spread.numpy()[:, None]
        return torch.from_numpy(scaled).float().unsqueeze(3)

    return forecast
