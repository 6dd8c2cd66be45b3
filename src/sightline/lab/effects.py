"""Effect sizes of a difference between two architectures, from the scores of their seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def hedges_g(first: ArrayLike, second: ArrayLike) -> float | None:
    """The difference of means in units of the pooled standard deviation between seeds, corrected for few seeds.

    g = (1 - 3 / (4 ν - 1)) * (mean of first - mean of second) / s, with ν = n + m - 2 degrees of freedom (Hedges 1981,
    "Distribution theory for Glass's estimator of effect size and related estimators").
    None where it is undefined: no spread, or fewer than 2 seeds of either.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if min(len(a), len(b)) < 2:
        return None
    freedom = len(a) + len(b) - 2
    pooled = ((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / freedom
    if not pooled > 0:
        return None
    return float((1 - 3 / (4 * freedom - 1)) * (a.mean() - b.mean()) / np.sqrt(pooled))


def superiority(first: ArrayLike, second: ArrayLike) -> float:
    """The share of pairs of trainings, one of each, in which `first` has the larger score; ties count half.

    Vargha and Delaney's A (2000, "A critique and improvement of the CL common language effect size statistics of McGraw
    and Wong"), that is the Mann–Whitney U over the number of pairs.
    """
    a, b = np.asarray(first, float)[:, None], np.asarray(second, float)[None, :]
    return float((a > b).mean() + (a == b).mean() / 2)
