"""Inputs of a model changed behind its front end: gradients by its vectors, and positions that are not read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sightline.core.hooks import removed_after


@contextmanager
def vectors_of(module: nn.Module, copies: int) -> Iterator[list[Tensor]]:
    """Inside the block a module gives its vectors (1, S, D) in this many copies, which are nodes of the graph."""
    nodes: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, result: Any) -> Any:
        x, mask = (result, None) if isinstance(result, Tensor) else result
        x = x.detach().expand(copies, -1, -1).clone().requires_grad_()
        nodes.append(x)
        return x if isinstance(result, Tensor) else (x, None if mask is None else mask.expand(copies, -1))

    with removed_after([module.register_forward_hook(hook)]):
        yield nodes


@contextmanager
def last_positions(front_end: nn.Module, count: int) -> Iterator[None]:
    """Inside the block a front end gives the last `count` real positions of each row alone, padding after them."""

    def hook(_module: nn.Module, _inputs: Any, result: Any) -> Any:
        x, mask = result
        real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask
        kept = real & (real.flip(1).cumsum(1).flip(1) <= count)
        width = max(int(kept.sum(1).max()), 1)
        order = kept.int().argsort(dim=1, descending=True, stable=True)[:, :width]  # the kept ones first
        return x.gather(1, order.unsqueeze(2).expand(-1, -1, x.shape[2])), kept.gather(1, order)

    with removed_after([front_end.register_forward_hook(hook)]):
        yield
