"""Settings, state, progress and result of a training: plain values without behaviour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal, final

from torch import nn

from sightline.core.errors import InputError
from sightline.core.json_text import finite
from sightline.core.settings import CheckedConfig, key
from sightline.data.batches import Batches
from sightline.training.budget import Budget, Spent
from sightline.training.loss import perplexity
from sightline.training.measured import Measured
from sightline.training.optim import OptimConfig
from sightline.training.plan import StepPlan

Validate = Callable[[nn.Module], Measured]
AUTO: Final = "auto"  # a key that is left to the task


@final
@dataclass(frozen=True)
class TrainConfig(CheckedConfig):
    """Settings of training.

    `metric` picks `best/`, in the direction that `core.metrics` says, by the rule of `training.best`. A checkpoint is
    saved with each validation and whenever `checkpoint_every_s` seconds have passed, or more where the checkpoints
    would take over 1 % of the time.

    Raises:
        InputError: "keep: must be at least 1, found 0"; what `Budget.parse` raises.
    """

    budget: str = key(
        "60s", "Length of the training: 60s, 5min, 500steps, 2Mtok, 1e15flop, 5kJ, or 60s-wall, which obeys the clock."
    )
    seed: int = key(0, "Seed of initial weights, order of batches and dropout.")
    optim: OptimConfig = key(OptimConfig(), "Optimizer and learning rate.")
    validations: int = key(
        10,
        "Validations, evenly spaced over the budget; a budget in seconds allows 10 that take up to 15 % of it.",
        at_least=1,
    )
    validation_share: float = key(
        1.0,
        "Share of the validation items that each validation scores, the same ones. A budget in seconds lowers it where "
        "three whole validations would take more than 15 % of it.",
        above=0,
        at_most=1,
    )
    validate_every: int | None = key(
        None, "Steps between validations; null: as many validations as `validations` says.", at_least=1
    )
    metric: str = key(
        AUTO,
        "Validation metric that picks the best model; auto: of classifiers of one label each the accuracy, or macro F1 "
        "where classes have weights; of models that write texts the token accuracy; otherwise the loss.",
    )
    best_within: float = key(
        1.0,
        "Standard errors of the paired difference by which a later model may be behind the best one by that metric and "
        "is still kept in its place: the best is in part luck, and later ones have trained longer; 0: the best one.",
        at_least=0,
    )
    patience: int | None = key(
        None, "Validations in a row without a better one after which training stops; null: never.", at_least=1
    )
    most_epochs: int | Literal["auto"] | None = key(
        AUTO,
        "Passes over the training data that a budget in seconds pays for at most: small data is learnt in few, and "
        "more of them overfit it; auto: 10 for classifiers of texts with a vocabulary of 1,000 words or more, "
        "otherwise any number; null: any number.",
        at_least=1,
    )
    checkpoint_every_s: float = key(
        60.0, "Seconds between checkpoints, more where they would take over 1 % of the time.", above=0
    )
    keep: int = key(2, "Newest checkpoints to keep.", at_least=1)
    log_every: int = key(10, "Steps between records of the training loss in metrics.jsonl.", at_least=1)
    device: str = key("auto", "Device: auto, cpu, cuda, cuda:1 or mps.")
    dtype: Literal["auto", "float32", "bfloat16"] = key("auto", "Number format of matrix products.")
    parallel: Literal["ddp", "fsdp"] = key(
        "ddp",
        "How the processes that torchrun starts share a training: ddp, each has the whole model; fsdp, each has a part "
        "of every tensor of it.",
    )
    pieces: int | None = key(
        None,
        "Pieces of rows that each batch is computed in, one after another or by several processes; more need less "
        "memory. Null: one for each process.",
        at_least=1,
    )
    watch: bool = key(
        False,
        "Record entropy and saturation of attention, gradients by distance and gates while it trains, up to 39 times; "
        "it changes no result and takes about 5 % more time at most.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        Budget.parse(self.budget, where="budget")

    @property
    def in_pieces(self) -> bool:
        """Whether one process, too, computes a batch in pieces."""
        return self.pieces is not None and self.pieces > 1


def settled(config: TrainConfig, metric: str = "loss", most_epochs: int | None = None) -> TrainConfig:
    """The settings with these values where they leave them to the task."""
    return replace(
        config,
        metric=metric if config.metric == AUTO else config.metric,
        most_epochs=most_epochs if config.most_epochs == AUTO else config.most_epochs,
    )


def most_steps(config: TrainConfig, batches: Batches) -> int | None:
    """The steps of `most_epochs`, by the batches of the first epoch; None: any number.

    Raises:
        InputError: "most_epochs: requires batches that have a length, those of an epoch".
    """
    if config.most_epochs is None or config.most_epochs == AUTO:
        return None
    try:
        return config.most_epochs * len(batches)  # type: ignore[arg-type]
    except TypeError:  # not `Sized`, or shares of such batches
        raise InputError("requires batches that have a length, those of an epoch", where="most_epochs") from None


def in_steps(config: TrainConfig, plan: StepPlan) -> TrainConfig:
    """The settings with the plan's steps and validations: a training by them repeats the one that was planned."""
    return replace(
        config,
        budget=f"{plan.steps}steps",
        validations=plan.validations,
        validation_share=plan.validation_share,
    )


