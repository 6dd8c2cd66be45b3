"""What a longer budget would pay: a learning curve extrapolated by a power law, with its uncertainty.

    v(t) = a + b · (t / T)^(−c),   noise of variance σ²

Cortes et al. 1993 (Learning curves: asymptotic values and rate of convergence, eq. 1) for errors; the curve of a metric
that grows has a negative b. The posterior of (a, b, c, σ²) is drawn exactly: c on a grid with a prior that is uniform
in log c, and for each c a linear regression with a flat prior for its level at the end and its improvement from the
first to the last point, and 1/σ² for the noise. Draws that get worse with time are left out, so that what is expected
is monotone in the budget.

The points of a curve should be the scores of comparable models. Within one training with a falling learning rate, the
last points come from smaller rates than those that a longer training has there; the interval does not know of this.
Nor does it know of trainings that learn slowly first and then fast. In 13 pairs of trainings of built-in data, one 3 to
14 times as long as the other, the interval of 80 % from the curve of the shorter one contained the validation loss of
the longer one 6 times: no report shows it.
Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

FEWEST_POINTS = 5
LEAST_SPAN = 4.0  # the last step over the first one
LEAST_IMPROVING = 0.6  # of the draws; otherwise the curve shows no direction
DRAWS = 4000
EXPONENTS = (0.05, 3.0)
GRID, REFINEMENTS = 200, 4


@final
@dataclass(frozen=True)
class Expected:
    """The value expected at `steps`, and the interval that contains it with the probability `level`."""

    steps: float
    value: float
    low: float
    high: float
    level: float


def extrapolate(
    steps: Sequence[float | int],
    values: Sequence[float | int | None],
    multiple: float | int,
    *,
    higher_is_better: bool,
    limits: tuple[float | int, float | int] = (-math.inf, math.inf),
    level: float = 0.8,
) -> Expected | None:
    """The value of the curve at `multiple` times its last step, or None where the curve cannot say.

    It cannot with fewer than five points, with points over less than a factor of 4 in steps, or where the points do not
    show that more steps help. Undefined values are left out. `limits` are the smallest and largest value of the metric.

    Raises:
        ValueError: "multiple must be at least 1, got 0.5"; "steps must be positive and ascending".
    """
    if not multiple >= 1:
        raise ValueError(f"multiple must be at least 1, got {multiple:g}")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level:g}")
    pairs = zip(steps, values, strict=True)
    points = [(step, value) for step, value in pairs if value is not None and math.isfinite(value)]
    if len(points) < FEWEST_POINTS or points[-1][0] < LEAST_SPAN * points[0][0]:
        return None
    t, v = np.asarray(points, dtype=float).T  # (N,) each
    if t[0] <= 0 or (np.diff(t) <= 0).any():
        raise ValueError("steps must be positive and ascending")
    drawn = _draws(t / t[-1], v, multiple, higher_is_better=higher_is_better)
    if drawn is None:
        return None
    drawn = np.clip(drawn, *limits)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Expected(float(multiple * t[-1]), float(drawn.mean()), float(low), float(high), level)


def _draws(t: Any, v: Any, multiple: float | int, *, higher_is_better: bool) -> Any:
    """Values at `multiple` drawn from the posterior, (D,); None where they do not agree that the curve improves."""
    posterior = _posterior(t, v)
    # One stream for every multiple: the same draws of the same curve, so that each of them is monotone.
    random = np.random.Generator(np.random.PCG64(0))
    chosen = random.choice(GRID, DRAWS, p=posterior.weights)
    normal = random.standard_normal((DRAWS, 3))
    sigma = np.sqrt(posterior.rss[chosen] / random.chisquare(len(t) - 2, DRAWS))
    correlated = np.einsum("dij,dj->di", posterior.roots[chosen], normal[:, :2])
    level, change = (posterior.means[chosen] + sigma[:, None] * correlated).T
    improving = change < 0 if higher_is_better else change > 0
    if improving.mean() < LEAST_IMPROVING:
        return None
    later = _shapes(np.array([multiple]), t[0], posterior.exponents)[chosen, 0]
    return (level + change * later + sigma * normal[:, 2])[improving]


@final
@dataclass(frozen=True)
class _Posterior:
    """For each exponent (G,) its probability, and the regression on its shape.

    means: (G, 2), level and change; rss: (G,), the squared residuals' sum; roots: (G, 2, 2), of the covariance over σ²
    """

    exponents: Any
    weights: Any
    means: Any
    rss: Any
    roots: Any


def _posterior(t: Any, v: Any) -> _Posterior:
    """The posterior on a grid of exponents, refined where the probability is: a smooth curve leaves few of them."""
    low, high = EXPONENTS
    for _ in range(REFINEMENTS):
        posterior = _regressions(t, v, np.geomspace(low, high, GRID))
        kept = np.flatnonzero(posterior.weights > 1e-4 * posterior.weights.max())
        low = posterior.exponents[max(kept[0] - 1, 0)]
        high = posterior.exponents[min(kept[-1] + 1, GRID - 1)]
    return _regressions(t, v, np.geomspace(low, high, GRID))


def _regressions(t: Any, v: Any, exponents: Any) -> _Posterior:
    shapes = _shapes(t, t[0], exponents)
    design = np.stack([np.ones_like(shapes), shapes], axis=2)  # (G, N, 2)
    precision = design.transpose(0, 2, 1) @ design
    covariance = np.linalg.inv(precision)
    means = np.einsum("gij,gnj,n->gi", covariance, design, v)
    smallest = (1e-6 * max(float(np.abs(v).max()), 1e-12)) ** 2  # a curve without noise has some by rounding
    rss = np.maximum(((v - np.einsum("gnj,gj->gn", design, means)) ** 2).sum(1), smallest)
    evidence = -0.5 * np.log(np.linalg.det(precision)) - (len(v) - 2) / 2 * np.log(rss)
    weights = np.exp(evidence - evidence.max())
    return _Posterior(exponents, weights / weights.sum(), means, rss, np.linalg.cholesky(covariance))


def _shapes(t: Any, first: float, exponents: Any) -> Any:
    """(t^(−c) − 1) / (first^(−c) − 1): 1 at the first point, 0 at the last one (t = 1), negative after it; (G, T)."""
    c = exponents[:, None]
    return np.expm1(-c * np.log(t)) / np.expm1(-c * math.log(first))
