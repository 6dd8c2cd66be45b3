"""The results of a comparison: the content of `results.json` and the input of the report. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal, final

from sightline.core.digits import number_of
from sightline.core.metrics import Baseline, Metric, defined, find_metric
from sightline.core.sourced import sourced
from sightline.core.stored import SavedResults
from sightline.lab.budget_plan import BudgetPlan, PlannedSteps
from sightline.lab.details import Details
from sightline.lab.map_results import AttentionExample
from sightline.lab.rates import Edge, edge

SCHEMA_VERSION = 2

Status = Literal["done", "failed", "diverged", "interrupted"]
Prefer = Literal["quality", "speed", "memory", "balanced"]
Decision = Literal["better", "practically the same", "not decided"]  # of a pair
LengthScores = list[float | None]


def on_gpu(environment: Mapping[str, Any], asked: str) -> bool:
    """Whether trainings run on a GPU. Files of older versions do not name the device that "auto" chose: with a GPU of
    CUDA's it was that.

    asked: the device of the configuration
    """
    device = environment.get("device") or asked
    return bool(environment.get("gpus")) if device == "auto" else device != "cpu"


def best_validation(history: Sequence[Mapping[str, Any]], *, last: bool = False) -> int | None:
    """The place in a training's records of the validation whose model was kept, or of the `last`; None without any."""
    places = [at for at, record in enumerate(history) if record.get("event") == "valid"]
    return next((at for at in reversed(places) if last or history[at].get("best", True)), None)


@final
@dataclass(frozen=True)
class Estimate:
    """A mean and its 95 % interval; the ends are None where one seed leaves the spread unknown.

    mean: None where the metric is undefined in every run
    """

    mean: float | None
    low: float | None = None
    high: float | None = None

    @property
    def spread(self) -> float | None:
        """Half the interval; None where it is unknown."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def turned(self) -> Estimate:
        """That of the quantity with the other sign."""
        return Estimate(*(None if value is None else -value for value in (self.mean, self.high, self.low)))


@final
@dataclass(frozen=True)
class Rate:
    """One trial of the search.

    loss: the validation loss at its end; None where it failed
    valid: the metric that decides, of the best validation; None where validations do not measure it
    parameters: of the model, where sizes were searched too; share: its length over `BudgetPlan.search_each`
    train_s, cpu_s: as of `Run`; None, like `valid`, where it failed, and in files from before there were these
    """

    lr: float
    loss: float | None
    status: Status
    parameters: int | None = None
    share: float = 1.0
    train_s: float | None = None
    cpu_s: float | None = None
    valid: float | None = None


@final
@dataclass(frozen=True)
class Architecture:
    """The scores of one architecture over all its seeds; costs are means over the finished runs.

    `peak_memory_bytes` is the largest resident set of a process that trained a run and did nothing else, Python and
    PyTorch included.
    `ms` is the time of one output, or of one of its tokens (`ms_per`), computed one at a time. `state_bytes` is the
    size of the state that is carried from step to step, at the lengths in `state_of`. `cautions` has what the warnings
    say of it, in a few words each.
    """

    arch: str
    metrics: dict[str, Estimate]
    train_s: float | None = None
    tokens_per_s: float | None = None
    parameters: int | None = None
    peak_memory_bytes: int | None = None
    ms: float | None = None
    ms_per: str = "item"
    state_bytes: int | None = None
    state_of: str = ""
    learning_rate: float | None = None
    rates: list[Rate] = field(default_factory=list)
    by_length: LengthScores = field(default_factory=list)
    details: Details | None = None
    finished: int = 0
    started: int = 0
    cautions: list[str] = field(default_factory=list)

    @property
    def tried_rates(self) -> dict[float, float | None]:
        """The losses of the trials at the chosen size, by learning rate: those of equal length."""
        own = (None, self.parameters)
        return {rate.lr: rate.loss for rate in self.rates if rate.parameters in own and rate.share == 1}

    @property
    def best_trial(self) -> Rate | None:
        """The trial that decided: of the longest ones at the chosen size that were not lost, the one with the least
        loss. The rate of the runs follows from it (`lab.rates`).
        """
        known = [rate for rate in self.rates if rate.parameters in (None, self.parameters) and rate.loss is not None]
        return min(known, key=lambda rate: (-rate.share, rate.loss, rate.lr), default=None)

    @property
    def rate_edge(self) -> Edge | None:
        """The edge of the rates that were tried at the chosen size at which the best one is; None where it has
        neighbours on both sides. Where longer trials followed, they decide which one is the best.
        """
        losses, best = self.tried_rates, self.best_trial
        if best is None or best.share == 1:
            return edge(losses)
        if math.isclose(best.lr, max(losses, default=0.0)):
            return "largest"
        return "smallest" if math.isclose(best.lr, min(losses, default=0.0)) else None

    @property
    def tried_sizes(self) -> dict[int, float | None]:
        """The losses of the trials with the best one's rate, by parameters; empty where sizes were not searched."""
        best = self.best_trial
        return {
            rate.parameters: rate.loss
            for rate in self.rates
            if rate.parameters is not None and rate.share == 1 and best and math.isclose(rate.lr, best.lr)
        }


