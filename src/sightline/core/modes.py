"""Evaluation mode, and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switches dropout off inside the block and restores the model's mode after it, after an exception too."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
