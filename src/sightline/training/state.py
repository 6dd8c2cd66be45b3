"""How to train, how far a training is, and what it tells while it runs: plain values, no behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from torch import nn

from sightline.core.errors import InputError
from sightline.data.batches import Cursor
from sightline.training.budget import Budget, Spent
from sightline.training.optim import OptimConfig

Validate = Callable[[nn.Module], dict[str, float]]


@runtime_checkable
class Batches(Protocol):
    """Where batches come from: endless, from any cursor on; `sightline.data.PairBatches` is one.

    `size_key` names the setting that bounds a batch, and its value: what to lower where memory is short.
    """

    @property
    def size_key(self) -> tuple[str, int]: ...

    def stream(self, cursor: Cursor) -> Iterator[tuple[Any, Cursor]]: ...


@dataclass(frozen=True)
class TrainConfig:
    """How to train.

    `budget` as in `Budget.parse`. Validation happens every `validate_every` steps, or else `validations` times, evenly
    over the budget, and at the end. `metric` is the validation value that picks `best/`, in the direction that
    `core.metrics` says; after `patience` validations in a row without a better one training stops. A checkpoint is
    saved with each validation and whenever `checkpoint_every_s` seconds have passed; the newest `keep` stay.
    """

    budget: str = "60s"
    seed: int = 0
    optim: OptimConfig = field(default_factory=OptimConfig)
    validations: int = 10
    validate_every: int | None = None
    metric: str = "loss"
    patience: int | None = None
    checkpoint_every_s: float = 60.0
    keep: int = 2
    log_every: int = 10
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    def __post_init__(self) -> None:
        Budget.parse(self.budget, where="budget")
        least = {"validations": 1, "validate_every": 1, "patience": 1, "keep": 1, "log_every": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise InputError(f"must be at least {low}, found {value}", where=name)
        if not self.checkpoint_every_s > 0:
            raise InputError(f"must be positive, found {self.checkpoint_every_s}", where="checkpoint_every_s")


@dataclass(frozen=True)
class TrainResult:
    """How a training ended; `history` holds the records of metrics.jsonl."""

    status: Literal["completed", "early_stopped"]
    steps: int
    tokens: int
    seconds: float
    flops: int
    best_metric: float | None
    best_step: int | None
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class Progress:
    """What a progress display shows; `on_progress` gets one after each step and each validation."""

    step: int
    loss: float  # nats per label of the last step, unsmoothed
    metric: float | None  # the last validation's `TrainConfig.metric`
    tokens_per_s: float
    fraction: float  # of the budget
    seconds: float
    seconds_left: float
    lr: float
    validating: bool = False


@dataclass
class State:
    """Everything besides tensors that a resumed run needs, in plain JSON types."""

    spent: Spent = field(default_factory=Spent)
    cursor: tuple[int, int] = (0, 0)  # epoch and batch that come next
    warm: Spent = field(default_factory=Spent)  # when warm-up ended, or now
    validated: Spent = field(default_factory=Spent)  # when the last validation ended
    validation_s: float = 0.0  # all validations together
    last_validation_s: float = 0.0
    metric: float | None = None
    best_metric: float | None = None
    best_step: int | None = None
    without_better: int = 0
    window_nll: float = 0.0  # since the last train record
    window_labels: int = 0
    window_s: float = 0.0
    metrics_bytes: int = 0
    dtype: str = "float32"


@dataclass(frozen=True)
class Saved:
    """The contents of a checkpoint's state.json."""

    format: int
    state: State
    config: TrainConfig
