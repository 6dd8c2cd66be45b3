"""Looks into a model while it trains: when they are due, and the record of each.

The first looks are after 1, 2, 4, … 32 steps, when most changes. By then their cost is known, and the others are
spread over what is left of the budget, between evenly and by equal factors, as many as `SHARE` of the training's time
pays for. They are planned once and kept with the state, so that a resumed training looks at the same steps.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, final

from torch import nn

from sightline.core.json_text import finite
from sightline.training.budget import Spent
from sightline.training.pace import Pace
from sightline.training.state import State
from sightline.training.timing import Timer, untouched

WatchModel = Callable[[nn.Module], Mapping[str, Any]]

FIRST = (1, 2, 4, 8, 16, 32)  # steps
SHARE = 0.05  # of the time of training, at most, for the looks after the first ones
MOST = 32  # looks after the first ones


@final
class Looks:
    """What `watch(model)` sees, at the steps of the plan. Time that it takes is not on the clock of the training."""

    def __init__(self, watch: WatchModel) -> None:
        self.watch = watch
        self._before = Spent()  # when `due` was asked last
        self._step_s = self._look_s = math.inf  # the fastest: early steps count operations, and the first look warms up

    def due(self, pace: Pace, state: State, *, last: bool) -> bool:
        """Whether to look before the next step, or at the end of the run."""
        step, before = state.spent.steps, state.looked
        if step == self._before.steps + 1:
            self._step_s = min(self._step_s, state.spent.seconds - self._before.seconds)
        self._before = state.spent
        if step == before.steps:
            return False
        if last or step in FIRST:
            return True
        if state.looks is None:
            return False
        return bisect_right(state.looks, pace.fraction(state)) > bisect_right(state.looks, pace.fraction(state, before))

    def take(self, model: nn.Module, pace: Pace, state: State) -> dict[str, Any]:
        """The record of a look: what is spent, `watch_s`, the seconds of the look, and what `watch` returns.

        Whatever it does to the model, its mode and the random streams is undone.
        """
        timer = Timer()
        with untouched(model):
            model.eval()
            seen = self.watch(model)
        seconds, _ = timer.read()
        self._look_s = min(self._look_s, seconds)
        if state.looks is None and state.spent.steps >= FIRST[-1]:
            steps, now = state.spent.steps - state.looked.steps, pace.fraction(state)
            whole = steps / max(now - pace.fraction(state, state.looked), 1e-9)  # steps of the budget
            step_s = min(self._step_s, (state.spent.seconds - state.looked.seconds) / steps)
            state.looks = planned_looks(now, whole * step_s, self._look_s)
        state.looked = state.spent
        return finite({"event": "watch", **asdict(state.spent), "watch_s": seconds, **seen})


def planned_looks(first: float, training_s: float, look_s: float) -> tuple[float, ...]:
    """Shares of the budget, after `first` and before its end, at which to look, ascending.

    training_s: of the whole training; look_s: of one look
    """
    count = min(int(SHARE * training_s / max(look_s, 1e-9)) - len(FIRST) - 1, MOST)  # one more is at the end
    if count < 1 or not 0 < first < 1:
        return ()
    return tuple(_between(first, place / (count + 1)) for place in range(1, count + 1))


def _between(first: float, share: float) -> float:
    """The x in (first, 1) where the mean of (x - first) / (1 - first) and ln(x / first) / ln(1 / first) is `share`."""
    low, high = first, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        even, by_factors = (middle - first) / (1 - first), 1 - math.log(middle) / math.log(first)
        low, high = (middle, high) if even + by_factors < 2 * share else (low, middle)
    return high
