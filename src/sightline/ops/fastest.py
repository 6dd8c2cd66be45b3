"""The choice among ways to compute the same result, by a short measurement at the first use."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")

ROUNDS = 5  # calls of each way, in turns; the shortest counts, which other programs lengthen least

_chosen: dict[Hashable, int] = {}


def fastest(what: Hashable, ways: Sequence[Callable[[], T]]) -> T:
    """The result of the fastest of `ways`, which all compute the same.

    The first call for `what` (a shape class, a dtype) measures all of them and remembers the choice for this process.
    """
    choice = _chosen.get(what)
    if choice is None:
        choice = _chosen[what] = _measured(ways)
    return ways[choice]()


def _measured(ways: Sequence[Callable[[], object]]) -> int:
    shortest = [float("inf")] * len(ways)
    for turn in range(ROUNDS + 1):
        for number, way in enumerate(ways):
            began = perf_counter()
            way()
            if turn:  # the first one warms up
                shortest[number] = min(shortest[number], perf_counter() - began)
    return shortest.index(min(shortest))
