"""A sample of items from everywhere in a part, where looking at all of them would take too long."""

from __future__ import annotations

import math

import numpy as np

from sightline.core.seeds import derive


def at_least_one(count: float) -> int:
    """A share of some items as a whole number, rounded up, and one at least."""
    return max(1, math.ceil(count))


def spaced(total: int, most: int) -> list[int]:
    """The numbers of `most` items of `total`, ascending, one from each of as many equal stretches; all where there are
    fewer.

    The place within a stretch is pseudo-random, the same in every call. Items at equal distances would be of one kind
    wherever the order of the items has a period, such as labels in turns or hours of a day.
    """
    if total <= most:
        return list(range(total))
    rows = []
    for i in range(most):
        low, high = i * total // most, (i + 1) * total // most
        rows.append(low + derive(0, "spaced", i) % (high - low))
    return rows


def spaced_by_class(labels: np.ndarray, most: int) -> list[int]:
    """The numbers of `most` items, ascending, `spaced` within each class; all where there are fewer.

    Every class keeps its share as nearly as whole numbers allow, and one item at least. Where there are more classes
    than `most`, the commonest ones have one item each.

    labels: (N,) the class of each item
    """
    if len(labels) <= most:
        return list(range(len(labels)))
    _, places, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    ends = sizes.cumsum()
    if most < len(sizes):
        counts = np.zeros_like(sizes)
        counts[np.argsort(-sizes, kind="stable")[:most]] = 1
    else:
        counts = np.diff(ends * most // len(labels), prepend=0)
        for rare in np.flatnonzero(counts == 0):
            counts[counts.argmax()] -= 1
            counts[rare] = 1
    groups = np.split(np.argsort(places, kind="stable"), ends[:-1])
    chosen = (group[spaced(len(group), int(count))] for group, count in zip(groups, counts, strict=True) if count)
    return sorted(row for own in chosen for row in own.tolist())
