"""The pace of a training: how much of its budget is used, what that means for the rate, and when to validate or end."""

from __future__ import annotations

import math
from typing import Literal, final

from sightline.training.budget import Budget, Spent
from sightline.training.optim import learning_rate
from sightline.training.state import State, TrainConfig

VALIDATION_SHARE = 0.1  # of a budget by the clock, at most, goes to validations before the last


@final
class Pace:
    """The settings of a training applied to its state: share of the budget used, learning rate, and what is due."""

    def __init__(self, config: TrainConfig) -> None:
        self.config, self.budget = config, Budget.parse(config.budget)

    def fraction(self, state: State, spent: Spent | None = None) -> float:
        """The share of the budget used, at most 1. A budget by the clock keeps the time of the last validation free."""
        reserve = state.last_validation_s if self.budget.unit == "wall" else 0.0
        spendable = max(self.budget.amount - reserve, 1e-9)
        return min(self.budget.used(spent or state.spent) / spendable, 1.0)

    def learning_rate(self, state: State) -> float:
        """The rate of the next step. `state.warm` becomes the amounts that are spent by then, while it rises."""
        optim, step, fraction = self.config.optim, state.spent.steps, self.fraction(state)
        if fraction <= optim.warmup if optim.warmup_steps is None else step <= optim.warmup_steps:
            state.warm = state.spent
        return learning_rate(optim, step, fraction, self.fraction(state, state.warm), self._steps(state))

    def _steps(self, state: State) -> float:
        """The steps of the whole budget; where other things are counted, as the steps so far show it."""
        if self.budget.unit == "steps":
            return self.budget.amount
        fraction = self.fraction(state)
        return state.spent.steps / fraction if fraction > 0 else math.inf

    def status(self, state: State) -> Literal["completed", "early_stopped"] | None:
        """The status with which the run ends now; None while it continues."""
        if self.fraction(state) >= 1.0:
            return "completed"
        patience = self.config.patience
        return "early_stopped" if patience is not None and state.without_better >= patience else None

    def validation_due(self, state: State, *, last: bool) -> bool:
        """Whether to validate before the next step, or at the end of the run."""
        step, times = state.spent.steps, self.config.validations
        if state.validated.steps == step:
            return False
        if last:
            return True
        if self.config.validate_every is not None:
            return step % self.config.validate_every == 0
        if self.budget.unit == "wall" and state.validation_s > VALIDATION_SHARE * state.spent.seconds:
            return False
        return int(self.fraction(state) * times) > int(self.fraction(state, state.validated) * times)
