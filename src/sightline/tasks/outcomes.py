"""Results of a task: answers and costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar, final

T = TypeVar("T")


@final
class Answer(NamedTuple):
    """One output, as text and as an object for `--json`."""

    text: str
    record: dict[str, Any]
    complete: bool = True  # False: cut off at a limit
    notes: tuple[str, ...] = ()  # for the user


@final
class Costs(NamedTuple):
    """The cost of one output when outputs are computed one at a time."""

    ms: float | None = None  # median
    per: str = "item"  # the unit that `ms` is measured for: "token", "item"
    state_bytes: int | None = None  # carried from step to step
    state_of: str = ""  # at which lengths, such as "29 source and 10 target tokens in"


def median_ms(calls: Iterable[Callable[[], Any]]) -> float | None:
    """The median duration of calls in milliseconds, each made once before, as the first time is slower."""
    times = []
    for call in calls:
        call()
        times.append(timed_ms(call)[1])
    return statistics.median(times) if times else None


def timed_ms(call: Callable[[], T]) -> tuple[T, float]:
    """A call's result and its duration in milliseconds."""
    began = time.perf_counter()
    result = call()
    return result, 1000 * (time.perf_counter() - began)
