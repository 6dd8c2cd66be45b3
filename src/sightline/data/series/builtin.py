"""Built-in series whose best possible forecast is known, intervals included.

`builtin:seasonal`: a season, its second harmonic and a slope, with white noise on top. `builtin:ar`: an autoregression
of order 1 around a level. No model can have a lower expected error than the truth that comes with them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final
from urllib.parse import parse_qsl

import numpy as np

from sightline.core.config import override
from sightline.core.errors import InputError
from sightline.data.batches import generator
from sightline.data.builtin import parse_name
from sightline.data.series.grid import Grid, parse_every
from sightline.data.series.panel import Panel, Series

MOST = 1_000_000


class Truth(ABC):
    """The process that generated the series: the distribution of every future value given the past."""

    @abstractmethod
    def forecast(self, record: int, origin: int, values: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (H, C) of the steps from `origin` on, given the values (T, C) before it."""


@final
@dataclass(frozen=True)
class SeasonalOptions:
    """`builtin:seasonal?length=4000&season=24&noise=0.5&slope=0.0005&series=2&seed=0`."""

    length: int = 4000
    season: int = 24
    noise: float = 0.5
    slope: float = 0.0005
    series: int = 2
    seed: int = 0


@final
@dataclass(frozen=True)
class ArOptions:
    """`builtin:ar?length=4000&phi=0.9&noise=1&series=2&seed=0`."""

    length: int = 4000
    phi: float = 0.9
    noise: float = 1.0
    series: int = 2
    seed: int = 0


@final
@dataclass(frozen=True)
class Seasonal(Truth):
    """y_t = level + slope·t + Σ_k a_k sin(2π k t / season + φ_k) + noise·ε_t, ε_t standard normal, k = 1, 2.

    The irreducible squared error is noise² at every horizon.
    """

    options: SeasonalOptions
    level: np.ndarray  # (C,)
    amplitude: np.ndarray  # (2, C)
    phase: np.ndarray  # (2, C)

    def mean(self, first: int, steps: int) -> np.ndarray:
        """The values (steps, C) without noise, from step `first` on."""
        t = np.arange(first, first + steps, dtype=np.float64)[:, None, None]  # (steps, 1, 1)
        turn = 2 * np.pi * np.arange(1, 3)[:, None] * t / self.options.season + self.phase  # (steps, 2, C)
        return self.level + self.options.slope * t[:, 0] + (self.amplitude * np.sin(turn)).sum(1)

    def forecast(self, record: int, origin: int, values: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        mean = self.mean(origin, horizon)
        return mean, np.full_like(mean, self.options.noise)


@final
@dataclass(frozen=True)
class Autoregression(Truth):
    """y_t = level + φ (y_{t-1} - level) + noise·ε_t, begun in its stationary distribution.

    The best forecast h steps ahead is level + φ^h (y_t - level), with variance noise² (1 - φ^{2h}) / (1 - φ²).
    """

    options: ArOptions
    level: np.ndarray  # (C,)

    def forecast(self, record: int, origin: int, values: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        phi = self.options.phi
        ahead = np.arange(1, horizon + 1)[:, None]
        mean = self.level + phi**ahead * (values[-1] - self.level)
        variance = self.options.noise**2 * (1 - phi ** (2 * ahead)) / (1 - phi**2)
        return mean, np.sqrt(variance).repeat(mean.shape[1], 1)


def generate(name: str) -> tuple[Panel, Truth]:
    """The panel and the truth of `builtin:seasonal?…` or `builtin:ar?…`: one hourly table of `series` columns.

    Raises:
        InputError: "builtin: unknown built-in data 'sesonal', did you mean 'seasonal'?", "builtin:ar: phi must be
            between -0.999 and 0.999, found 2.0".
    """
    kinds = {"seasonal": SeasonalOptions, "ar": ArOptions}
    kind, query = parse_name(name, kinds)
    place = f"builtin:{kind}"
    options = override(kinds[kind](), dict(parse_qsl(query, keep_blank_values=True)), prefix=f"{place}: ")
    _check(options, place)
    random = generator(options.seed, place)
    level = random.normal(0.0, 3.0, options.series)
    noise = random.standard_normal((options.length, options.series))
    truth: Truth
    if isinstance(options, SeasonalOptions):
        amplitude = random.uniform(0.5, 2.0, (2, options.series)) * np.array([[1.0], [0.5]])
        truth = Seasonal(options, level, amplitude, random.uniform(0, 2 * np.pi, (2, options.series)))
        values = truth.mean(0, options.length) + options.noise * noise
    else:
        truth = Autoregression(options, level)
        values = noise * options.noise
        values[0] /= np.sqrt(1 - options.phi**2)
        for step in range(1, options.length):
            values[step] += options.phi * values[step - 1]
        values += level
    origin = int(np.datetime64("2020-01-01", "us").astype(np.int64))
    empty = np.zeros((options.length, 0))
    targets = tuple(f"s{i}" for i in range(options.series))
    grid = Grid("time", origin, parse_every("1h", "time")[1])
    return Panel(name, grid, targets, (), (), (Series("", 0, values, empty, empty),)), truth


def _check(options: SeasonalOptions | ArOptions, place: str) -> None:
    ranges: dict[str, tuple[float, float]] = {
        "length": (16, MOST), "season": (2, MOST), "noise": (0, 1e6), "slope": (-1e6, 1e6), "series": (1, 1000),
        "phi": (-0.999, 0.999), "seed": (0, 2**63 - 1),
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        value = getattr(options, name, low)
        if not low <= value <= high:
            raise InputError(f"{name} must be between {low:g} and {high:g}, found {value}", where=place)
