"""DLinear and NLinear: one linear map from the look-back to the horizon (Zeng et al. 2023, arXiv:2205.13504).

They are the baselines of "Are Transformers Effective for Time Series Forecasting?".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.core.settings import CheckedConfig, key
from sightline.parts.front_ends import Source
from sightline.parts.series_patches import SeriesWindows

READS = "a linear forecaster reads the values themselves"


@final
class StepMaps(nn.Module):
    """W x + b along time, from L steps to H·Q numbers; the same for every channel, or one for each (`individual`)."""

    def __init__(self, steps: int, outputs: int, channels: int, individual: bool, average: bool) -> None:
        super().__init__()
        self.individual = individual
        maps = channels if individual else 1
        bound = steps**-0.5  # as torch.nn.Linear draws both
        self.weight = nn.Parameter(torch.empty(maps, steps, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(maps, 1, outputs).uniform_(-bound, bound))
        if average:
            nn.init.constant_(self.weight, 1.0 / steps)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, L) to (B, C, H·Q)."""
        if not self.individual:
            return F.linear(x, self.weight[0].T, self.bias[0, 0])
        return torch.baddbmm(self.bias, x.transpose(0, 1), self.weight).transpose(0, 1)


@final
class DLinear(nn.Module):
    """A moving average (the trend) and the rest (the season), each by a linear map; their sum is the forecast.

    § 4.2. The average is over `window` steps, both ends of the look-back repeated. Weights begin at 1/L, as in the
    authors' code.
    """

    def __init__(self, source: SeriesWindows, outputs: int, window: int, individual: bool) -> None:
        super().__init__()
        self.horizon, self.outputs, self.window = source.horizon, outputs, window
        sizes = source.lookback, source.horizon * outputs, source.channels, individual
        self.season, self.trend = StepMaps(*sizes, average=True), StepMaps(*sizes, average=True)

    def forward(
        self, values: Tensor, past: Tensor | None = None, known: Tensor | None = None, future: Tensor | None = None
    ) -> Tensor:
        """Forecasts (B, H, C, Q) of values (B, L, C); covariates are not read."""
        x = values.transpose(1, 2)  # (B, C, L)
        before, after = (self.window - 1) // 2, self.window // 2
        padded = torch.cat([x[..., :1].expand(-1, -1, before), x, x[..., -1:].expand(-1, -1, after)], 2)
        trend = F.avg_pool1d(padded, self.window, 1)
        return _steps(self.season(x - trend) + self.trend(trend), self.horizon, self.outputs)


@final
class NLinear(nn.Module):
    """x_L + W (x - x_L) + b: the last value is taken off and put back (§ 4.2), which follows a drifting level."""

    def __init__(self, source: SeriesWindows, outputs: int, individual: bool) -> None:
        super().__init__()
        self.horizon, self.outputs = source.horizon, outputs
        self.map = StepMaps(source.lookback, source.horizon * outputs, source.channels, individual, average=False)

    def forward(
        self, values: Tensor, past: Tensor | None = None, known: Tensor | None = None, future: Tensor | None = None
    ) -> Tensor:
        """Forecasts (B, H, C, Q) of values (B, L, C); covariates are not read."""
        x = values.transpose(1, 2)  # (B, C, L)
        last = x[..., -1:]
        return _steps(self.map(x - last) + last, self.horizon, self.outputs)


def _steps(flat: Tensor, horizon: int, outputs: int) -> Tensor:
    """(B, C, H·Q) as (B, H, C, Q)."""
    return flat.unflatten(2, (horizon, outputs)).transpose(1, 2)


def as_windows(source: Source, reads: str = "") -> SeriesWindows:
    """The source, once it is known to be windows of series; `ValueError` where it is not.

    `reads` says how a forecaster reads values that has no use for a front end.

    Raises:
        InputError: "--front-end: a linear forecaster reads the values themselves: leave it out".
    """
    if not isinstance(source, SeriesWindows):
        raise ValueError(f"a forecaster reads windows of series, got {source}")
    if reads and source.front_end:
        raise InputError(f"{reads}: leave it out", where="--front-end")
    return source


@dataclass(frozen=True)
class _Linear(CheckedConfig):
    individual: bool = key(False, "Use a map of its own for every channel.")

    @property
    def d_model(self) -> int:
        """It has no width."""
        return 1

    def resized(self, d_model: int) -> NoReturn:
        raise InputError(
            "the size of a linear forecaster follows from its windows: it cannot be scaled", where="--match"
        )


@final
@dataclass(frozen=True)
class DLinearConfig(_Linear):
    """A moving average and the rest, each by one linear map (Zeng et al. 2023, § 4.2).

    moving_average: steps of the average
    individual: maps of its own for every channel
    """

    moving_average: int = key(25, "Steps of the moving average.", at_least=1)

    def build(self, source: Source, outputs: int = 1) -> DLinear:
        return DLinear(as_windows(source, READS), outputs, self.moving_average, self.individual)


@final
@dataclass(frozen=True)
class NLinearConfig(_Linear):
    """One linear map of the differences from the last value (Zeng et al. 2023, § 4.2).

    individual: a map of its own for every channel
    """

    def build(self, source: Source, outputs: int = 1) -> NLinear:
        return NLinear(as_windows(source, READS), outputs, self.individual)