@final
@dataclass(frozen=True)
class Run:
    """One training. `history`: the records of its metrics.jsonl; `error`: the error message of a run that failed.

    train_s: seconds of its steps and validations; planned_s: those that the plan expected; cpu_s: of them, processor
        time of the thread that trained
    epochs: complete passes over the training data; ms, peak_memory_bytes: as of `Architecture`
    energy_j: joules during its training, at every moment an equal share where several ran at once, see
        `training.energy`; None where the machine does not tell
    kept_by: the validation metric by which it kept its model; "loss" in files from before there was a choice
    """

    arch: str
    seed: int
    status: Status
    metrics: dict[str, float | None] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    error: str | None = None
    train_s: float | None = None
    steps: int | None = None
    tokens: int | None = None
    flops: float | None = None
    planned_s: float | None = None
    cpu_s: float | None = None
    epochs: int | None = None
    ms: float | None = None
    peak_memory_bytes: int | None = None
    energy_j: float | None = None
    kept_by: str = "loss"


@final
@dataclass(frozen=True)
class Pair:
    """The primary metric of `first` minus that of `second` on the same test items.

    shown: whether the difference is significant; p_same: the p-value of practical equivalence, corrected by Holm
    item_error, seed_spread: standard error of the difference from the test items, and standard deviation of the
        difference of two trainings, one of each; None where one seed leaves it unknown
    hedges_g, superiority: effect sizes over seeds, see `sightline.lab.effects`
    outcome and what follows it: None in files that were written before there was a margin
    """

    first: str
    second: str
    difference: Estimate
    p: float
    p_holm: float
    shown: bool
    outcome: Decision | None = None
    p_same: float | None = None
    item_error: float | None = None
    seed_spread: float | None = None
    hedges_g: float | None = None
    superiority: float | None = None


@final
@dataclass(frozen=True)
class Power:
    """How many seeds of each architecture would show a `difference` between two of them, in 4 of 5 comparisons.

    seeds: None where no number of seeds would, since the test items alone hide it
    smallest: the smallest difference that as many seeds as there were (`tried`) would show in 4 of 5 comparisons
    """

    first: str
    second: str
    difference: float
    seeds: int | None
    tried: int
    smallest: float

    def sentence(self, metric: Metric) -> str:
        """The note in words."""
        least = sourced(metric.amount(self.difference), ("power", "difference"))
        difference = f"a difference of {least} between {self.first} and {self.second}"
        tried = sourced(number_of(self.tried, "seed"), ("power", "tried"))
        smallest = f"{tried} can show {sourced(metric.amount(self.smallest), ('power', 'smallest'))}."
        if self.seeds is None:
            return f"To show {difference} takes more test items, not seeds; with these items {smallest}"
        seeds = sourced(number_of(self.seeds, "seed"), ("power", "seeds"))
        return f"To show {difference} takes about {seeds} each; {smallest}"


@final
@dataclass(frozen=True)
class Rounds:
    """Seeds that were added until every pair with the best architecture was decided: `--until-decided`.

    first, last: the seeds at the first look, and the most that were allowed; decided: whether all these pairs were
    """

    first: int
    last: int
    decided: bool


@final
@dataclass(frozen=True)
class Data:
    """The data set; sizes are numbers of `unit`.

    facts: how it was read, by name
    tested_sha256: of the tested items, in the order of the rows that runs keep (`Task.items_sha256`); empty in files
        from before there was one, and where the task does not know it
    loss_unit: the unit of the training loss; counted: the meaning of "tokens" in budgets and speeds
    length_of: the meaning of `Results.lengths`
    reads_texts: whether an input is a text, as `Example.source` has it; False in files from before there was one
    """

    name: str
    sha256: str
    train: int
    valid: int
    test: int
    tested: int
    notes: list[str] = field(default_factory=list)
    unit: str = "pairs"
    facts: dict[str, str] = field(default_factory=dict)
    loss_unit: str = "nats/token"
    counted: str = "target tokens"
    length_of: str = "source length (characters)"
    tested_sha256: str = ""
    reads_texts: bool = False

    @property
    def speed_unit(self) -> str:
        """The unit that a speed of training counts, in one word."""
        return self.counted.split()[-1]


