"""Steps at the ends of resampled series that have fewer rows than the others: the data begins or ends within them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.core.digits import number_of
from sightline.data.series.grid import Grid

FEWEST = 3  # steps between the ends, that say how many rows are usual
MOSTLY = 0.9  # the share of them that must have as many


def short_ends(grid: Grid, names: Sequence[str], code: np.ndarray, index: np.ndarray) -> list[str]:
    """A note for the first steps and one for the last steps that are not complete.

    Of such a step a sum is too low, and a mean is of a part of the day: a model would read it as a fall.

    code, index: (N,) the number of each row's series and of its step on the grid, in order of series and time
    """
    begins = np.flatnonzero((np.diff(code, prepend=-1) != 0) | (np.diff(index, prepend=index[:1] - 1) != 0))
    counts, of_series, steps = np.diff(begins, append=len(code)), code[begins], index[begins]  # (steps,)
    short: dict[str, list[str]] = {"first": [], "last": []}
    for low, high in zip(*_bounds(of_series), strict=True):
        own = counts[low:high]
        kinds, times = np.unique(own[1:-1], return_counts=True)
        if len(own) < FEWEST + 2 or times.max() < MOSTLY * (len(own) - 2):
            continue
        usual = int(kinds[times.argmax()])
        name = names[int(of_series[low])]
        for end, place in (("first", low), ("last", high - 1)):
            if counts[place] < usual:
                of = f" of {name!r}" if name else ""
                rows = number_of(int(counts[place]), "row")
                short[end].append(f"step{of}, {grid.text(int(steps[place]))}, has {rows}, other steps have {usual}")
    return [
        f"the {end} {those[0]}: if it is not complete, leave its rows out"
        + (f" ({number_of(len(those) - 1, 'more such series', 'more such series')})" if len(those) > 1 else "")
        for end, those in short.items()
        if those
    ]


def _bounds(of_series: np.ndarray) -> tuple[list[int], list[int]]:
    """Where the steps of each series begin and end."""
    starts = np.flatnonzero(np.diff(of_series, prepend=-1)).tolist()
    return starts, [*starts[1:], len(of_series)]
