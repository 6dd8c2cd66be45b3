"""What the bottleneck panel measured, as plain values that are stored in panel.json. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final

from sightline.lab.stored import load_results, plain_results, save_results

SCHEMA_VERSION = 1

PanelPart = Literal["reach", "serial", "growth", "saturation"]
Phase = Literal["forward", "training", "prefill", "decode"]


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
    input: ‖∂y_t/∂x_{t-k}‖_F by k, with y the logits of a trained model
    over: what x is: the sequence itself, or the memory that the mechanism reads
    used: the loss (`loss_unit`) where only the last k positions are read; None for an untrained mechanism
    """

    name: str
    trained: bool
    input: Band
    over: Literal["sequence", "memory"] = "sequence"
    state: Band | None = None
    spectral: Band | None = None
    exact: bool = True
    numbers: int = 0
    used: Band | None = None
    loss_unit: str = ""
    matrices: list[RecurrentMatrix] = field(default_factory=list)


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
    """The longest chain of dependent operations at each length."""

    name: str
    phase: Phase
    lengths: list[int]
    operations: list[int]
    total: list[int]  # all operations, dependent or not
    growth: Growth | None


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
    checked: the lengths that were measured for the check, none of which is in `fitted`
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
    keys: int  # n
    entropy: Band
    largest: Band
    gradient: Band


@final
@dataclass(frozen=True)
class PanelResults:
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
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, schema_version first, NaN and infinities as null."""
        return plain_results(self)

    def save(self, path: Path) -> None:
        """Write `panel.json`, whole or not at all."""
        save_results(self, path)

    @classmethod
    def load(cls, path: Path) -> PanelResults:
        """The results in the file `path`; raises what `load_results` does."""
        return load_results(cls, path, SCHEMA_VERSION)
