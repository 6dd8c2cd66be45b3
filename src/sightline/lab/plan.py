"""The configuration of a comparison, and the division of its budget. Imports no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

from sightline.core.digits import number_of, percent
from sightline.core.errors import InputError
from sightline.core.processes import available_cores
from sightline.core.settings import check_in_range, keys_of
from sightline.lab.halving import KEPT, effort, stage_counts
from sightline.lab.rates import EXTRA, candidates
from sightline.lab.results import BudgetPlan, Prefer
from sightline.training.budget import WORDS, Unit

MOST_SEEDS = 100  # of `until_decided`
# Keys of a training that a comparison does not take, and why.
UNSHARED = {
    "arch": "unknown flag, did you mean '--archs'?",
    "keep": "a comparison deletes the checkpoints of its runs and keeps best and last: leave it out",
}
RESERVED_NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@final
@dataclass(frozen=True)
class CompareConfig:
    """One comparison.

    budget: for one run of one architecture: 60s, 60s-wall, 500steps, 2Mtok, 1e15flop, 5kJ
    search: share of the budget of all its runs that goes to the learning-rate search, 0 = the preset's rate
    rates: number of candidate rates, to which one more is added beyond the edge where the best is there; of more than
        three the best third gets longer trials, by successive halving; the best is that of the least validation loss at
        the end of its trial, whatever `metric` decides
    sizes: number of sizes that the search tries with each rate, by successive halving; 1 = the preset's alone
    match: size that every architecture is scaled to, such as "params=2M"
    plugin: what every process of the comparison loads first, as `sightline.load_plugin` takes it
    metric: the metric that decides, "auto" = the task's default; tested: most test items to measure
    prefer: priority by which one is recommended, see `lab.recommend`
    log: the tracker that follows each training besides metrics.jsonl, as `training.trackers.make_tracker` takes it
    margin: differences up to this much are practically the same, in the unit in which the metric is shown; None = the
        metric's default
    until_decided: add seeds after `seeds`, one for each architecture at a time, until the best architecture is decided
        against each other one, or there are `max_seeds`
    settings: keys of the task's configuration that all architectures share, by dotted name
    variants: architectures under names of the comparison's own, for `archs`: each a preset, "arch", and the keys of the
        task's configuration in which it differs from that
    """

    task: str = "translation"

    data: str = "builtin:dates"
    archs: tuple[str, ...] = ("rnn", "lstm", "gru", "bahdanau", "transformer")
    budget: str = "60s"
    seeds: int = 3
    seed: int = 0
    match: str | None = None
    plugin: tuple[str, ...] = ()
    search: float = 0.2
    rates: int = 3
    sizes: int = 1
    metric: str = "auto"
    tested: int = 1000
    margin: float | None = None
    until_decided: bool = False
    max_seeds: int = 10
    workers: int | None = None
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    prefer: Prefer = "quality"
    log: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.archs:
            raise InputError("expected at least one architecture", where="--archs")
        repeated = sorted({arch for arch in self.archs if self.archs.count(arch) > 1})
        if repeated:
            raise InputError(f"{repeated[0]} is listed twice", where="--archs")
        for arch in self.archs:
            if not RESERVED_NAMES.fullmatch(arch):
                raise InputError(f"{arch!r} is not the name of an architecture", where="--archs")
        if not 0 <= self.search < 1:
            raise InputError(f"expected a share from 0 to below 1, found {self.search:g}", where="--search")
        if self.variants and self.match is not None and not self.match.startswith("params="):
            raise InputError(f"variants are matched by params=2M alone, found {self.match!r}", where="--match")
        if self.sizes > 1 and self.match is not None:
            raise InputError("with --match every architecture has that size: leave out one of the two", where="--sizes")
        if self.sizes > 1 and not self.searches:
            raise InputError("sizes are chosen in the search, which --search 0 turns off", where="--sizes")
        self._check_settings()
        for flag, value, least in (
            ("--seeds", self.seeds, 1), ("--rates", self.rates, 2), ("--sizes", self.sizes, 1),
            ("--tested", self.tested, 1), ("--workers", self.workers, 1), ("--seed", self.seed, 0),
            ("--margin", self.margin, 0),
        ):  # fmt: skip
            check_in_range(flag, value, at_least=least)
        if self.until_decided:
            check_in_range("--seeds", self.seeds, at_least=2)
            check_in_range("--max-seeds", self.max_seeds, at_least=self.seeds, at_most=MOST_SEEDS)

    def _check_settings(self) -> None:
        """Refuse settings that a comparison would not obey.

        Raises:
            InputError: "--arch: unknown flag, did you mean '--archs'?"; "--keep: a comparison deletes …"; "--budget: is
                a key of the comparison itself, not one of the settings that architectures share".
        """
        for key in self.settings:
            if key in UNSHARED:
                raise InputError(UNSHARED[key], where=f"--{key}")
            if key != "settings" and key in keys_of(type(self)):
                message = "is a key of the comparison itself, not one of the settings that architectures share"
                raise InputError(message, where=f"--{key}")

    @property
    def all_seeds(self) -> list[int]:
        """The seeds of the runs: `seed` and those after it."""
        return list(range(self.seed, self.seed + self.seeds))

    @property
    def searches(self) -> bool:
        """Whether there is a learning-rate search."""
        return self.search > 0

    @property
    def factors(self) -> list[float]:
        """Factors of the preset's learning rate that the search tries, ascending, including 1; none without one."""
        return candidates(self.rates) if self.searches else []

    @property
    def candidates(self) -> int:
        """The number of trials of one architecture that the search begins with."""
        return self.sizes * self.rates if self.searches else 0

    def variant(self, arch: str) -> dict[str, Any]:
        """The preset of an architecture, "arch", and the keys in which it differs from that."""
        return {"arch": arch, **self.variants.get(arch, {})}


