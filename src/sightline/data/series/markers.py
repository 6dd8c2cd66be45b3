"""Numbers that probably mark missing values, such as -9999 among temperatures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

FEWEST = 3  # of a marker in a column, and of other values


def markers(values: np.ndarray) -> Iterator[tuple[float, int]]:
    """The extremes of a column (N,) that repeat, far from all others, and how often each occurs."""
    for extreme in np.unique([values.min(), values.max()]) if len(values) else ():
        others = values[values != extreme]
        count = len(values) - len(others)
        if not FEWEST <= count <= len(values) // 2 or len(np.unique(others[:1000])) < FEWEST:
            continue
        low, high = others.min(), others.max()
        if max(low - extreme, extreme - high) > high - low:
            yield float(extreme), count


def unmarked(series: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Series (T, C) with the mean of a column instead of its markers, of those alone that are written in nines.

    Other extremes may be what was measured: nothing is sold on Sundays.
    """
    series = list(series)
    for column in range(series[0].shape[1] if series else 0):
        nines = [
            marker for marker, _ in markers(np.concatenate([rows[:, column] for rows in series])) if _nines(marker)
        ]
        if not nines:
            continue
        for place, rows in enumerate(series):
            marked = np.isin(rows[:, column], nines)
            if marked.any() and not marked.all():
                series[place] = rows = rows.copy()
                rows[marked, column] = rows[~marked, column].mean()
    return series


def _nines(value: float) -> bool:
    digits = f"{abs(value):g}"
    return len(digits) > 1 and set(digits) == {"9"}
