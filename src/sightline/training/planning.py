"""A budget in seconds or joules becomes steps when a training begins: its speed is measured, unless it is known."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import torch

from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.data.batches import Batches
from sightline.training.budget import MEASURED, Budget
from sightline.training.distributed import ALONE, Team
from sightline.training.energy import EnergyMeter, budget_meter
from sightline.training.plan import (
    FEWEST_VALIDATIONS,
    LEAST_SHARE,
    VALIDATION_SHARE,
    Speed,
    plan_steps,
    planned_seconds,
    rough_seconds,
)
from sightline.training.shared_step import SharedStepper, make_stepper
from sightline.training.signals import StopRequest
from sightline.training.state import State, TrainConfig, Validate, in_steps, most_steps
from sightline.training.step import Stepper
from sightline.training.timing import (
    Rehearsal,
    Timer,
    measure_speeds,
    measuring_s,
    untouched,
    validation_seconds,
)

logger = logging.getLogger("sightline")
Validator = Callable[[float], Validate]


def in_planned_steps(
    config: TrainConfig,
    state: State,
    batches: Batches,
    validator: Validator | None,
    stepper: Stepper | SharedStepper,
    stop: StopRequest,
    team: Team,
) -> TrainConfig:
    """The settings with steps for a budget in seconds or joules; the plan is kept in the state.

    With a budget by the clock, the settings with validations that it pays for.

    Raises:
        InputError: "--budget: what a step costs is measured in one process: …".
        Stopped: a signal, while the speed is measured.
    """
    budget = Budget.parse(config.budget)
    if budget.unit == "wall" and config.validate_every is None:
        return _with_affordable_validations(config, state, validator, stepper, stop, team)
    if budget.unit not in MEASURED:
        return config
    speed = None if state.plan is None else state.plan.speed
    if budget.unit == "joules" and speed is not None and speed.step_j is None:
        speed = None  # a run that began in seconds did not measure them
    if not team.alone and speed is None:
        raise InputError(
            f"what a step costs is measured in one process: write {config.budget} as a number of steps or tokens, or "
            "as 60s-wall",
            where="--budget",
        )
    if speed is None:
        meter = budget_meter(str(stepper.device)) if budget.unit == "joules" else None
        speed = _measured(rough_seconds(budget), config, batches, validator, stepper, stop, meter)
    state.plan = plan_steps(
        planned_seconds(budget, speed),
        speed,
        validations=config.validations,
        most_share=config.validation_share,
        validate_every=config.validate_every,
        most_steps=team.from_first(lambda: most_steps(config, batches)),  # others may have no batches
        checkpoint_every_s=config.checkpoint_every_s,
    )
    logger.info("%s", state.plan)
    return in_steps(config, state.plan)


def _measured(
    budget_s: float,
    config: TrainConfig,
    batches: Batches,
    validator: Validator | None,
    like: Stepper | SharedStepper,
    stop: StopRequest,
    meter: EnergyMeter | None,
) -> Speed:
    with untouched(like.model), stop.interruptible():
        # Moments of an optimizer cannot be unset: the timed steps have one of their own.
        stepper = make_stepper(like.model, like.objective, config, like.device, like.dtype, ALONE)
        timed = Rehearsal(batches, config.seed, validator, stepper)
        timed.warm_up(measuring_s(budget_s))
        return measure_speeds({"": timed}, measuring_s(budget_s), meter)[""]


def _with_affordable_validations(
    config: TrainConfig,
    state: State,
    validator: Validator | None,
    stepper: Stepper | SharedStepper,
    stop: StopRequest,
    team: Team,
) -> TrainConfig:
    """The settings with validations of so few items that three of them take `VALIDATION_SHARE` of the time at most.

    The share of the items is a half of the one that is set, or a quarter, and so on: trainings of about the same cost
    score the same ones. It is kept in the state.
    """

    def affordable() -> float:
        share, model = config.validation_share, stepper.model
        if validator is None:
            return share
        budget_s = Budget.parse(config.budget).amount
        each = VALIDATION_SHARE * budget_s / FEWEST_VALIDATIONS
        with untouched(model), stop.interruptible(), evaluating(model), torch.no_grad(), stepper.autocast():
            seconds = validation_seconds(validator, min(each, measuring_s(budget_s) / 2), timed)
        while share * seconds > each and share >= 2 * LEAST_SHARE:
            share /= 2
        return share

    def timed(validate: Validate) -> float:
        timer = Timer()
        validate(stepper.model)
        return timer.read()[0]

    if state.validation_share is None:
        stepper.gather()
        state.validation_share = team.from_first(affordable)
    return replace(config, validation_share=min(config.validation_share, state.validation_share))