def check_used(config: CompareConfig) -> None:
    """Refuse keys that were given beside others with which they change nothing. An earlier version did not, so that
    the configuration itself, which is stored, may have them.

    Raises:
        InputError: "--max-seeds: requires --until-decided"; "--rates: requires a search, which --search 0 turns off".
    """
    if config.max_seeds != CompareConfig.max_seeds and not config.until_decided:
        raise InputError("requires --until-decided", where="--max-seeds")
    if config.rates != CompareConfig.rates and not config.searches:
        raise InputError("requires a search, which --search 0 turns off", where="--rates")


def divide(
    config: CompareConfig, amount: float, unit: Unit, *, workers: int | None = None, cores: Sequence[int] = ()
) -> BudgetPlan:
    """Divide the budget: `amount` of `unit`, as in `Budget`.

    With b per run and s seeds an architecture has s·b. The share f of it is for the stages of `lab.halving` and a trial
    beyond the edge, in all n times as long as a trial of the first stage, which has f·s·b/n; the rest is for the seeds,
    (1 - f)·b each: the search is part of the budget, not an extra. A trial beyond the edge that is not needed leaves
    its amount unspent; with several sizes there is none.

    Raises:
        InputError: "--budget: too small for 3 candidate learning rates: give at least 14steps, or --search 0 for no
            trials".
    """
    share = config.search if config.searches else 0.0
    total = amount * config.seeds
    trials = effort(config.candidates) if config.sizes > 1 else effort(config.rates) + EXTRA
    each = total * share / trials
    final = amount * (1 - share)
    if unit not in ("seconds", "wall", "joules"):
        each, final = float(int(each)), float(int(final))
        if final < 1 or (share and each < 1):
            searched = f"{config.rates} candidate learning rates"
            searched += f" at {config.sizes} sizes" if config.sizes > 1 else ""
            least = math.ceil(max(trials / (config.seeds * share), 1 / (1 - share))) if share else 1
            raise InputError(
                f"too small for {searched}: give at least {written(least, unit)}, or --search 0 for no trials",
                where="--budget",
            )
    workers, threads = crew(config, workers, cores)
    plan = BudgetPlan(
        per_run=written(amount, unit),
        seeds=config.all_seeds,
        search_fraction=share,
        search_rates=config.rates if share else 0,
        search_sizes=config.sizes,
        search_each=written(each, unit) if share else None,
        final_each=written(final, unit),
        match=config.match,
        workers=workers,
        threads=threads,
        explained="",
    )
    return replace(plan, explained=_explained(plan, written(total, unit)) + _added(config))


