"""Small trainings on drawn data: the same step, optimizer and schedule as every training, without a run directory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from sightline.core.errors import Diverged
from sightline.core.seeds import derive
from sightline.models.decoder import Decoder
from sightline.training.loss import Loss, Objective, cross_entropy
from sightline.training.optim import OptimConfig, learning_rate
from sightline.training.step import Stepper


class Examples(NamedTuple):
    """Drawn examples: what a model reads, and the labels; a label counts where `counted` is True."""

    inputs: tuple[Tensor, ...]  # the positional arguments of the model
    labels: Tensor  # (B, …)
    counted: Tensor  # (B, …) bool

    def to(self, device: torch.device) -> Examples:
        """The same on a device."""
        return Examples(tuple(x.to(device) for x in self.inputs), self.labels.to(device), self.counted.to(device))


ROWS = 250  # examples that are read at a time

Draw = Callable[[torch.Generator, int], Examples]  # `count` examples


class Recipe(NamedTuple):
    """How long and how fast a small model is trained; cosine after a warm-up, no weight decay."""

    steps: int
    batch: int = 64
    lr: float = 3e-3
    warmup: float = 0.05


@final
class NextToken(nn.Module):
    """A language model as a function of its tokens alone: logits (B, T, V) of tokens (B, T)."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, tokens: Tensor) -> Tensor:
        return self.decoder(tokens, None)[0]


def logits_of(model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """The logits of a model that may also return a state."""
    result: Any = model(*inputs)
    return result[0] if isinstance(result, tuple) else result


def label_loss(model: nn.Module, batch: Examples) -> Loss:
    """The cross entropy of the labels that count."""
    return cross_entropy(logits_of(model, batch.inputs), batch.labels, batch.counted)


def fit(model: nn.Module, draw: Draw, recipe: Recipe, seed: int, objective: Objective = label_loss) -> None:
    """Train `model` on fresh examples at every step. The caller initialises the model from the seed.

    Raises:
        Diverged: "step 12: the loss is nan".
    """
    config = OptimConfig(lr=recipe.lr, warmup=recipe.warmup, weight_decay=0.0)
    stepper = Stepper(model, objective, config, torch.device("cpu"), "float32")
    generator = torch.Generator().manual_seed(derive(seed, "examples"))
    with torch.random.fork_rng(devices=[]):
        for step in range(recipe.steps):
            torch.manual_seed(derive(seed, "dropout", step))
            result = stepper.gradients(draw(generator, recipe.batch))
            if result.fault is not None:
                raise Diverged(f"step {step + 1}: {result.fault}")
            done = step / recipe.steps
            stepper.update(learning_rate(config, step, done, min(done, recipe.warmup), float(recipe.steps)))
    model.eval()


@contextmanager
def initialised(seed: int) -> Iterator[None]:
    """A model that is built inside the block is initialised from the seed, and nothing else is changed by it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "initialisation"))
        yield


def _read(model: nn.Module, examples: Examples) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Logits, labels and which of them count, of `ROWS` examples at a time."""
    model.eval()
    tensors = (examples.labels, examples.counted, *examples.inputs)
    for labels, counted, *inputs in zip(*(x.split(ROWS) for x in tensors)):
        yield logits_of(model, tuple(inputs)), labels, counted


@torch.no_grad()
def answers(model: nn.Module, examples: Examples) -> Tensor:
    """Whether each label is the model's most likely one, (B, …) bool; False where a label does not count."""
    return torch.cat([(logits.argmax(-1) == labels) & counted for logits, labels, counted in _read(model, examples)])


@torch.no_grad()
def losses(model: nn.Module, examples: Examples) -> Tensor:
    """-ln p (B,) of each example's labels, the mean over those that count."""
    parts = []
    for logits, labels, counted in _read(model, examples):
        log_p = logits.double().log_softmax(-1)
        nll = -log_p.gather(-1, labels.unsqueeze(-1)).squeeze(-1) * counted
        parts.append(nll.flatten(1).sum(1) / counted.flatten(1).sum(1).clamp(min=1) if nll.dim() > 1 else nll)
    return torch.cat(parts)


def held_out(draw: Draw, seed: int, count: int) -> Examples:
    """Examples that no training has drawn, the same for every model."""
    return draw(torch.Generator().manual_seed(derive(seed, "held out")), count)
