"""The state and the time of a causal layer after a number of positions, measured."""

from __future__ import annotations

import statistics
from typing import Any

import torch
from torch import Tensor

from sightline.core.cpu_clock import CpuClock
from sightline.core.state import map_state, nbytes

ROUNDS = 7
STEPS = 32  # timed in a round


@torch.no_grad()
def layer_state(layer: Any, length: int, seed: int = 0) -> Any:
    """The state of one row after `length` random positions."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, length, layer.d_model, generator=generator).to(next(layer.parameters()))
    return layer(x)[1]


def state_bytes(layer: Any, length: int) -> int | None:
    """Bytes of that state; None of an encoder's layer, which has none."""
    return nbytes(layer_state(layer, length)) if layer.causal else None


@torch.no_grad()
def step_seconds(layers: list[Any], length: int) -> list[float | None]:
    """CPU seconds of one step of each layer for one row after `length` positions: medians of rounds in turns."""
    if not all(layer.causal for layer in layers):
        return [None] * len(layers)
    states = [layer_state(layer, length) for layer in layers]
    inputs = [torch.zeros(1, layer.d_model).to(next(layer.parameters())) for layer in layers]
    rounds: list[list[float]] = [[] for _ in layers]
    for turn in range(ROUNDS + 1):
        order = list(enumerate(zip(layers, inputs, states, strict=True)))
        for number, (layer, x, state) in order[::-1] if turn % 2 else order:
            taken = _steps(layer, x, map_state(Tensor.clone, state))
            if turn:  # the first round warms up
                rounds[number].append(taken)
    return [statistics.median(taken) for taken in rounds]


def _steps(layer: Any, x: Tensor, state: Any) -> float:
    _, state = layer.step(x, state)  # a growing cache makes room for as many positions again
    clock = CpuClock()
    for _ in range(STEPS):
        _, state = layer.step(x, state)
    return clock.lap() / STEPS
