"""Arrays and columns of numbers, as any library has them."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np


def array_of(value: Any) -> np.ndarray | None:
    """The numbers of an array, a tensor, a column of a frame or a flat list of numbers; None for anything else.

    A missing value of a column or a list, None, is NaN; a list of nothing else has no numbers.
    """
    if isinstance(value, list):
        known = [one for one in value if one is not None]
        numbers = known and all(isinstance(one, Real) and not isinstance(one, bool) for one in known)
        return np.asarray(value, np.float64) if numbers else None
    if not isinstance(value, np.ndarray):
        import narwhals as nw

        if not hasattr(value, "__array__"):
            return None
        known = nw.from_native(value, pass_through=True, allow_series=True)
        if isinstance(known, nw.Series):
            return known.cast(nw.Float64()).to_numpy() if known.dtype.is_numeric() else None
        if is_table(value):
            return None
        value = np.asarray(value)
    return value if value.dtype.kind in "fiu" else None


def is_table(value: Any) -> bool:
    """Whether it has columns with names, as frames of all libraries do."""
    return hasattr(value, "columns") or hasattr(value, "column_names")
