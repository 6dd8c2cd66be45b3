"""Linear attention with decay, chunk by chunk (Hua et al. 2022; Sun et al. 2023; Yang et al. 2024).

Inside a chunk all pairs are formed, as in softmax attention; earlier chunks are read from a state. Both are batched
matrix products over rows and chunks. Shapes and the weights of pairs as in `ops.chunks`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sightline.core.shapes import Elementwise, Float
from sightline.core.transforms import in_place
from sightline.ops.chunk_states import carry
from sightline.ops.chunks import (
    ChunkKeys,
    ChunkStates,
    ChunkValues,
    ChunkWeight,
    ChunkWeights,
    LinearInputs,
    LinearOutputs,
    RowDecay,
    chunk_weights,
    join,
    leaving_keys,
    log_decay_gradient,
    pair_gradients,
    pair_scores,
    scaled,
    split,
    times,
)

ChunkEnds = Float[Tensor, "R N K"]
KeyStates = Float[Tensor, "R N *keys V"]
FinalState = Float[Tensor, "R *keys V"]
EndProducts = Float[Tensor, "R N *keys"]


class LinearKept(NamedTuple):
    """Tensors that the backward reads beside inputs and outputs."""

    before: Tensor  # (R, N, K, V) states before chunks
    sums: Tensor | None  # (R, N, K, 1) sums of keys before chunks
    inverse: Tensor | None  # (R, N, C, 1) 1 / denominator


def linear_forward(inputs: LinearInputs, chunk: int) -> tuple[LinearOutputs, LinearKept]:
    """y_t = q_t S_t with S_t = exp(decay_t) S_{t-1} + k_tᵀ v_t, by operations that autograd records.

    With `keys`, outputs are divided by q_t · keys_t. `chunk` is a power of two where channels decay differently.
    """
    length = inputs.q.shape[1]
    weights = chunk_weights(inputs.decay, inputs.starts, length, chunk, inputs.q)
    q, k, v = split(inputs.q, chunk), split(inputs.k, chunk), split(inputs.v, chunk)
    q, k = scaled(q, k, weights)
    scores = pair_scores(q, k, weights)
    entering, leaving = times(q, weights.enter), leaving_keys(k, weights)
    before, memory = carry(leaving.transpose(-1, -2) @ v, weights.total, inputs.memory)
    y = add_product(scores @ v, entering, before)
    if inputs.keys is None:
        return LinearOutputs(join(y, length), memory), LinearKept(before, None, None)
    sums, keys = carry(leaving.sum(2).unsqueeze(3), weights.total, inputs.keys.unsqueeze(2))
    inverse = reciprocal(scores.sum(3, keepdim=True) + entering @ sums)  # (R, N, C, 1)
    y = y.mul_(inverse) if in_place() else y * inverse
    return LinearOutputs(join(y, length), memory, keys.squeeze(2)), LinearKept(before, sums, inverse)


def linear_backward(
    inputs: LinearInputs, chunk: int, outputs: LinearOutputs, kept: LinearKept, to: LinearOutputs
) -> LinearInputs:
    """Gradients of the inputs from those of the outputs, `to`."""
    length = inputs.q.shape[1]
    weights = chunk_weights(inputs.decay, inputs.starts, length, chunk, inputs.q)
    q, k, v, to_y = split(inputs.q, chunk), split(inputs.k, chunk), split(inputs.v, chunk), split(to.y, chunk)
    q, k = scaled(q, k, weights)
    to_scale = None
    if kept.inverse is not None:
        to_y = to_y * kept.inverse
        to_scale = -(to_y * split(outputs.y, chunk)).sum(3, keepdim=True)  # (R, N, C, 1) of the denominator
    entering, leaving = times(q, weights.enter), times(k, weights.leave)
    after, to_memory = carry(entering.transpose(-1, -2) @ to_y, weights.total, to.memory, backwards=True)
    to_v = add_product(pair_scores(q, k, weights).transpose(-1, -2) @ to_y, leaving, after)
    to_scores = to_y @ v.transpose(-1, -2)
    to_entering, to_leaving = to_y @ kept.before.transpose(-1, -2), v @ after.transpose(-1, -2)
    end = None if inputs.decay is None else end_products(kept.before, outputs.memory, after)  # (R, N, K)
    to_keys = None
    if to_scale is not None and kept.sums is not None and to.keys is not None and outputs.keys is not None:
        to_scores += to_scale
        to_entering.addcmul_(to_scale, kept.sums.transpose(-1, -2))
        updates = entering.transpose(-1, -2) @ to_scale
        sums_after, to_keys = carry(updates, weights.total, to.keys.unsqueeze(2), backwards=True)
        to_leaving += sums_after.transpose(-1, -2)
        to_keys = to_keys.squeeze(2)
        if end is not None:
            end += end_products(kept.sums, outputs.keys.unsqueeze(2), sums_after)
    to_q, to_k = pair_gradients(to_scores, q, k, weights)
    to_q, to_k = add_weighted(to_q, to_entering, weights.enter), add_weighted(to_k, to_leaving, weights.leave)
    to_decay = None
    if inputs.decay is not None and end is not None:
        to_decay = decay_gradient(inputs.decay, weights, (q * to_q).addcmul_(k, to_k, value=-1.0), end, length)
    to_q, to_k = scaled(to_q, to_k, weights)
    to_q, to_k, to_v = (join(part, length) for part in (to_q, to_k, to_v))
    return LinearInputs(to_q, to_k, to_v, to_memory, to_keys, None, to_decay)


def add_product(base: ChunkValues, left: ChunkKeys, right: ChunkStates) -> ChunkValues:
    """base + left @ right over (R, N), in place where no graph is recorded."""
    if not in_place():
        return base + left @ right
    base.flatten(0, 1).baddbmm_(left.flatten(0, 1), right.flatten(0, 1))
    return base


def reciprocal(x: Elementwise) -> Elementwise:
    """1 / x, and 0 with gradient 0 where x is 0, or subnormal, of which the inverse may be infinite."""
    zero = x.abs() < torch.finfo(x.dtype).tiny
    return x.masked_fill(zero, 1.0).reciprocal().masked_fill(zero, 0.0)


def decay_gradient(decay: RowDecay, weights: ChunkWeights, at: ChunkKeys, end: ChunkEnds, length: int) -> RowDecay:
    """The gradient of `decay` from `at` (R, N, C, K) and `end` (R, N, K), those of its cumulative sums by channel."""
    end = end.unsqueeze(2)
    if decay.dim() < 3:
        at, end = at.sum(3, keepdim=True), end.sum(3, keepdim=True)
    return log_decay_gradient(decay, weights, at, end, length)


def end_products(before: KeyStates, final: FinalState, after: KeyStates) -> EndProducts:
    """Σ_v S ∘ dS (R, N, K) of the states after each chunk, from those before, the final one, and gradients `after`."""
    inner, last = (before[:, 1:] * after[:, :-1]).sum(-1), (final * after[:, -1]).sum(-1)
    return torch.cat([inner, last.unsqueeze(1)], 1)


def add_weighted(base: ChunkKeys, x: ChunkKeys, weight: ChunkWeight | None) -> ChunkKeys:
    """base + x · weight, in place."""
    return base.add_(x) if weight is None else base.addcmul_(x, weight)
