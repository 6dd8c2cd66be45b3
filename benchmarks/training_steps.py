"""Training steps of the benchmarks: ours, and one as a user of torch writes it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.parts.heads import lazy_heads
from sightline.training.loss import Loss, cross_entropy
from sightline.training.optim import OptimConfig, build_optimizer
from sightline.training.step import Stepper

CPU = torch.device("cpu")
LEARNING_RATE = 1e-4


class Batch(tuple):
    """Tokens and labels (B, T)."""

    def to(self, device: torch.device) -> Batch:
        return self


def random_batch(vocabulary: int, rows: int, length: int) -> Batch:
    tokens = torch.randint(vocabulary, (rows, length + 1))
    return Batch((tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()))


def our_loss(model: nn.Module, batch: Any) -> Loss:
    with lazy_heads(model):
        logits, _ = model(batch[0], None)
    return cross_entropy(logits, batch[1])


def our_step(model: nn.Module, dtype: str, batch: Batch) -> Callable[[], None]:
    stepper = Stepper(model, our_loss, OptimConfig(), CPU, dtype)

    def step() -> None:
        stepper.gradients(batch)
        stepper.update(LEARNING_RATE)

    return step


def their_step(model: nn.Module, logits_of: Callable[[Any], Tensor], dtype: str, batch: Batch) -> Callable[[], None]:
    """As ours does it, with torch's cross entropy."""
    optimizer = build_optimizer(model, OptimConfig())
    parameters = list(model.parameters())
    tokens, labels = batch

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = F.cross_entropy(logits_of(model(tokens)).flatten(0, 1), labels.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()

    return step


def slug_of(processor: str) -> str:
    """A processor's name as a part of a file's name."""
    return re.sub(r"\W+", "-", processor.lower()).strip("-")
