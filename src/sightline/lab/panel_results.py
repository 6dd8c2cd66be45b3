"""The measurements of a bottleneck panel, as plain values that are stored in panel.json. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, final

from sightline.core.notebook import html_lines, html_table
from sightline.core.stored import SavedResults
from sightline.lab.results import Estimate

PanelPart = Literal["reach", "serial", "growth", "saturation", "recall"]
Phase = Literal["forward", "training", "prefill", "decode"]
ReachOver = Literal["sequence", "memory", "source", "target", "look-back"]
ChainAlong = Literal["all", "source", "target"]
Axis = Literal["target position", "source length", "step ahead"]


@final
@dataclass(frozen=True)
class Band:
    """A quantity along an axis: the centre over sequences, and the 95 % interval of that centre (None: unknown)."""

    at: list[float]
    centre: list[float | None]
    low: list[float | None]
    high: list[float | None]


@final
@dataclass(frozen=True)
class RecurrentMatrix:
    """Eigenvalues and singular values of a square matrix of weights, or of the Jacobian of one step."""

    name: str
    size: int
    radius: float  # the largest absolute eigenvalue
    largest: float  # singular value
    median: float
    smallest: float


@final
@dataclass(frozen=True)
class Reach:
    """How far gradients reach, and how much of the past is used.

    state: ‖∂h_t/∂h_{t-k}‖_F / √(numbers of h_{t-k}) by k, the root mean square gain: 1 at k = 0 for every state
    spectral: the largest singular value of ∂h_t/∂h_{t-k}; only where the Jacobian is exact
    exact: all rows of the Jacobians were computed; otherwise random combinations of them, which estimate the norm
    numbers: how many numbers the state of one row contains at t
    readers: how many parts of an encoder have a state, each with an input of its own; the gain is their root mean
        square, the largest singular value that of all
    input: ‖∂y_t/∂x_{t-k}‖_F by k, with y the logits of a trained model
    over: what x is: the sequence itself, the memory that a mechanism reads; of an encoder-decoder the source or the
        target before y; of a forecaster the look-back. Of a source or a look-back k counts positions before its last
        one, and y is the whole output: the norm is divided by the root of its positions, of a forecast by that of its
        numbers
    used: the loss (`loss_unit`) where only the last k positions of x are read; None for what is not trained
    before: the trained run that this is the beginning of, with the weights that it drew
    """

    name: str
    trained: bool
    input: Band
    over: ReachOver = "sequence"
    state: Band | None = None
    spectral: Band | None = None
    exact: bool = True
    numbers: int = 0
    readers: int = 1
    used: Band | None = None
    loss_unit: str = ""
    matrices: list[RecurrentMatrix] = field(default_factory=list)
    before: str | None = None


@final
@dataclass(frozen=True)
class Growth:
    """A fitted exponent: quantity ~ n^exponent over `lengths`, with a 95 % interval.

    settled: whether the exponent is that of large n: the quantity grew enough over those lengths, or was counted and
        follows one power; otherwise fixed costs may hide it
    """

    exponent: float
    low: float
    high: float
    lengths: list[int]
    settled: bool


@final
@dataclass(frozen=True)
class Chain:
    """The longest chain of dependent operations at each length.

    along: what the length is that of; of an encoder-decoder source and target grow together ("all") or one of them
    """

    name: str
    phase: Phase
    lengths: list[int]
    operations: list[int]
    total: list[int]  # all operations, dependent or not
    growth: Growth | None
    along: ChainAlong = "all"


@final
@dataclass(frozen=True)
class PhaseCost:
    """Time and peak memory at each length.

    seconds: the rounds at each length; peak_bytes: the largest sum of live tensors beyond parameters and inputs, for
        decode the bytes of the state
    """

    name: str
    phase: Phase
    lengths: list[int]
    seconds: list[list[float]]
    peak_bytes: list[int]
    time: Growth | None  # None: fewer than three lengths
    memory: Growth | None


@final
@dataclass(frozen=True)
class Crossover:
    """The length from which `cheaper` needs less time than `other`; predicted from `fitted` lengths, then measured.

    measured, error: None where the crossing was not found near the prediction; error is |predicted - measured| /
        measured
    checked: the lengths that were measured for the check, none of which is in `fitted`; empty: only predicted
    ratios: time of `cheaper` / time of `other` at the checked lengths
    """

    cheaper: str
    other: str
    phase: Phase
    predicted: float
    fitted: list[int]
    checked: list[int]
    ratios: list[float]
    measured: float | None = None
    error: float | None = None


@final
@dataclass(frozen=True)
class Saturation:
    """Statistics of softmax weights along an axis (`along`: d_k, layer), medians over queries with quartiles.

    entropy: in nats, relative to that of uniform weights (1 = uniform); largest: the largest weight
    gradient: ‖diag(p) - p pᵀ‖_F, the Frobenius norm of the softmax's Jacobian
    """

    name: str  # "scaled", "unscaled", or the model
    along: Literal["d_k", "layer"]
    keys: int  # n; of a trained run the positions of the longest input that was read
    entropy: Band
    largest: Band
    gradient: Band


@final
@dataclass(frozen=True)
class RecallPoint:
    """What trained models of one mechanism recall at one size of a planted task; see `lab.capacity`.

    items: values that a row shows, and questions that it asks; length: positions of a row
    state_bytes: of the state before the first question, measured
    accuracy: share of right answers, its interval over test rows and, with several seeds, over trainings
    ceiling: the most that a model can reach which sees what this one sees and guesses otherwise
    entropy_bits: of the answers of a row; bits: what the answers show of it, at least
    """

    items: int
    length: int
    state_bytes: int
    accuracy: Estimate
    ceiling: float
    entropy_bits: float
    bits: Estimate

    @property
    def bits_per_byte(self) -> float:
        """Stored bits, at least, per byte of state."""
        return (self.bits.mean or 0.0) / max(self.state_bytes, 1)


@final
@dataclass(frozen=True)
class Recall:
    """What small models of one layer of a mechanism recall after a stated training; see `lab.capacity`.

    values: how many values an answer is one of
    rate: the best of the learning `rates`, chosen on other rows than those of the points
    loss: mean training loss of the last tenth of the steps, in nats per answer; 0 is possible, ln(values) is a guess
    learned: whether the accuracy at the smallest size is near its ceiling; otherwise `steps` did not suffice to learn
        the task, and the numbers say nothing about the size of the state
    points: by size of the task, ascending
    """

    name: str
    task: str
    d_model: int
    parameters: int
    values: int
    steps: int
    seeds: list[int]
    rate: float
    rates: list[float]
    loss: float
    learned: bool
    points: list[RecallPoint]
    cpu_s: float

    @property
    def fullest(self) -> RecallPoint:
        """The point with the most stored bits."""
        return max(self.points, key=lambda point: point.bits.mean or 0.0)


TokenKind = Literal["new repeat", "known repeat", "rest"]


@final
@dataclass(frozen=True)
class TokenClass:
    """The tokens of a kind: their number, their mean loss, and what they add to the mean loss of all tokens."""

    kind: TokenKind
    tokens: int
    loss: Estimate  # without a mean if no token is of this kind
    adds: float


@final
@dataclass(frozen=True)
class ContextLoss:
    """The loss of a language model by what its context contains, and by position; see `lab.context_loss`.

    n: of the n-grams whose repetition is looked for; context: positions up to which `loss` and `classes` count
    by_position: the loss of the positions up to each place and after the one before, beyond the context too
    digest: of the tokens that were read; models with the same one are compared in `ContextGap`
    """

    name: str
    loss_unit: str
    n: int
    context: int
    sequences: int
    loss: Estimate
    classes: list[TokenClass]
    by_position: Band
    digest: str


@final
@dataclass(frozen=True)
class ContextGap:
    """The difference of two models' losses on the same tokens, and the share of it that each kind of token has.

    shares: they sum to 1; empty where the interval of the gap contains 0
    """

    better: str
    worse: str
    gap: Estimate
    shares: dict[TokenKind, Estimate]


@final
@dataclass(frozen=True)
class LossAlong:
    """The loss of a trained run along an axis: the mean over all labels up to each place and after the one before.

    items: that were read; the bootstrap of the interval draws them, of windows of a series stretches of a horizon
    """

    name: str
    along: Axis
    loss_unit: str
    items: int
    loss: Band


@final
@dataclass(frozen=True)
class DecodeState:
    """Bytes of the state that a decoder carries after this many positions of a source and of a target."""

    name: str
    source: int
    target: int
    state_bytes: int


@final
@dataclass(frozen=True)
class Unmeasured:
    """A measurement that a part lacks for a run, and the reason, in a few words each."""

    part: PanelPart
    name: str
    what: str
    reason: str


@final
@dataclass(frozen=True)
class PanelResults(SavedResults):
    """All that a panel measured. `seconds` is what each part took; `notes` are whole sentences."""

    command: str
    environment: dict[str, Any]
    names: list[str]
    settings: dict[str, Any] = field(default_factory=dict)
    reach: list[Reach] = field(default_factory=list)
    serial: list[Chain] = field(default_factory=list)
    growth: list[PhaseCost] = field(default_factory=list)
    crossovers: list[Crossover] = field(default_factory=list)
    saturation: list[Saturation] = field(default_factory=list)
    recall: list[Recall] = field(default_factory=list)
    contexts: list[ContextLoss] = field(default_factory=list)
    gaps: list[ContextGap] = field(default_factory=list)
    losses: list[LossAlong] = field(default_factory=list)
    states: list[DecodeState] = field(default_factory=list)
    unmeasured: list[Unmeasured] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def _repr_html_(self) -> str:
        text = import_module("sightline.report.panel_text")  # loaded when a notebook asks for it, not before
        rows = [
            (row.name, row.chain_growth, row.time.get("training", ""), row.memory.get("training", ""), row.reach)
            for row in text.cost_rows(self)
        ]
        head = ("mechanism", "growth of the chain", "of training time", "of training memory", "reach of the gradient")
        return html_lines(text.findings(self)) + html_table(head, rows) + html_lines(self.notes)
