"""Normalisation of each window by its own past, taken back from the forecast.

A series whose level or spread drifts looks alike in every window; the model forecasts the rest.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, final

import torch
from torch import Tensor, nn

InstanceNormKind = Literal["revin", "standard", "last", "none"]
EPS = 1e-5


class WindowStatistics(NamedTuple):
    """The level and the spread of a window, (B, 1, C) each."""

    center: Tensor
    spread: Tensor


@final
class InstanceNorm(nn.Module):
    """Takes each window's level and spread off its values, and puts them back on forecasts.

    - "revin": (x - mean) / √(variance + ε), then γ x + β with γ, β learnt by channel (Kim et al. 2022, "Reversible
      Instance Normalization", eqs. 2 to 4), mean and variance (divided by T) over the window's steps
    - "standard": the same without γ and β, as PatchTST uses it
    - "last": x minus its last value (Zeng et al. 2023, NLinear); the spread stays
    - "none": nothing

    No gradients flow through the statistics: they are constants, as in the authors' code.
    """

    def __init__(self, channels: int, kind: InstanceNormKind = "revin") -> None:
        super().__init__()
        if kind not in ("revin", "standard", "last", "none"):
            raise ValueError(f"instance norm must be revin, standard, last or none, got {kind!r}")
        self.kind = kind
        self.scale = nn.Parameter(torch.ones(channels)) if kind == "revin" else None
        self.shift = nn.Parameter(torch.zeros(channels)) if kind == "revin" else None

    def forward(self, x: Tensor) -> tuple[Tensor, WindowStatistics]:
        """The normalised values (B, T, C), and their statistics."""
        with torch.no_grad():
            zero = torch.zeros_like(x[:, :1])
            center, spread = zero, zero + 1.0
            if self.kind == "last":
                center = x[:, -1:]
            elif self.kind != "none":
                center = x.mean(1, keepdim=True)
                spread = (x.var(1, keepdim=True, correction=0) + EPS).sqrt() if x.numel() else spread
        return self.normalise(x, statistics := WindowStatistics(center, spread)), statistics

    def normalise(self, x: Tensor, statistics: WindowStatistics) -> Tensor:
        """Other values (B, T, C) of the same windows, normalised alike."""
        y = (x - statistics.center) / statistics.spread
        return y if self.scale is None or self.shift is None else y * self.scale + self.shift

    def undo(self, y: Tensor, statistics: WindowStatistics) -> Tensor:
        """Forecasts (B, H, C, Q) in the units of the values."""
        if self.scale is not None and self.shift is not None:
            small = EPS * EPS  # keeps γ from being divided by where it has become zero, as in the authors' code
            y = (y - self.shift[:, None]) / (self.scale[:, None] + small)
        return y * statistics.spread.unsqueeze(3) + statistics.center.unsqueeze(3)
