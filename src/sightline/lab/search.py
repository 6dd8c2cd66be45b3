"""The search of a comparison, by architecture: of learning rates, or of sizes and rates together. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import final

from sightline.lab.budget_plan import sized_name
from sightline.lab.halving import SearchCandidate, best_candidate, following
from sightline.lab.plan import CompareConfig
from sightline.lab.rates import beyond, for_longer, optimum
from sightline.lab.summary import Outcome
from sightline.training.budget import Budget


@final
@dataclass
class Search:
    """The trials that have ended, and those that follow from them.

    presets: the parameters of the presets; sizes: those that are tried, empty where sizes are not searched
    """

    config: CompareConfig
    presets: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, list[int]] = field(default_factory=dict)
    trials: dict[str, list[Outcome]] = field(default_factory=dict)

    def record(self, outcome: Outcome) -> None:
        """Take in how a trial ended."""
        self.trials.setdefault(outcome.job.arch, []).append(outcome)

    def sizes_of(self, arch: str) -> Sequence[int | None]:
        """The sizes of an architecture in parameters; None where they are not searched."""
        return self.sizes.get(arch) or [None]

    def names(self, archs: Sequence[str]) -> dict[str, tuple[str, int | None]]:
        """Every size of these architectures, by a name of its own."""
        return {sized_name(arch, size): (arch, size) for arch in archs for size in self.sizes_of(arch)}

    def configured(self, arch: str, size: int | None, *, name: str | None = None) -> CompareConfig:
        """The comparison with an architecture at one of its sizes, under its own or another name."""
        if size is None:
            return self.config
        variant = self.config.variant(arch)
        if size != self.presets[arch]:
            variant["match"] = f"params={size}"
        return replace(self.config, variants={**self.config.variants, name or arch: variant})

    def beginning(self, arch: str) -> list[SearchCandidate]:
        """The candidates that are tried first."""
        return [SearchCandidate(size, factor) for factor in self.config.factors for size in self.sizes_of(arch)]

    def further(self, arch: str) -> tuple[int, list[SearchCandidate]]:
        """The candidates that follow from the trials so far, if any, and their stage.

        Where sizes are not searched, the first stage has a rate more beyond the edge at which the best one is.
        """
        stages = self._stages(arch)
        if arch not in self.sizes and len(stages) == 1:
            losses = {candidate.factor: loss for candidate, loss in stages[0].items()}
            if (factor := beyond(losses, self.config.rates)) is not None:
                return 0, [SearchCandidate(None, factor)]
        return len(stages), following(stages, len(self.beginning(arch)))

    def chosen(self, arch: str) -> SearchCandidate:
        """The size of the best candidate, with the rate that is the best for its runs, which are longer than its trial;
        where every trial was lost, the preset's.
        """
        stages = self._stages(arch)
        best = best_candidate(stages)
        if best is None:
            return SearchCandidate(self.presets[arch] if arch in self.sizes else None, 1.0)
        last = max(stage for stage, losses in enumerate(stages) if losses.get(best) is not None)
        losses = {candidate.factor: loss for candidate, loss in stages[last].items() if candidate.size == best.size}
        job = next(one.job for one in self.trials[arch] if one.job.stage == last and _candidate(one) == best)
        times = Budget.parse(job.run_budget).amount / Budget.parse(job.budget).amount
        return best._replace(factor=for_longer(optimum(losses) or best.factor, times))

    def _stages(self, arch: str) -> list[dict[SearchCandidate, float | None]]:
        stages: dict[int, dict[SearchCandidate, float | None]] = {}
        for trial in self.trials.get(arch, []):
            stages.setdefault(trial.job.stage, {})[_candidate(trial)] = trial.result and trial.result.loss
        return [stages[stage] for stage in sorted(stages)]


def _candidate(trial: Outcome) -> SearchCandidate:
    return SearchCandidate(trial.job.parameters, trial.job.lr_factor)
