"""The search of learning rates, and of sizes together with them, by successive halving. Imports no torch.

Jamieson & Talwalkar 2016 (Non-stochastic Best Arm Identification and Hyperparameter Optimization), with thirds for
halves: every candidate gets a short trial; the best third gets trials three times as long, and so on until one is left.
A size that learns slowly at first is found where it is among the best third of the short trials. Trials are whole
trainings, each with its own warm-up and decay, so that nothing of an earlier stage goes into a later one. With three
candidates there is one stage.

`losses` maps each candidate of a stage to the validation loss at the end of its trial; None where that diverged or
failed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

KEPT = 3  # one candidate in this many is tried again, this many times as long
SIZE_STEP = 4.0  # neighbouring sizes are this factor of parameters apart


class SearchCandidate(NamedTuple):
    """A size, in parameters, and a factor of the preset's learning rate; no size where sizes are not searched."""

    size: int | None
    factor: float


def size_factors(count: int) -> list[float]:
    """The factors of the preset's parameters that are tried, ascending, including 1."""
    return [SIZE_STEP ** (i - (count - 1) // 2) for i in range(count)]


def stage_counts(count: int) -> list[int]:
    """The number of trials in each stage of a search over `count` candidates."""
    counts = [count]
    while (fewer := math.ceil(counts[-1] / KEPT)) > 1:
        counts.append(fewer)
    return counts


def length(stage: int) -> int:
    """The length of a trial as a multiple of those in the first stage, 0."""
    return KEPT**stage


def effort(count: int) -> int:
    """The length of all trials of a search over `count` candidates, in trials of the first stage."""
    return sum(trials * length(stage) for stage, trials in enumerate(stage_counts(count)))


def following(stages: Sequence[Mapping[SearchCandidate, float | None]], count: int) -> list[SearchCandidate]:
    """The candidates of the next stage; none before the last one of `stages` has ended, and at the end of the search.

    count: the candidates of the first stage; those that were added to it compete, and as many are kept as without them
    """
    counts = [len(losses) if stage else count for stage, losses in enumerate(stages)]
    kept = [_ranked(losses)[: math.ceil(most / KEPT)] for losses, most in zip(stages, counts, strict=True)]
    expected = len(kept[-2]) if len(stages) > 1 else count
    if not stages or len(stages[-1]) < expected:  # another order of their ends changes nothing
        return []
    return kept[-1] if len(kept[-1]) > 1 else []


def best_candidate(stages: Sequence[Mapping[SearchCandidate, float | None]]) -> SearchCandidate | None:
    """The best candidate of the longest trials that were not lost; None where all were."""
    for losses in reversed(stages):
        if ranked := _ranked(losses):
            return ranked[0]
    return None


def _ranked(losses: Mapping[SearchCandidate, float | None]) -> list[SearchCandidate]:
    """The candidates that were not lost, best first; of equals the smaller model, then the smaller rate."""
    known = [(loss, candidate) for candidate, loss in losses.items() if loss is not None]
    return [candidate for _, candidate in sorted(known)]
