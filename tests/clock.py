"""A clock that tests move, so that results that depend on time are the same on every machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Clock:
    """Replaces the module `time` of the code under test."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    monotonic = thread_time = perf_counter

    def slow(self, seconds: float, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, each call of which takes `seconds`; fractions of 1/4 make sums exact."""

        def slowed(*arguments: Any) -> Any:
            self.now += seconds
            return function(*arguments)

        return slowed
