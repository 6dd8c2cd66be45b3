"""Arrays and columns of numbers, as any library has them."""

from __future__ import annotations

from typing import Any

import numpy as np


def array_of(value: Any) -> np.ndarray | None:
    """The numbers of an array, a tensor, a column of a frame or a flat list of numbers; None for anything else.

    A missing value of a column is NaN.
    """
    if isinstance(value, list):
        numbers = value and all(isinstance(one, int | float) and not isinstance(one, bool) for one in value)
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
