"""The search of a learning rate: which rates are tried first, and which one is the best. Imports no torch.

`losses` maps each rate that was tried, or its factor of the preset's rate, to the validation loss at the end of its
trial; None where the trial diverged or failed. Rates are ranked by that loss alone, also where a training keeps its
model, or a comparison is decided, by another metric. A trial is a run in fewer steps, of the same shape: the same
share of warm-up, then the peak, then the decay of its schedule to the end.

A longer training has a smaller best rate, in proportion to its length to a negative power: -1/2 in bounds for
stochastic gradient descent with a fixed number of steps (Nemirovski et al. 2009, section 2.2), about -0.32 measured
with AdamW on language models (Bjorck et al. 2025, Scaling Optimal LR Across Token Horizons). A run therefore has a
smaller rate than the best of its trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

STEP = 3.0  # neighbouring candidates are this factor apart
Edge = Literal["smallest", "largest"]  # of the rates that were tried
EXTRA = 1  # trials of an architecture beyond the edge of its candidates, at most; the budget has room for them
FALL = 1 / 3  # the best rate is in proportion to length**-FALL
MOST_WARMUP = 0.5  # of a trial, so that it sees the peak of its rate even where its run would not


def candidates(count: int) -> list[float]:
    """The factors of the preset's learning rate that are tried first, ascending, including 1."""
    return [STEP ** (i - (count - 1) // 2) for i in range(count)]


def most_trials(count: int) -> int:
    """The largest number of trials in the first stage of a search with `count` candidates."""
    return count + EXTRA


def best(losses: Mapping[float, float | None]) -> float | None:
    """The rate with the smallest loss, the smaller one of equals; None where every trial was lost."""
    known = [(loss, rate) for rate, loss in losses.items() if loss is not None]
    return min(known)[1] if known else None


def optimum(losses: Mapping[float, float | None]) -> float | None:
    """The rate with the smallest loss, also between those that were tried; None where every trial was lost.

    It is that of the vertex of the parabola through the best one and its neighbours, over the logarithm of the rate;
    the best one itself where it is at the edge or where a neighbour was lost.
    """
    chosen, rates = best(losses), sorted(losses)
    if chosen is None or edge(losses) is not None:
        return chosen
    place = rates.index(chosen)
    x = [math.log(rate / chosen) for rate in rates[place - 1 : place + 2]]  # below 0, 0, above 0
    lower, least, upper = (losses[rate] for rate in rates[place - 1 : place + 2])
    if lower is None or least is None or upper is None or lower == upper == least:
        return chosen
    left, right = (lower - least) / x[0], (upper - least) / x[2]  # slopes
    return chosen * math.exp((x[2] * left - x[0] * right) / (left - right) / 2)


def for_longer(rate: float, times: float) -> float:
    """The best rate of a training `times` as long as one whose best rate is `rate`, rounded to three digits."""
    return float(f"{rate * times**-FALL:.3g}")


def edge(losses: Mapping[float, float | None]) -> Edge | None:
    """The edge of the tried rates at which the best one is; None where it has neighbours on both sides.

    A rate whose trial was lost is a neighbour like any other: it shows that the best rate is not beyond it.
    """
    chosen = best(losses)
    if chosen is None:
        return None
    if chosen == max(losses):
        return "largest"
    return "smallest" if chosen == min(losses) else None


def beyond(losses: Mapping[float, float | None], count: int) -> float | None:
    """The factor to try next, beyond the edge at which the best one is; None where the search has ended.

    It needs all `count` candidates, so that the order in which trials end changes nothing. Where every trial was lost,
    it is a smaller factor.
    """
    if not count <= len(losses) < most_trials(count):
        return None
    side = edge(losses) if best(losses) is not None else "smallest"
    if side is None:
        return None
    return max(losses) * STEP if side == "largest" else min(losses) / STEP


def trial_warmup(warmup: float, warmup_steps: int | None, run_steps: float | None) -> float:
    """The share of a trial in which its rate rises: that of its run, at most `MOST_WARMUP` where it is in steps.

    warmup: the share that holds where `warmup_steps` is None; run_steps: the steps of the run, None where its budget
        counts something else: then it is `warmup`, but zero steps remain zero
    """
    if warmup_steps is None:
        return warmup
    if warmup_steps == 0:
        return 0.0
    return warmup if run_steps is None else min(warmup_steps / run_steps, MOST_WARMUP)
