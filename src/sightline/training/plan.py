"""A budget in seconds or joules as a number of steps: a pure function of measured costs. Imports no torch.

A second is one that the training would take if it had its cores to itself. `training.timing` measures the speed before
anything is trained; from there on the training depends on steps alone, so that other work on the machine makes it
slower, never worse.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from sightline.core.digits import number_of
from sightline.core.errors import EnvironmentFault
from sightline.training.budget import Budget

VALIDATION_SHARE = 0.15  # of the budget, at most, for validations with their checkpoints
FEWEST_VALIDATIONS = 3  # before a validation scores a sample instead of all items
MOST_VALIDATIONS = 10  # evenly spaced, so that none comes before a tenth of the steps
LEAST_SHARE = 0.01  # of the validation items, in a sample
ROUGH_W = 20.0  # watts of a training, before they are measured
CHECKPOINT_SHARE = 0.01  # of the time, at most, for checkpoints between validations


@final
@dataclass(frozen=True)
class Speed:
    """The measured costs of one training, in seconds of its own on an idle machine.

    step_s: a training step; validation_s: a validation of all its items; save_s: a checkpoint and the best model
    threads: what the threads of a training amount to; 1.6 of 2 where a step is 1.6 times as fast as with one thread
    step_j: joules of a step, its share where several trainings run at once; None where they were not measured
    """

    step_s: float
    validation_s: float = 0.0
    save_s: float = 0.0
    threads: float = 1.0
    step_j: float | None = None

    @property
    def watts(self) -> float | None:
        """Joules of a second of the training; None where they were not measured."""
        return None if self.step_j is None else self.step_j / self.step_s


@final
@dataclass(frozen=True)
class StepPlan:
    """The steps and validations that `seconds` pay for.

    validation_share: the share of items that each validation scores
    most_steps: the steps of `TrainConfig.most_epochs`; None: any number
    """

    seconds: float
    steps: int
    validations: int
    validation_share: float
    speed: Speed
    most_steps: int | None = None

    @property
    def training_s(self) -> float:
        """The seconds of its steps and validations; saving is not on a run's clock."""
        speed = self.speed
        return self.steps * speed.step_s + self.validations * self.validation_share * speed.validation_s

    @property
    def bounded(self) -> bool:
        """Whether `most_epochs` ends the training, so that more seconds would make it no longer."""
        return self.steps == self.most_steps

    def longer(self, times: float) -> float:
        """How many times as long a training by `times` as many seconds is: fewer where `most_epochs` ends it."""
        return times if self.most_steps is None else min(times, self.most_steps / self.steps)

    def __str__(self) -> str:
        items = "all items" if self.validation_share == 1 else f"{self.validation_share:.2g} of the items"
        ended = " (fewer than it pays for: most_epochs)" if self.bounded else ""
        joules = "" if self.speed.step_j is None else f" and {self.speed.step_j:.3g} J"
        each = f"{1000 * self.speed.step_s:.3g} ms{joules}"
        return (
            f"{number_of(self.steps, 'step')} of {each} for {self.seconds:.3g} s{ended}, "
            f"{number_of(self.validations, 'validation')} of {items}"
        )


def plan_steps(
    seconds: float,
    speed: Speed,
    *,
    validations: int = MOST_VALIDATIONS,
    most_share: float = 1.0,
    validate_every: int | None = None,
    most_steps: int | None = None,
    checkpoint_every_s: float = math.inf,
) -> StepPlan:
    """The plan for `seconds` of a training with the measured `speed`.

    Validations take at most `VALIDATION_SHARE` of the seconds: there are fewer where all of them, at most
    `MOST_VALIDATIONS`, would take more; where not even three fit, each scores a sample, the same one, so that they can
    be compared. No sample is larger than `most_share` of the items. Validations every `validate_every` steps, where it
    is given, take place whatever their cost. Checkpoints between them, `checkpoint_every_s` seconds apart, take at most
    `CHECKPOINT_SHARE` of the rest. What remains pays for steps, whose number is rounded to two significant digits, and
    for at most `most_steps`.
    """
    limit = math.inf if most_steps is None else most_steps
    most, share = min(validations, MOST_VALIDATIONS), most_share
    each = share * speed.validation_s + speed.save_s
    saving = min(speed.save_s / 2 / checkpoint_every_s, CHECKPOINT_SHARE)  # half of it is the best model
    if validate_every is not None:
        between = saving if validate_every * speed.step_s > checkpoint_every_s else 0.0
        steps = _rounded((seconds - each) / (speed.step_s / (1 - between) + each / validate_every))
        steps = int(min(steps, limit))
        return StepPlan(seconds, steps, math.ceil(steps / validate_every), share, speed, most_steps)
    spendable = VALIDATION_SHARE * seconds
    count = most if each * most <= spendable else int(spendable / each)
    fewest = min(FEWEST_VALIDATIONS, most)
    if count < fewest:
        count = fewest
        left = spendable / count - speed.save_s
        if speed.validation_s > 0:
            share = min(max(float(f"{left / speed.validation_s:.2g}"), LEAST_SHARE), most_share)
    each = share * speed.validation_s + speed.save_s
    between = saving if seconds > count * checkpoint_every_s else 0.0
    steps = int(min(_rounded((seconds - count * each) * (1 - between) / speed.step_s), limit))
    return StepPlan(seconds, steps, min(count, steps), share, speed, most_steps)


def planned_seconds(budget: Budget, speed: Speed) -> float:
    """The seconds of a training that a budget in seconds or joules pays for, at its measured speed.

    Raises:
        EnvironmentFault: "--budget: the energy counters did not move while steps were measured; give seconds".
    """
    if budget.unit == "seconds":
        return budget.amount
    if not speed.watts or speed.watts < 0:
        raise EnvironmentFault("--budget: the energy counters did not move while steps were measured; give seconds")
    return budget.amount / speed.watts


def rough_seconds(budget: Budget) -> float:
    """The seconds of a budget in seconds or joules before anything is measured, to see how long measuring may take."""
    return budget.amount if budget.unit == "seconds" else budget.amount / ROUGH_W


def median_speed(speeds: Sequence[Speed]) -> Speed:
    """The median of each cost over several measurements of one training."""
    joules = [one.step_j for one in speeds if one.step_j is not None]
    times = ((one.step_s, one.validation_s, one.save_s, one.threads) for one in speeds)
    return Speed(
        *map(statistics.median, zip(*times, strict=True)), step_j=statistics.median(joules) if joules else None
    )


def _rounded(steps: float) -> int:
    """A number of steps with two significant digits, at least one step."""
    return max(1, int(float(f"{steps:.2g}")))