def with_lengths(config: CompareConfig, plan: BudgetPlan, earlier: BudgetPlan) -> BudgetPlan:
    """The plan of `config` with trials and runs as long as those of an earlier comparison, whose steps they have.

    The number of seeds may differ: trials then are another share of the budget than `config` asks for.
    """
    if (plan.search_each, plan.final_each) == (earlier.search_each, earlier.final_each):
        return plan
    plan = replace(plan, search_each=earlier.search_each, final_each=earlier.final_each)
    explained = (
        f"Trainings have the steps of an earlier comparison with {plan.per_run} for each run, and so its lengths. "
        f"There is a {_trials(plan)}. The runs, for {number_of(len(plan.seeds), 'seed')} of each architecture, have "
        f"{plan.final_each} each{_SMALLER}."
    )
    return replace(plan, explained=explained + _added(config))


def crew(config: CompareConfig, workers: int | None = None, cores: Sequence[int] = ()) -> tuple[int, int]:
    """The number of processes that work at once, and the threads of each; `workers` by default one per core.

    cores: of each machine, by default of this one; no process has threads on two machines
    """
    cores = cores or [available_cores()]
    most = len(config.archs) * max(config.seeds, config.candidates)
    workers = min(config.workers or workers or sum(cores), most)
    fitting = [threads for threads in range(1, max(cores) + 1) if sum(own // threads for own in cores) >= workers]
    return workers, max(fitting, default=1)


def written(amount: float, unit: Unit) -> str:
    """A budget in the notation of `Budget.parse`."""
    word = WORDS[unit]
    return f"{int(amount)}{word}" if amount == int(amount) and amount < 1e15 else f"{amount:.6g}{word}"


_SMALLER = ", at the best rate of the trials, or one between them, divided by the cube root of how much longer they are"


def _explained(plan: BudgetPlan, total: str) -> str:
    each = f"{plan.per_run} for each run and {number_of(len(plan.seeds), 'seed')} make {total} for each architecture"
    if plan.search_each is None:
        return each + ", at the learning rate of its preset (no search)."
    searched = f"{percent(plan.search_fraction)} of it is for the {_trials(plan)}"
    return f"{each}. {searched}; the rest is for the runs, {plan.final_each} each{_SMALLER}."


def _trials(plan: BudgetPlan) -> str:
    """The search, its trials and their lengths in words."""
    count = plan.search_sizes * plan.search_rates
    later = "".join(
        f", then the best {number} for {KEPT**stage} times as long"
        for stage, number in enumerate(stage_counts(count))
        if stage
    )
    if plan.search_sizes > 1:
        candidates = f"{count} candidates ({plan.search_sizes} sizes with {plan.search_rates} rates each)"
        search = f"search of size and learning rate: {candidates}"
    else:
        candidates = f"{plan.search_rates} candidates and {EXTRA} more where the best is the largest or the smallest"
        search = f"learning-rate search: {candidates}"
    return f"{search}, {plan.search_each} each{later}, compared by the validation loss at their end"


def _added(config: CompareConfig) -> str:
    """What adds seeds, in a sentence; "" where nothing does."""
    if not config.until_decided:
        return ""
    return (
        " Then one more seed of each architecture at a time, with the same training, until the best one is decided "
        f"against every other one or there are {config.max_seeds} seeds."
    )
