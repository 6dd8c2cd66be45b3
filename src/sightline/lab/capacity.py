"""Memory of the past: how many answers a trained mechanism recalls, and how many bits per byte of state that shows.

    recall_curve("gated_delta", task="recall", sizes=(4, 8, 16), widths=(16, 32), seeds=(0, 1))

trains small models of one layer of a mechanism on a planted task (`lab.recall_tasks`), all sizes of the task in one
training, and tests each model on new rows of every size.

**Stored bits.** A row shows n independent values X_1 … X_n, uniform over V. The answers Y_1 … Y_n are functions of the
state S after the last position before the first question and of the questions, which are independent of the values.
Therefore (data processing; independence; Fano's inequality, Cover & Thomas 2006, eqs. 2.119, 2.6.6 and 2.130)

    I(X; S) ≥ I(X; Y) ≥ Σ_i I(X_i; Y_i) ≥ n · [log₂ V - h(e) - e · log₂(V - 1)]

where e is the share of wrong answers, averaged over questions, and h the binary entropy: the bracket is convex in e.
It is 0 at the accuracy of guessing, 1/V, and is set to 0 below it; it grows with the accuracy, so that an interval of
the accuracy gives one of the bits. This is a lower bound twice: on what the state contains, and, where training ended
early, on what a state of this size could contain. `stored_bits` is the bound, `RecallPoint` has it with the bytes of S.

**Ceiling.** A question whose answer the model cannot see is answered by guessing. What it can see is read off the
gradients of its untrained layers, position by position (`visibility`), so that no mechanism is named; for a window of w
behind a convolution of c it is the last w - 1 + c - 1 positions. The ceiling is the share of the test's questions with
a visible answer, plus 1/V of the others.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.errors import InputError
from sightline.core.metrics import Metric
from sightline.core.modes import evaluating
from sightline.core.seeds import derive
from sightline.core.state import nbytes
from sightline.core.suggest import unknown
from sightline.data.batches import Cursor
from sightline.lab.panel_results import Recall, RecallPoint
from sightline.lab.recall_tasks import IGNORED, RECALL_TASKS, RecallRows, RecallTask
from sightline.lab.results import Estimate
from sightline.lab.stats import compare_items
from sightline.models import LanguageModelConfig
from sightline.models.decoder import Decoder
from sightline.training.loop import train
from sightline.training.loss import Loss, cross_entropy
from sightline.training.optim import OptimConfig
from sightline.training.state import TrainConfig

SHARE = Metric("recall", "recall accuracy", limits=(0.0, 1.0))
READ_ROWS = 64  # rows of a test that are read at a time
LEARNED = 0.9  # of the ceiling at the smallest size: below, the task itself was not learned


@final
@dataclass(frozen=True)
class RecallTraining:
    """How the small models are trained and tested.

    steps, tokens: optimizer steps, and positions in the batch of each
    rates: peak learning rates; the one with the best accuracy on validation rows is reported
    short: share of the steps that have rows of the smallest size only; without them, mechanisms with an output gate
        learn the task late or never
    tested: rows of each size, new to the model; as many again for the choice of the rate
    convolution: positions of the short convolution before the mechanism (Arora et al. 2024, "Based",
        arXiv:2402.18668); 0: none
    """

    steps: int = 400
    tokens: int = 2048
    rates: tuple[float, ...] = (0.02,)
    short: float = 0.5
    tested: int = 200
    convolution: int = 3
    heads: int = 1
    weight_decay: float = 0.1


def stored_bits(accuracy: float, values: int, items: int) -> float:
    """The bits about `items` values out of `values` that answers with this accuracy show, at least; see the module."""
    error = 1.0 - accuracy
    if accuracy * values <= 1.0:
        return 0.0
    entropy = -sum(p * math.log2(p) for p in (error, accuracy) if p > 0)
    return items * max(0.0, math.log2(values) - entropy - error * math.log2(values - 1))


def recall_curve(
    name: str,
    *,
    task: str = "recall",
    sizes: Sequence[int] = (4, 8, 16),
    widths: Sequence[int] = (32,),
    seeds: Sequence[int] = (0,),
    options: Mapping[str, Any] | None = None,
    training: RecallTraining | None = None,
    label: str | None = None,
) -> list[Recall]:
    """Train a mechanism at each width with each seed; what it recalls at each size of the task.

    name: a mechanism that reads its own sequence; `options` are those of its config, `label` names the results
    sizes: of the task, ascending, see `RECALL_TASKS`

    One seed gives intervals over test rows alone.

    Raises:
        InputError: "unknown recall task 'recal', did you mean 'recall'?"; what `LanguageModelConfig` raises.
    """
    if task not in RECALL_TASKS:
        raise InputError(unknown("recall task", task, RECALL_TASKS))
    training = training or RecallTraining()
    tasks = [RECALL_TASKS[task](size) for size in sorted(sizes)]
    results = []
    for width in widths:
        model = RecallModel(name, dict(options or {}), width, training.convolution, training.heads)
        results.append(study(label or name, model, task, tasks, seeds, training))
    return results


@final
@dataclass(frozen=True)
class RecallModel:
    """A short convolution, then one layer of a mechanism, each in a residual, as in Arora et al. 2024; no feed-forward.

    Positions, where the mechanism has such an option, are rotary.
    """

    mixer: str
    options: dict[str, Any] = field(default_factory=dict)
    d_model: int = 32
    convolution: int = 3
    heads: int = 1

    def build(self, vocabulary: int, seed: int) -> Decoder:
        """The model with weights drawn from the seed."""
        sizes = {"d_model": self.d_model, "layers": 1, "heads": self.heads, "d_feed_forward": 0, "dropout": 0.0}
        options = {self.mixer: self.options} if self.options else {}
        config = LanguageModelConfig((self.mixer,), options, **sizes, convolution=self.convolution)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "initialisation"))
            return config.build(vocabulary)


class RecallBatch(NamedTuple):
    """Rows as the training loop takes them."""

    inputs: Tensor  # (B, T) long
    labels: Tensor  # (B, T) long

    def to(self, device: torch.device) -> RecallBatch:
        """The batch on a device."""
        return RecallBatch(self.inputs.to(device), self.labels.to(device))


@final
@dataclass(frozen=True)
class RecallBatches:
    """New rows at every step: of the smallest task in the first steps, then of all tasks in a random order."""

    tasks: Sequence[RecallTask]
    tokens: int
    short_steps: int
    seed: int

    @property
    def size_key(self) -> tuple[str, int]:
        return "tokens", self.tokens

    def stream(self, cursor: Cursor) -> Iterator[tuple[RecallBatch, Cursor]]:
        """Endless batches; the step is the index of the cursor."""
        step = cursor.index
        while True:
            drawn = derive(self.seed, "task", step) % len(self.tasks)
            task = self.tasks[0 if step < self.short_steps else drawn]
            rows = task.rows(max(1, self.tokens // task.length), derive(self.seed, "rows", step))
            step += 1
            yield RecallBatch(rows.inputs, rows.labels), Cursor(0, step)


@final
@dataclass(frozen=True)
class ValueLoss:
    """The objective: cross entropy of the answers among all values, at the questions."""

    values: int

    def __call__(self, model: nn.Module, batch: RecallBatch) -> Loss:
        logits, answers = read(model, batch.inputs, batch.labels, self.values)
        return cross_entropy(logits, answers)


def read(model: Any, inputs: Tensor, labels: Tensor, values: int) -> tuple[Tensor, Tensor]:
    """Logits (Q, V) of all questions, and the numbers (Q,) of their answers."""
    asked = labels != IGNORED
    x, _ = model.mixer(model.embedding(inputs))
    weight = model.embedding.weight
    return F.linear(model.norm(x[asked]), weight[-values:]), labels[asked] - (len(weight) - values)


@torch.no_grad()
def right_answers(model: nn.Module, task: RecallTask, rows: RecallRows) -> np.ndarray:
    """The share (N,) of right answers in each row."""
    shares = []
    with evaluating(model):
        for first in range(0, len(rows.inputs), READ_ROWS):
            chunk = slice(first, first + READ_ROWS)
            logits, answers = read(model, rows.inputs[chunk], rows.labels[chunk], task.values)
            shares.append((logits.argmax(1) == answers).double().view(-1, task.items).mean(1))
    return torch.cat(shares).numpy()


@torch.no_grad()
def stored_bytes(model: Any, task: RecallTask) -> int:
    """The bytes of the state of one row before the first question, as `core.state.nbytes` counts them."""
    inputs = task.rows(1, 0).inputs[:, : task.stored]
    with evaluating(model):
        _, state = model.mixer(model.embedding(inputs), model.mixer.initial_state(1))
    return nbytes(state)


def visibility(model: Any, length: int, seed: int = 0) -> Tensor:
    """Which input positions the output at each position depends on: (T, T) bool, by exact gradients in float64.

    Of untrained layers and standard normal inputs: a gradient that is exactly 0 is one that the mechanism cuts off.
    """
    mixer = model.mixer.double().eval()
    generator = torch.Generator().manual_seed(derive(seed, "inputs"))
    x = torch.randn(1, length, mixer.d_model, generator=generator, dtype=torch.float64)
    rows = []
    for positions in torch.arange(length).split(READ_ROWS):
        copies = x.expand(len(positions), -1, -1).clone().requires_grad_()
        with torch.enable_grad():
            y, _ = mixer(copies)
            (grads,) = torch.autograd.grad(y[torch.arange(len(positions)), positions].sum(), copies)
        rows.append((grads != 0).any(2))
    return torch.cat(rows)


class Trial(NamedTuple):
    """One training: the mean loss of its last tenth in nats per answer, and right answers at each size."""

    loss: float
    valid: list[np.ndarray]  # (N,) for each size
    test: list[np.ndarray]
    cpu_s: float


def study(
    name: str,
    model: RecallModel,
    kind: str,
    tasks: Sequence[RecallTask],
    seeds: Sequence[int],
    training: RecallTraining,
) -> Recall:
    """Train one model with every seed and rate, choose the rate, test at every size."""
    trials = {rate: [trial(model, tasks, rate, seed, training) for seed in seeds] for rate in training.rates}
    rate = max(trials, key=lambda rate: np.mean([right.mean() for one in trials[rate] for right in one.valid]))
    chosen, built = trials[rate], model.build(tasks[0].vocabulary, 0)
    sizes = [stored_bytes(built, task) for task in tasks]
    visible = visibility(built, max(task.length for task in tasks))
    points = []
    for place, (task, state_bytes) in enumerate(zip(tasks, sizes)):
        right = np.stack([one.test[place] for one in chosen])
        seen = rows_for(task, training).seen(visible[: task.length, : task.length])
        points.append(recall_point(task, state_bytes, right, seen))
    return Recall(
        name=name,
        task=kind,
        d_model=model.d_model,
        parameters=sum(parameter.numel() for parameter in built.parameters()),
        values=tasks[0].values,
        steps=training.steps,
        seeds=list(seeds),
        rate=rate,
        rates=list(training.rates),
        loss=float(np.mean([one.loss for one in chosen])),
        learned=points[0].accuracy.mean is not None and points[0].accuracy.mean >= LEARNED * points[0].ceiling,
        points=points,
        cpu_s=round(sum(one.cpu_s for of_rate in trials.values() for one in of_rate), 1),
    )


def recall_point(task: RecallTask, state_bytes: int, right: np.ndarray, seen: float = 1.0) -> RecallPoint:
    """Accuracy and stored bits from the shares right (seeds, N) of right answers of each row.

    seen: the share of questions whose answer the model could see
    """
    accuracy = compare_items({"": right}, SHARE).scores[""]
    ends = accuracy.mean, accuracy.low, accuracy.high
    bits = Estimate(*(None if end is None else stored_bits(end, task.values, task.items) for end in ends))
    return RecallPoint(
        items=task.items,
        length=task.length,
        state_bytes=state_bytes,
        accuracy=accuracy,
        ceiling=seen + (1 - seen) / task.values,
        entropy_bits=task.entropy_bits,
        bits=bits,
    )


def trial(model: RecallModel, tasks: Sequence[RecallTask], rate: float, seed: int, training: RecallTraining) -> Trial:
    """Train a model in a temporary directory, and test it."""
    built = model.build(tasks[0].vocabulary, seed)
    optim = OptimConfig(lr=rate, warmup=0.05, weight_decay=training.weight_decay)
    tenth = max(1, training.steps // 10)
    config = TrainConfig(
        budget=f"{training.steps}steps", seed=seed, optim=optim, device="cpu", dtype="float32", log_every=tenth,
        checkpoint_every_s=1e9,
    )  # fmt: skip
    batches = RecallBatches(tasks, training.tokens, round(training.short * training.steps), derive(seed, "recall"))
    began = time.thread_time()
    with tempfile.TemporaryDirectory() as directory:
        result = train(built, ValueLoss(tasks[0].values), batches, config, Path(directory) / "run")
    loss = [record["loss"] for record in result.history if record["event"] == "train"][-1]
    valid = [right_answers(built, task, rows_for(task, training, "valid")) for task in tasks]
    test = [right_answers(built, task, rows_for(task, training)) for task in tasks]
    return Trial(loss, valid, test, time.thread_time() - began)


def rows_for(task: RecallTask, training: RecallTraining, part: str = "test") -> RecallRows:
    """The same rows for every model and seed."""
    return task.rows(training.tested, derive(0, part, task.length))
