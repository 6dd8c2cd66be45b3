"""Power laws of loss over size, fitted to draws of the losses. Imports no torch.

    L(N) = A · N^(−α)          Kaplan et al. 2020 (Scaling laws for neural language models, eq. 1.1, with A = N_c^α)
    L(N) = E + A · N^(−α)      Hoffmann et al. 2022 (Training compute-optimal large language models, eq. 2, fixed data)

E is what no size removes: the entropy of the data and what a fixed amount of training leaves. Both are fitted by least
squares on the loss: for every α of a grid the rest exactly, then on finer grids around the best one. Fitting every draw
gives draws of the parameters: intervals are their percentiles. A draw is one set of losses that other test items and
other seeds could have given (`lab.draws`), so that the intervals have both sources of variation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

FEWEST = 3  # sizes of a fit with an interval; with two the law passes through both whatever it is
FEWEST_WITH_FLOOR = 4  # with E, a third parameter
GRID = 201
EXPONENTS, EXPONENTS_WITH_FLOOR = (-1.0, 3.0), (0.02, 3.0)


@final
@dataclass(frozen=True)
class Laws:
    """One law for each draw, L(x) = floor + level · (x / centre)^(−exponent), whose parameters are (R,) each.

    floor: the irreducible E; zeros in a law without one
    at_edge: the share of draws whose exponent is at the end of what was searched
    with_floor: whether the form has E
    """

    centre: float
    exponent: np.ndarray
    level: np.ndarray
    floor: np.ndarray
    at_edge: float
    with_floor: bool

    def at(self, x: np.ndarray) -> np.ndarray:
        """The losses (R, X) at sizes (X,)."""
        ratio = np.log(np.asarray(x, float) / self.centre)
        return self.floor[:, None] + self.level[:, None] * np.exp(-self.exponent[:, None] * ratio)

    @property
    def coefficient(self) -> np.ndarray:
        """A (R,) of L(x) = E + A · x^(−α)."""
        return self.level * np.exp(self.exponent * np.log(self.centre))


def fit_laws(x: np.ndarray, y: np.ndarray, *, with_floor: bool) -> Laws:
    """The law of every row of losses `y` (R, K) over sizes `x` (K,), with E ≥ 0 where it has one.

    Raises:
        ValueError: "expected at least 2 different sizes, got 1"; with E at least 3; losses that are not finite.
    """
    x, y = np.asarray(x, float), np.atleast_2d(np.asarray(y, float))
    least = 3 if with_floor else 2
    if len(np.unique(x)) < least:
        raise ValueError(f"expected at least {least} different sizes, got {len(np.unique(x))}")
    if not np.isfinite(y).all():
        raise ValueError("losses must be finite")
    centre = float(np.exp(np.log(x).mean()))
    ratio = np.log(x / centre)
    exponents = np.linspace(*(EXPONENTS_WITH_FLOOR if with_floor else EXPONENTS), GRID)
    best = np.argmin(_residuals(exponents, ratio, y, with_floor), axis=1)
    at_edge = float(np.mean((best == 0) | (best == GRID - 1)))
    exponent = _refined(exponents, best, ratio, y, with_floor)
    shape = np.exp(-exponent[:, None] * ratio)
    level, floor = _linear(shape, y, with_floor)
    return Laws(centre, exponent, level, floor, at_edge, with_floor)


def _residuals(exponents: np.ndarray, ratio: np.ndarray, y: np.ndarray, with_floor: bool) -> np.ndarray:
    """The least sum of squares (R, G) of each row (R, K) for each exponent (G,)."""
    shapes = np.exp(-exponents[:, None] * ratio)  # (G, K)
    square, dot = (shapes**2).sum(1), y @ shapes.T  # (G,), (R, G)
    total = (y**2).sum(1, keepdims=True)
    plain = total - dot**2 / square
    if not with_floor:
        return plain
    # With an intercept E: where it would be negative the best admissible one is 0.
    mean, centred = shapes.mean(1), square - len(ratio) * shapes.mean(1) ** 2
    mean_y = y.mean(1, keepdims=True)
    level = (dot - len(ratio) * mean_y * mean) / centred
    floor = mean_y - level * mean
    free = total - len(ratio) * mean_y**2 - level**2 * centred
    return np.where((floor >= 0) & (level >= 0), free, plain)


def _refined(exponents: np.ndarray, best: np.ndarray, ratio: np.ndarray, y: np.ndarray, with_floor: bool) -> np.ndarray:
    """The exponents (R,) on ever finer grids around the best ones of the first grid."""
    step = exponents[1] - exponents[0]
    low, high = exponents[0], exponents[-1]
    exponent = exponents[best]
    for _ in range(6):
        around = np.clip(exponent[:, None] + step * np.linspace(-1, 1, 9), low, high)  # (R, 9)
        shape = np.exp(-around[..., None] * ratio)  # (R, 9, K)
        level, floor = _linear(shape, y[:, None], with_floor)
        rest = ((floor[..., None] + level[..., None] * shape - y[:, None]) ** 2).sum(2)
        exponent = np.take_along_axis(around, rest.argmin(1)[:, None], 1)[:, 0]
        step /= 4
    return exponent


def _linear(shape: np.ndarray, y: np.ndarray, with_floor: bool) -> tuple[np.ndarray, np.ndarray]:
    """Level and floor (...) of the least squares fit of rows (..., K) to shapes (..., K)."""
    alone = (shape * y).sum(-1) / (shape**2).sum(-1)
    if not with_floor:
        return alone, np.zeros_like(alone)
    mean, mean_y = shape.mean(-1, keepdims=True), y.mean(-1, keepdims=True)
    level = ((shape - mean) * (y - mean_y)).sum(-1) / ((shape - mean) ** 2).sum(-1)
    floor = mean_y[..., 0] - level * mean[..., 0]
    free = (floor >= 0) & (level >= 0)
    return np.where(free, level, alone), np.where(free, floor, 0.0)
