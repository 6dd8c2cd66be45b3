"""Modes inside a block: evaluation, and products that autocast leaves as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switches dropout off inside the block and restores the model's mode after it, after an exception too."""
    if not any(part.training for part in model.modules()):
        yield
        return
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Switches autocast off inside the block, so that products of float32 tensors are float32.

    Where it is off already this costs nothing, and `torch.export` records nothing that it cannot write to a file
    (torch 2.13).
    """
    if device.type == "meta" or not torch.is_autocast_enabled(device.type):  # meta computes nothing
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
