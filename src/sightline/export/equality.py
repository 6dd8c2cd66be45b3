"""The checks of all formats: outputs beside those of the model, and the causes of a failed export."""

from __future__ import annotations

import numpy as np

from sightline.core.errors import one_line

TOLERANCE = 1e-5  # by which outputs of an export may differ from the model's, for values around 1


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, over values around 1 or larger ones.

    It is infinite where shapes differ, where a value is NaN, and where one is infinite and the other is not the same.
    """
    if ours.shape != theirs.shape:
        return np.inf
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.where(ours == theirs, 0.0, np.abs(ours - theirs))
    if not np.isfinite(apart).all():
        return np.inf
    return float(apart.max(initial=0.0) / np.abs(ours[np.isfinite(ours)]).max(initial=1.0))


def cause_of(error: BaseException) -> str:
    """The error that others followed from, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error)
