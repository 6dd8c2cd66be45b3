"""States of linear attention carried from chunk to chunk."""

from __future__ import annotations

import torch
from torch import Tensor

from sightline.core.shapes import Float
from sightline.core.transforms import in_place
from sightline.ops.traced import TracedTensors, any_length, traced_scan

ChunkFactors = Float[Tensor, "R N ..."]
StatesBefore = Float[Tensor, "R N *state"]  # before each chunk, their sizes (K, V), shared (K, P, V)
LastState = Float[Tensor, "R *state"]


def carry(
    updates: StatesBefore, total: ChunkFactors | None, first: LastState, *, backwards: bool = False
) -> tuple[StatesBefore, LastState]:
    """The states before each chunk (R, N, K, V) and after the last one (R, K, V): S ← total S + update.

    updates (R, N, K, V); total broadcasts to them; first (R, K, V). `backwards` begins with the last chunk.
    """
    chunks = updates.shape[1]
    if any_length(chunks):
        return _carry_traced(updates, total, first)
    order = list(range(chunks - 1, -1, -1) if backwards else range(chunks))
    if not in_place():
        states = [first]
        for n in order:
            states.append(_next(updates[:, n], total, n, states[-1]))
        before = states[:-1][::-1] if backwards else states[:-1]
        return torch.stack(before, 1), states[-1]
    before, last = torch.empty_like(updates), torch.empty_like(first)
    before[:, order[0]] = first
    for n, after in zip(order, [*order[1:], None], strict=True):
        into = last if after is None else before[:, after]
        _next(updates[:, n], total, n, before[:, n], into)
    return before, last


def _carry_traced(updates: Tensor, total: Tensor | None, first: Tensor) -> tuple[Tensor, Tensor]:
    """`carry` for a number of chunks that `torch.export` leaves open."""

    def step(
        carried: TracedTensors, inputs: TracedTensors, constants: TracedTensors
    ) -> tuple[TracedTensors, TracedTensors]:
        update, *factor = inputs
        after = update + carried[0] * factor[0] if factor else update + carried[0]
        return (after,), carried

    inputs = [updates] if total is None else [updates, total.expand(-1, updates.shape[1], *total.shape[2:])]
    (last,), (before,) = traced_scan(step, [first], inputs)
    return before, last


def _next(update: Tensor, total: Tensor | None, n: int, state: Tensor, into: Tensor | None = None) -> Tensor:
    """The state after chunk n, written to `into` unless that is None."""
    if total is None:
        return torch.add(update, state, out=into)
    return torch.addcmul(update, state, total[:, n], out=into)