@final
@dataclass(frozen=True)
class TrainResult:
    """The end of a training; `history` has the records of metrics.jsonl.

    `cpu_seconds` is the processor time of the thread that trained, within `seconds`; `epochs` the number of complete
    passes over the data; `best_metric` and `best_step` are those of the model that is kept.
    """

    status: Literal["completed", "early_stopped"]
    steps: int
    tokens: int
    seconds: float
    flops: int
    cpu_seconds: float
    epochs: int
    best_metric: float | None
    best_step: int | None
    history: list[dict[str, Any]]
    plan: StepPlan | None = None  # how a budget in seconds became steps


@final
@dataclass(frozen=True)
class Progress:
    """The values of a progress display; `on_progress` gets them after each step and before each validation."""

    step: int
    loss: float  # nats per label of the last step, unsmoothed
    metric: float | None  # the last validation's
    tokens_per_s: float
    fraction: float  # of the budget
    seconds: float
    seconds_left: float
    lr: float
    validating: bool = False
    named: str = "loss"  # the metric, by its name


@final
@dataclass
class State:
    """Everything besides tensors that a resumed run needs, in plain JSON types."""

    spent: Spent = field(default_factory=Spent)
    plan: StepPlan | None = None  # of a budget in seconds, so that a resumed run ends at the same step
    cursor: tuple[int, int] = (0, 0)  # next epoch and batch
    warm: Spent = field(default_factory=Spent)  # when warm-up ended, or now
    validated: Spent = field(default_factory=Spent)  # when the last validation ended
    validation_s: float = 0.0  # all validations together
    last_validation_s: float = 0.0
    validation_share: float | None = None  # of the items, that a budget by the clock pays for
    metric: float | None = None
    best_metric: float | None = None  # of the model that is kept
    best_step: int | None = None
    top_metric: float | None = None  # the best of all validations
    top_rows: list[list[float]] = field(default_factory=list)  # of its items
    without_better: int = 0
    looked: Spent = field(default_factory=Spent)  # when the last look of `training.looks` ended
    looks: tuple[float, ...] | None = None  # shares of the budget at which to look; None = not planned yet
    window_nll: float = 0.0  # since the last train record
    window_labels: int = 0
    window_s: float = 0.0
    metrics_bytes: int = 0
    dtype: str = "float32"
    flops_known: dict[str, int] = field(default_factory=dict)  # see `StepFlops`


@final
@dataclass(frozen=True)
class Saved:
    """The contents of a checkpoint's state.json."""

    format: int
    state: State
    config: TrainConfig


def training_record(state: State, lr: float, norm: float) -> dict[str, Any]:
    """The record of the steps since the last record: loss, rate and the last gradient's norm."""
    loss = state.window_nll / max(state.window_labels, 1)
    values = {
        "loss": loss,
        "perplexity": perplexity(loss),
        "grad_norm": norm,
        "lr": lr,
        "tokens_per_s": state.window_labels / max(state.window_s, 1e-9),
    }
    state.window_nll, state.window_labels, state.window_s = 0.0, 0, 0.0
    return {"event": "train", **asdict(state.spent), **finite(values)}
