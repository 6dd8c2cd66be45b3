"""Linear attention whose heads share queries and keys, chunk by chunk, as in Mamba-2 (Dao & Gu 2024).

Pairs are multiplied once for all P heads of a group and weighed for each. The states of a group are adjacent in memory,
so that one product with the values of all heads writes or reads them. Shapes as in `ops.chunks`, where a row is a group
of one batch entry; values, outputs and decay have an axis of heads before the last, states before the values.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sightline.ops.chunk_states import carry
from sightline.ops.chunked_linear import add_product, end_products
from sightline.ops.chunks import (
    ChunkWeights,
    LinearInputs,
    LinearOutputs,
    chunk_weights,
    join,
    log_decay_gradient,
    required,
    split,
)


class SharedKept(NamedTuple):
    """Tensors that the backward reads beside inputs and outputs."""

    before: Tensor  # (R, N, K, P, V) states before chunks


def shared_forward(inputs: LinearInputs, chunk: int) -> tuple[LinearOutputs, SharedKept]:
    """y_t = q_t S_t with S_t = exp(decay_t) S_{t-1} + k_tᵀ v_t for each head, by operations that autograd records."""
    _, _, within, enter, leave, total = _weights(inputs, chunk)
    q, k, v = split(inputs.q, chunk), split(inputs.k, chunk), _chunks(inputs.v, chunk)
    scores = (q @ k.mT).unsqueeze(1) * within  # (R, P, N, C, C)
    updates = (k.mT @ (v * leave).flatten(3)).unflatten(3, v.shape[3:])
    before, memory = carry(updates, total, inputs.memory)
    held = (q @ before.flatten(3)).unflatten(3, v.shape[3:])
    y = torch.addcmul((scores @ _by_head(v)).permute(0, 2, 3, 1, 4), held, enter)
    return LinearOutputs(join(y, inputs.q.shape[1]), memory), SharedKept(before)


def shared_backward(
    inputs: LinearInputs, chunk: int, outputs: LinearOutputs, kept: SharedKept, to: LinearOutputs
) -> LinearInputs:
    """Gradients of the inputs from those of the outputs, `to`; those of q, k and v as chunks."""
    decay, weights, within, enter, leave, total = _weights(inputs, chunk)
    q, k = split(inputs.q, chunk), split(inputs.k, chunk)
    v, y, to_y = (_chunks(x, chunk) for x in (inputs.v, outputs.y, to.y))  # (R, N, C, P, V)
    reading, leaving = (to_y * enter).flatten(3), (v * leave).flatten(3)
    after, to_memory = carry((q.mT @ reading).unflatten(3, v.shape[3:]), total, to.memory, backwards=True)
    to_head = _by_head(to_y)
    to_pairs = (to_head @ _by_head(v).mT).mul_(within).sum(1)  # (R, N, C, C)
    scores = within.mul_((q @ k.mT).unsqueeze(1))
    to_v = (k @ after.flatten(3)).unflatten(3, v.shape[3:])
    torch.addcmul((scores.mT @ to_head).permute(0, 2, 3, 1, 4), to_v, leave, out=to_v)
    to_q = add_product(to_pairs @ k, reading, kept.before.flatten(3).mT)
    to_k = add_product(to_pairs.mT @ q, leaving, after.flatten(3).mT)
    at = (to_y * y).sum(4) - (v * to_v).sum(4)  # (R, N, C, P): reading less writing
    end = end_products(kept.before, outputs.memory, after).sum(2)  # (R, N, P)
    at, end = (x.movedim(-1, 1).flatten(0, 1).unsqueeze(-1) for x in (at, end.unsqueeze(2)))
    to_decay = log_decay_gradient(decay, weights, at, end, decay.shape[1])
    to_decay = to_decay.unflatten(0, within.shape[:2]).transpose(1, 2)
    return LinearInputs(to_q, to_k, to_v, to_memory, None, None, to_decay)


def _weights(inputs: LinearInputs, chunk: int) -> tuple[Tensor, ChunkWeights, Tensor, Tensor, Tensor, Tensor]:
    """Decay and weights with heads as rows; of the weights `within` (R, P, N, C, C) and the others (R, N, ·, P, 1)."""
    rows, length, heads = inputs.v.shape[:3]
    starts = None if inputs.starts is None else inputs.starts.repeat_interleave(heads, 0)
    decay = required(inputs.decay, "decay").transpose(1, 2).flatten(0, 1)  # (R P, T)
    weights = chunk_weights(decay, starts, length, chunk, inputs.q)
    within, *others = (x.unflatten(0, (rows, heads)) for x in weights[:4] if x is not None)
    enter, leave, total = (x.permute(0, 2, 3, 1, 4) for x in others)
    return decay, weights, within, enter, leave, total


def _chunks(x: Tensor, chunk: int) -> Tensor:
    """x (R, T, …) as chunks (R, N, C, …), the last one filled up with zeros; a view where nothing is missing."""
    return split(x, chunk) if x.shape[1] % chunk else x.unflatten(1, (-1, chunk))


def _by_head(x: Tensor) -> Tensor:
    """x (R, N, C, P, V) as (R, P, N, C, V)."""
    return x.permute(0, 3, 1, 2, 4).contiguous()
