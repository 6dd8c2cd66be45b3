"""A budget in seconds or joules becomes steps when a training begins: its speed is measured, unless it is known."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sightline.core.errors import InputError
from sightline.data.batches import Batches
from sightline.training.budget import MEASURED, Budget
from sightline.training.distributed import ALONE, Team
from sightline.training.energy import EnergyMeter, budget_meter
from sightline.training.plan import Speed, plan_steps, planned_seconds, rough_seconds
from sightline.training.shared_step import SharedStepper, make_stepper
from sightline.training.signals import StopRequest
from sightline.training.state import State, TrainConfig, Validate, in_steps, most_steps
from sightline.training.step import Stepper
from sightline.training.timing import Rehearsal, measure_speeds, measuring_s, untouched

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

    Raises:
        InputError: "--budget: what a step costs is measured in one process: …".
        Stopped: a signal, while the speed is measured.
    """
    budget = Budget.parse(config.budget)
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
