"""Modes inside a block: evaluation, and products that autocast leaves as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switches dropout off inside the block and restores the mode of each module after it, after an exception too."""
    if not any(part.training for part in model.modules()):
        yield
        return
    with modes_restored(model):
        model.eval()
        yield


@contextmanager
def modes_restored(model: nn.Module) -> Iterator[None]:
    """Restores the mode of each module after the block: parts that are frozen may evaluate while others train."""
    before = [(part, part.training) for part in model.modules()]
    try:
        yield
    finally:
        model.train(before[0][1])  # as `train` of the module's class does it
        for part, training in before:
            if part.training != training:
                part.training = training


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Switches autocast off inside the block, so that products of float32 tensors are float32.

    Where it is off already this costs nothing, and `torch.export` records nothing that it cannot write to a file
    (torch 2.13).
    """
    if device.type == "meta" or not torch.is_autocast_enabled(device.type):  # meta computes nothing
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
