"""Evenly spaced items, where looking at all of them would take too long."""

from __future__ import annotations

import math


def at_least_one(count: float) -> int:
    """A share of some items as a whole number, rounded up, and one at least."""
    return max(1, math.ceil(count))


def spaced(total: int, most: int) -> list[int]:
    """The numbers of `most` evenly spaced items of `total`, the first one included; all where there are fewer."""
    count = min(total, most)
    return [i * total // count for i in range(count)]