@final
@dataclass(frozen=True)
class LengthBin:
    """Test items by source length in characters, both ends included."""

    low: int
    high: int
    items: int


@final
@dataclass(frozen=True)
class Example:
    """One test pair with the prediction of each architecture (its first finished seed)."""

    source: str
    reference: str
    predictions: dict[str, str]


@final
@dataclass(frozen=True)
class Results(SavedResults):
    """All results of a comparison.

    warnings: whole sentences; those about the trainings end the verdict too
    others_cores: processor cores that other programs kept busy meanwhile, on average
    prefer: the priority by which an architecture is recommended
    settings: the configuration of the comparison, a `CompareConfig` as JSON; empty in files of older versions
    margin: differences up to this much are practically the same; None in files from before there was one
    """

    command: str
    environment: dict[str, Any]
    data: Data
    budget: BudgetPlan
    verdict: str
    architectures: list[Architecture]
    runs: list[Run]
    primary_metric: str = "exact_match"
    pairs: list[Pair] = field(default_factory=list)
    baselines: list[Baseline] = field(default_factory=list)
    lengths: list[LengthBin] = field(default_factory=list)
    attention: list[AttentionExample] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    others_cores: float | None = None
    prefer: Prefer = "quality"
    settings: dict[str, Any] = field(default_factory=dict)
    margin: float | None = None
    power: Power | None = None
    rounds: Rounds | None = None
    schema_version: int = field(default=SCHEMA_VERSION, kw_only=True)

    @property
    def ranked(self) -> list[Architecture]:
        """The architectures, best first; those without a finished run come last."""
        metric = self.metric
        values = {a.arch: value.mean for a in self.architectures if (value := a.metrics.get(metric.name)) is not None}
        known = {arch: mean for arch, mean in values.items() if defined(mean)}
        measured = [a for a in self.architectures if a.arch in known]
        measured.sort(key=lambda a: known[a.arch], reverse=metric.higher_is_better)
        return [*measured, *(a for a in self.architectures if a.arch not in known)]

    def planned(self, arch: str) -> PlannedSteps | None:
        """The steps of an architecture at the size of its runs."""
        parameters = next((a.parameters for a in self.architectures if a.arch == arch), None)
        return self.budget.steps_of(arch, parameters)

    @property
    def judgement(self) -> str:
        """The verdict without the warnings that end it."""
        return self.verdict.removesuffix("".join(f" {warning}" for warning in self.cautions))

    @property
    def cautions(self) -> list[str]:
        """The warnings that end the verdict: those about the trainings, which are the first ones."""
        return [*takewhile(lambda warning: warning in self.verdict, self.warnings)]

    @property
    def power_note(self) -> str:
        """How many seeds would show a difference as large as the margin; "" where that is unknown."""
        return "" if self.power is None else self.power.sentence(self.metric)

    @property
    def by_clock(self) -> bool:
        """Whether seconds of a run are those of the clock: a GPU works while the processor waits."""
        return on_gpu(self.environment, self.settings.get("device", "auto"))

    def own_s(self, run: Run | Rate) -> float | None:
        """The seconds of a run or a trial: of the processor, which other work does not lengthen, or `by_clock`.

        Those of the thread that trains: it computes or waits for the others all the time.
        """
        return getattr(run, self.own_field(run))

    def own_field(self, run: Run | Rate) -> Literal["train_s", "cpu_s"]:
        """The field of a run or a trial that has `own_s`."""
        return "train_s" if run.cpu_s is None or self.by_clock else "cpu_s"

    @property
    def metric(self) -> Metric:
        """The metric that decides."""
        return self.metric_named(self.primary_metric)

    def metric_named(self, name: str) -> Metric:
        """A metric, in the unit of the training loss if it has none of its own.

        It is written with the digits that tell the architectures and baselines apart, as far as their intervals allow.
        """
        scores = [a.metrics[name] for a in self.architectures if name in a.metrics]
        values = [*(score.mean for score in scores), *(baseline.metrics.get(name) for baseline in self.baselines)]
        metric = find_metric(name).in_unit_of(self.data.loss_unit)
        return metric.apart(values, [score.spread for score in scores])
