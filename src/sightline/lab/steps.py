"""The steps of a comparison with a budget in seconds or joules: measured, or those of an earlier one.

Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.settings import spelled
from sightline.lab.jobs import TRIAL_VALIDATIONS, VALIDATIONS, Failure, Timed
from sightline.lab.plan import CompareConfig
from sightline.lab.results import BudgetPlan, PlannedSteps, Results
from sightline.training.budget import MEASURED, Budget
from sightline.training.plan import StepPlan, median_speed, plan_steps, planned_seconds

PLANNED = ("validations", "validation_share")  # settings of a training that its plan decides, beside its steps


def measured_steps(
    config: CompareConfig,
    plan: BudgetPlan,
    timed: Sequence[Timed],
    *,
    validations: int = VALIDATIONS,
    validation_share: float = 1.0,
) -> list[PlannedSteps]:
    """The steps of every architecture, by the medians of the speeds that the workers measured side by side.

    One that no worker could measure has none. `validations` are those of a run, of at most `validation_share` of the
    items.
    """
    every = {"validate_every": timed[0].validate_every, "checkpoint_every_s": timed[0].checkpoint_every_s}

    def planned(arch: str) -> PlannedSteps:
        speed = median_speed([one.speeds[arch] for one in timed if arch in one.speeds])

        def of(budget: str, count: int) -> StepPlan:
            seconds = planned_seconds(Budget.parse(budget), speed)
            return plan_steps(
                seconds,
                speed,
                validations=count,
                most_share=validation_share,
                most_steps=timed[0].most_steps.get(arch),
                **every,
            )

        trial = None if plan.search_each is None else of(plan.search_each, TRIAL_VALIDATIONS)
        return PlannedSteps(arch, timed[0].batches[arch], of(plan.final_each, validations), trial)

    failed = {arch for one in timed for arch in one.failures}
    return [planned(arch) for arch in config.archs if arch not in failed]


def slowest_node(timed: Sequence[Timed], nodes: Sequence[str]) -> str:
    """The node on which steps take longest, over the architectures that every worker measured, by geometric mean.

    With its steps no run exceeds its seconds on another node. `nodes` are those of the measurements.
    """
    everywhere = set.intersection(*(set(one.speeds) for one in timed))

    def cost(node: str) -> float:
        own = [one for one, place in zip(timed, nodes, strict=True) if place == node]
        return sum(math.log(median_speed([one.speeds[arch] for one in own]).step_s) for arch in everywhere)

    return max(sorted(set(nodes)), key=cost)


def check_planned(earlier: Results, config: CompareConfig, *, where: Path) -> None:
    """Check that the steps of an earlier comparison can be those of `config`, as far as is known without its data.

    Raises:
        InputError: "OLD: its budget, 500steps, is not in seconds or joules: it has no steps to reuse"; "OLD: no
            architecture could be measured: it has no steps to reuse"; "OLD: compared gru and lstm, this comparison
            gru"; "OLD: had --search 0.2 with --rates 3, this comparison …"; "OLD: had no --validations, this comparison
            --validations 3".
    """
    budget = earlier.budget
    if not budget.steps:
        reason = "no architecture could be measured"
        if Budget.parse(budget.per_run).unit not in MEASURED:
            reason = f"its budget, {budget.per_run}, is not in seconds or joules"
        raise InputError(f"{reason}: it has no steps to reuse", where=where)
    before, now = [architecture.arch for architecture in earlier.architectures], list(config.archs)
    if sorted(before) != sorted(now):
        raise InputError(f"compared {', '.join(before)}, this comparison {', '.join(now)}", where=where)
    search = (config.search, config.rates) if config.searches else (0.0, 0)
    if (budget.search_fraction, budget.search_rates) != search:
        raise InputError(
            f"had --search {budget.search_fraction:g} and {budget.search_rates} rates, this comparison "
            f"--search {search[0]:g} and {search[1]}",
            where=where,
        )
    if budget.search_sizes != config.sizes:
        raise InputError(f"had --sizes {budget.search_sizes}, this comparison {config.sizes}", where=where)
    for key in PLANNED:
        was, own, flag = earlier.settings.get("settings", {}).get(key), config.settings.get(key), _flag(key)
        if own is not None and (was is None or spelled(was) != spelled(own)):
            there = f"no {flag}" if was is None else f"{flag} {spelled(was)}"
            raise InputError(f"had {there}, this comparison {flag} {spelled(own)}", where=where)


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def check_lengths(earlier: Results, plan: BudgetPlan, *, where: Path) -> None:
    """Check that the trainings of an earlier comparison are as long as those of `plan`, which began with others.

    Raises:
        InputError: "OLD: its trials and runs have 6s and 48s, those of the comparison that continues 15s and 48s: leave
            out --plan".
    """
    there, here = ((one.search_each, one.final_each) for one in (earlier.budget, plan))
    if there != here:
        lengths = [" and ".join(length for length in lengths if length) for lengths in (there, here)]
        what = "trials and runs have" if all(map(all, (there, here))) else "trainings have"
        raise InputError(
            f"its {what} {lengths[0]}, those of the comparison that continues {lengths[1]}: leave out --plan",
            where=where,
        )


def steps_like(
    earlier: Results,
    sha256: str,
    batches: Mapping[str, str],
    archs: Sequence[str],
    *,
    where: Path,
    most_steps: Mapping[str, int | None] | None = None,
) -> list[PlannedSteps]:
    """The steps that an earlier comparison had for `archs`, for data with the hash `sha256` and batches of the sizes
    `batches`; those that it could not measure have none.

    most_steps: those that `most_epochs` allows here, where it must be what it was in the earlier comparison; None: not

    Raises:
        InputError: "OLD: is of other data (sha256 12ab… there, 34cd… here)"; "OLD: gru had batch_tokens 2000, here
            batch_tokens 500"; "OLD: gru had 5,000 parameters, no size here has"; "OLD: gru had one size, here several
            are tried"; "OLD: gru had at most 500 steps (most_epochs), here any number".
    """
    if earlier.data.sha256 != sha256:
        there, here = earlier.data.sha256[:12], sha256[:12]
        raise InputError(f"is of other data (sha256 {there}… there, {here}… here)", where=where)
    steps = [planned for planned in earlier.budget.steps if planned.arch in archs]
    for planned in steps:
        here = batches.get(planned.name)
        if here is None and planned.parameters is None:
            raise InputError(f"{planned.arch} had one size, here several are tried", where=where)
        if here is None:
            raise InputError(f"{planned.arch} had {planned.parameters:,} parameters, no size here has", where=where)
        if planned.batch != here:
            raise InputError(f"{planned.arch} had {planned.batch}, here {here}", where=where)
        limits = planned.run.most_steps, planned.run.most_steps if most_steps is None else most_steps[planned.name]
        if limits[0] != limits[1]:
            most = ["any number" if limit is None else f"at most {number_of(limit, 'step')}" for limit in limits]
            raise InputError(f"{planned.arch} had {most[0]} (most_epochs), here {most[1]}", where=where)
    return steps


def without_steps(names: Iterable[str], steps: Sequence[PlannedSteps]) -> dict[str, Failure]:
    """The failures of those of `names` that a comparison which began could not measure, so that they have no steps."""
    known = {planned.name for planned in steps}
    failure = Failure("failed", "its speed could not be measured when the comparison began")
    return {name: failure for name in names if name not in known}


def unmeasured_like(earlier: Results, names: Mapping[str, tuple[str, int | None]], where: Path) -> dict[str, Failure]:
    """The failures of those of `names` that an earlier comparison could not measure, so that they have no steps.

    names: architectures and sizes by `sized_name`
    """
    lacking = without_steps(names, earlier.budget.steps)
    measured = {planned.arch for planned in earlier.budget.steps}
    errors = {run.arch: run.error for run in reversed(earlier.runs) if run.arch not in measured and run.error}
    reasons = {name: errors.get(names[name][0], "its speed could not be measured there") for name in lacking}
    return {
        name: Failure("failed", f"{where} has no steps of it: {reason}", InputError.exit_code)
        for name, reason in reasons.items()
    }
