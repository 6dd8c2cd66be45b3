"""The budget of a comparison as it was divided, and what its seconds became. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from sightline.training.plan import StepPlan


@final
@dataclass(frozen=True)
class PlannedSteps:
    """The steps of one architecture: of each of its runs and of each trial, of those in the first stage of a search.

    parameters: of the model, where sizes are searched too; None: there is one size
    batch: the setting that bounds a batch, such as "batch_tokens 2000"; a step means little without it
    """

    arch: str
    batch: str
    run: StepPlan
    trial: StepPlan | None = None
    parameters: int | None = None

    @property
    def name(self) -> str:
        """The architecture, with its size where several are tried."""
        return sized_name(self.arch, self.parameters)


def sized_name(arch: str, parameters: int | None) -> str:
    """The name of one size of an architecture among those that a search tries; its own where sizes are not searched."""
    return arch if parameters is None else f"{arch}.{parameters}"


@final
@dataclass(frozen=True)
class BudgetPlan:
    """The budget of each architecture; `explained` states it in words, with the arithmetic.

    steps: what a budget in seconds became, measured before the first training; empty for other budgets
    """

    per_run: str
    seeds: list[int]
    search_fraction: float = 0.0
    search_rates: int = 0
    search_each: str | None = None
    final_each: str = ""
    match: str | None = None
    workers: int = 1
    threads: int = 1
    explained: str = ""
    steps: list[PlannedSteps] = field(default_factory=list)
    search_sizes: int = 1

    def steps_of(self, arch: str, parameters: int | None = None) -> PlannedSteps | None:
        """The steps of one architecture, at that size where several were searched."""
        own = (planned for planned in self.steps if planned.arch == arch)
        return next((planned for planned in own if planned.parameters in (None, parameters)), None)
