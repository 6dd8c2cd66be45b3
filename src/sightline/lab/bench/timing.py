"""Times of functions that run in turns, and the spread of their ratio."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

import torch

from sightline.core.cpu_clock import CpuClock
from sightline.lab.bench.scenario import Computation

SHORTEST_S = 0.02  # shorter calls are repeated until they take this long
TOTAL_S = 1.0  # minimum time of all rounds, unless their number reaches ten times the minimum
LONGEST_S = 300.0  # no further round starts after this time
ALONE_S = 20.0  # the same for a run without a peer


def synchronize(device: torch.device) -> None:
    """Wait for all work on the device; returns at once on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(run: Callable[[], object], device: torch.device, repeats: int = 1) -> float:
    """Seconds of one call: the mean of `repeats` consecutive calls."""
    synchronize(device)
    began = perf_counter()
    for _ in range(repeats):
        run()
    synchronize(device)
    return (perf_counter() - began) / repeats


def call_seconds(run: Callable[[], object], device: torch.device, repeats: int = 1) -> float:
    """Seconds of one call; with one thread on a CPU its CPU seconds, which other programs do not lengthen."""
    if device.type != "cpu" or torch.get_num_threads() > 1:
        return seconds(run, device, repeats)
    clock = CpuClock()
    for _ in range(repeats):
        run()
    return clock.lap() / repeats


def in_turns(
    runs: Sequence[Computation], number: int, device: torch.device, between: Callable[[], object]
) -> list[tuple[float, ...]]:
    """Seconds of every run in at least `number` rounds and `TOTAL_S` seconds, after a warm-up round.

    The order alternates between rounds; `between` is called after each. Measurements stop early after `LONGEST_S`
    seconds (`ALONE_S` for a single run), but not before three rounds.
    """
    warm = [seconds(run, device) for run in runs]
    repeats = [max(1, math.ceil(SHORTEST_S / max(s, 1e-9))) for s in warm]
    rounds: list[tuple[float, ...]] = []
    longest = LONGEST_S if len(runs) > 1 else ALONE_S
    began = perf_counter()
    while True:
        spent = perf_counter() - began
        if len(rounds) >= number and (spent >= TOTAL_S or len(rounds) >= 10 * number):
            return rounds
        if len(rounds) >= 3 and spent >= longest:
            return rounds
        order = list(enumerate(runs))
        taken = {at: seconds(run, device, repeats[at]) for at, run in (order[::-1] if len(rounds) % 2 else order)}
        rounds.append(tuple(taken[at] for at, _ in order))
        between()


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles and range, rounded to six digits."""
    lower, middle, upper = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    named = {"median": middle, "lower": lower, "upper": upper, "least": min(values), "most": max(values)}
    return {name: float(f"{value:.6g}") for name, value in named.items()}
