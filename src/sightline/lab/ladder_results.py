"""The results of a ladder: the content of `ladder.json` and the input of its page. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, final

from sightline.core.metrics import Metric, find_metric
from sightline.core.stored import SavedResults
from sightline.lab.ladder import ClaimKind
from sightline.lab.results import BudgetPlan, Data, Decision, Estimate, LengthBin, on_gpu

LADDER = "ladder.json"
PAGE = "ladder.html"

Verdict = Literal["holds", "does not hold", "not decided"]


@final
@dataclass(frozen=True)
class LayerCosts:
    """The costs of the layers of a rung, at a length that is the same for all rungs; they are untrained, one row long.

    chain: dependent operations of a training step, at `LadderResults.chain_length`
    step_s: CPU seconds of a training step in every round, at `LadderResults.length`; rounds of all rungs take turns
    state_bytes: of the state that is carried from step to step, after as many positions
    """

    chain: int
    step_s: list[float]
    state_bytes: int


@final
@dataclass(frozen=True)
class JudgedClaim:
    """One claim of a rung's reason, and how it was decided.

    statement: the claim in words, with the rungs that it compares
    difference: of the rung minus the other: of quality in the unit of the metric; of speed and time the ratio less one
    counted: the two numbers that were counted, of the rung and the other
    on: test items
    p: corrected by Holm over all claims of the ladder: of a difference; p_margin: of equality within the margin for
        "better", of being no worse than it for "kept"
    hedges_g, superiority: effect sizes over seeds, see `sightline.lab.effects`; positive and above a half where the
        claim's direction is met
    missing: why the number is missing
    """

    kind: ClaimKind
    statement: str
    verdict: Verdict
    of: str
    over: str
    difference: Estimate | None = None
    counted: list[int] | None = None
    on: int | None = None
    p: float | None = None
    p_margin: float | None = None
    hedges_g: float | None = None
    superiority: float | None = None
    missing: str = ""


@final
@dataclass(frozen=True)
class RungResult:
    """One rung: what it changes, whether the reason holds here, how it differs from the rung before, what it cost.

    verdict: None on the first rung
    quality: of all test items, with its interval; difference: of it minus the other rung's, from the same items
    outcome: of the difference alone: better names the direction of it
    by_quarter: the difference on each quarter of the items by length, shortest first; empty where items have no length
    train_s: CPU seconds of a run, validations included; speed: tokens (`Data.speed_unit`) per second of them
    state_bytes: carried while an answer is written, None where the task carries none
    """

    name: str
    title: str
    over: str
    change: str
    keys: list[str]
    settings: dict[str, Any]
    reason: str
    paper: str
    note: str = ""
    verdict: Verdict | None = None
    claims: list[JudgedClaim] = field(default_factory=list)
    quality: Estimate | None = None
    difference: Estimate | None = None
    outcome: Decision | None = None
    hedges_g: float | None = None
    superiority: float | None = None
    by_quarter: list[Estimate] = field(default_factory=list)
    parameters: int | None = None
    train_s: float | None = None
    steps: float | None = None
    speed: float | None = None
    state_bytes: int | None = None
    learning_rate: float | None = None
    finished: int = 0
    started: int = 0
    cautions: list[str] = field(default_factory=list)
    costs: LayerCosts | None = None


@final
@dataclass(frozen=True)
class LadderResults(SavedResults):
    """All results of a ladder; those of its comparison are in `results.json` beside it.

    length: positions at which the layers were timed; chain_length: at which their chains were counted
    margin: of practical equivalence of quality; speed_margin: of speed and time, as a share
    omitted: rungs that the task's ladder leaves out, and why
    warnings: of the comparison and of the ladder, whole sentences
    """

    command: str
    environment: dict[str, Any]
    data: Data
    budget: BudgetPlan
    task: str
    verdict: str
    rungs: list[RungResult]
    primary_metric: str
    margin: float | None
    speed_margin: float
    length: int
    chain_length: int
    quarters: list[LengthBin] = field(default_factory=list)
    omitted: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def metric(self) -> Metric:
        """The metric that decides, with the digits that tell the rungs apart."""
        values = [rung.quality.mean for rung in self.rungs if rung.quality is not None]
        return find_metric(self.primary_metric).in_unit_of(self.data.loss_unit).apart(values)

    @property
    def by_clock(self) -> bool:
        """As `Results.by_clock`."""
        return on_gpu(self.environment, self.settings.get("device", "auto"))

    def find(self, name: str) -> RungResult:
        """The rung of that name."""
        return next(rung for rung in self.rungs if rung.name == name)
