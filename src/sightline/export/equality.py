"""The checks of all formats: outputs beside those of the model, and the causes of a failed export."""

from __future__ import annotations

import numpy as np

from sightline.core.errors import one_line

TOLERANCE = 1e-5  # by which outputs of an export may differ from the model's, for values around 1


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, over values around 1 or larger ones; infinite where shapes differ."""
    if ours.shape != theirs.shape:
        return float("inf")
    if not ours.size:
        return 0.0
    return float(np.abs(ours.astype(np.float64) - theirs).max()) / max(1.0, float(np.abs(ours).max()))


def cause_of(error: BaseException) -> str:
    """The error that others followed from, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error)
