"""Exponents of growth: the p of n^p that a quantity follows at the largest lengths. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.lab.panel_results import Growth

FEWEST = 3  # lengths of a fit
GROWN = 3.0  # times the quantity at the smallest length: from here on fixed costs are less than a third
STEADY = 0.1  # counted quantities whose slopes differ by no more follow a power at all their lengths
RESAMPLES = 1000


def fit_exponent(lengths: Sequence[int], rounds: Sequence[Sequence[float]], seed: int = 0) -> Growth | None:
    """The slope of log quantity over log length, by least squares, over the largest lengths.

    rounds: the measurements at each length, of which the median counts. Lengths are used where that median is at least
    `GROWN` times the one at the smallest length, so that fixed costs do not flatten the slope; where fewer than
    `FEWEST` are, the largest `FEWEST` are used, and the result is not `settled`. The 95 % interval is that of a
    bootstrap over the rounds; of a quantity that is counted, not measured, it spans the slopes between neighbours,
    and the result is settled too where those hardly differ. None for fewer than `FEWEST` lengths.
    """
    if len(lengths) < FEWEST:
        return None
    medians = np.array([np.median(values) for values in rounds])
    grown = np.flatnonzero(medians >= GROWN * medians[0]) if medians[0] > 0 else np.array([], int)
    settled = len(grown) >= FEWEST
    first = int(grown[0]) if settled else max(0, len(medians) - FEWEST)
    used = [int(n) for n in lengths[first:]]
    x = np.log(used)
    y = np.log(np.maximum(medians[first:], 1e-12))
    exponent = _slope(x, y[None])[0]
    if all(len(values) == 1 for values in rounds):
        between = np.diff(y) / np.diff(x)
        steady = between.max() - between.min() <= STEADY
        return Growth(float(exponent), float(between.min()), float(between.max()), used, bool(settled or steady))
    random = np.random.default_rng(seed)
    draws = np.stack(
        [np.median(random.choice(values, (RESAMPLES, len(values))), 1) for values in map(np.asarray, rounds[first:])], 1
    )
    low, high = np.quantile(_slope(x, np.log(np.maximum(draws, 1e-12))), (0.025, 0.975))
    return Growth(float(exponent), float(low), float(high), used, settled)


def _slope(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes (R,) of y (R, N) over x (N,)."""
    centred = x - x.mean()
    return (y - y.mean(1, keepdims=True)) @ centred / (centred @ centred)
