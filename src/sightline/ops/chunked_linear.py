"""Linear attention with decay, chunk by chunk (Hua et al. 2022; Sun et al. 2023, eq. 7; Yang et al. 2024, § 3.2, 4.2).

Inside a chunk all pairs are formed, as in softmax attention; what came before the chunk is read from a state. Both are
batched matrix products over rows and chunks. Shapes as in `ops.chunks`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from sightline.ops.chunks import (
    Weights,
    carry,
    chunk_weights,
    log_decay_gradient,
    pair_gradients,
    pair_scores,
    split,
    times,
)

Outputs = tuple[Tensor, Tensor, Tensor | None]  # y (R, T, V), the state (R, K, V) and the sum of keys (R, K)
Given = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor, Tensor | None]


class Saved(NamedTuple):
    """Outputs that the backward reads."""

    y: Tensor | None  # (R, T, V), where normalised
    memory: Tensor  # (R, K, V)
    keys: Tensor | None  # (R, K)


class Kept(NamedTuple):
    """What else it reads."""

    before: Tensor  # (R, N, K, V) states before chunks
    sums: Tensor | None  # (R, N, K, 1) sums of keys before chunks
    inverse: Tensor | None  # (R, N, C, 1) 1 / denominator


def chunked_linear(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    decay: Tensor | None,
    starts: Tensor | None,
    memory: Tensor,
    keys: Tensor | None,
    chunk: int,
) -> Outputs:
    """Outputs and state by operations that autograd records: y_t = q_t S_t, S_t = exp(decay_t) S_{t-1} + k_tᵀ v_t.

    q, k (R, T, K), v (R, T, V), decay None, (R,), (R, T) or (R, T, K), starts (R, T), memory (R, K, V). With `keys`
    (R, K), the decayed sum of keys so far, outputs are divided by q_t · keys_t. `chunk` is a power of two where
    channels decay differently.
    """
    return _run((q, k, v, decay, starts, memory, keys), chunk)[0]


class ChunkedLinear(torch.autograd.Function):
    """`chunked_linear` with its backward written out: it keeps the inputs and one state a chunk."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Outputs:
        *inputs, chunk = given
        (y, memory, keys), kept = _run(tuple(inputs), chunk)
        ctx.chunk = chunk
        ctx.save_for_backward(*inputs, None if keys is None else y, memory, keys, *kept)
        return y, memory, keys

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        given, outputs, kept = ctx.saved_tensors[:7], ctx.saved_tensors[7:10], ctx.saved_tensors[10:]
        if torch.is_grad_enabled():  # the caller wants to differentiate this gradient
            return *again(chunked_linear, given, ctx.chunk, gradients), None
        return *_backward(given, ctx.chunk, Saved(*outputs), Kept(*kept), gradients), None


def again(function: Any, given: tuple[Tensor | None, ...], chunk: int, gradients: Any) -> tuple[Tensor | None, ...]:
    """Gradients of `function(*given, chunk)` that can be differentiated in turn."""
    outputs = function(*given, chunk)
    pairs = [(y, g) for y, g in zip(outputs, gradients, strict=True) if y is not None and y.requires_grad]
    wanted = [x for x in given if x is not None and x.requires_grad]
    found = iter(
        torch.autograd.grad(
            [y for y, _ in pairs], wanted, [g for _, g in pairs], create_graph=True, materialize_grads=True
        )
    )
    return tuple(next(found) if x is not None and x.requires_grad else None for x in given)


def _run(given: Given, chunk: int) -> tuple[Outputs, Kept]:
    q, k, v, decay, starts, memory, keys = given
    length = q.shape[1]
    weights = chunk_weights(decay, starts, length, chunk, q)
    q, k, v = split(q, chunk), split(k, chunk), split(v, chunk)
    scores = pair_scores(q, k, weights)
    entering, leaving = times(q, weights.enter), times(k, weights.leave)
    before, memory = carry(leaving.transpose(-1, -2) @ v, weights.total, memory)
    y = _add_product(scores @ v, entering, before)
    if keys is None:
        return (_joined(y, length), memory, None), Kept(before, None, None)
    sums, keys = carry(leaving.sum(2).unsqueeze(3), weights.total, keys.unsqueeze(2))
    inverse = reciprocal(scores.sum(3, keepdim=True) + entering @ sums)  # (R, N, C, 1)
    y = y * inverse if torch.is_grad_enabled() else y.mul_(inverse)
    return (_joined(y, length), memory, keys.squeeze(2)), Kept(before, sums, inverse)


def _add_product(base: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """base + left @ right over (R, N), in place where no graph is recorded."""
    if torch.is_grad_enabled():
        return base + left @ right
    base.flatten(0, 1).baddbmm_(left.flatten(0, 1), right.flatten(0, 1))
    return base


def _joined(y: Tensor, length: int) -> Tensor:
    return y.flatten(1, 2)[:, :length]


def reciprocal(x: Tensor) -> Tensor:
    """1 / x, and 0 with gradient 0 where x is 0."""
    zero = x == 0
    return x.masked_fill(zero, 1.0).reciprocal().masked_fill(zero, 0.0)


def _backward(
    given: Given, chunk: int, outputs: Saved, kept: Kept, gradients: tuple[Tensor, Tensor, Tensor | None]
) -> tuple[Tensor | None, ...]:
    q, k, v, decay, starts, _, _ = given
    length = q.shape[1]
    to_y, to_memory, to_keys = gradients
    weights = chunk_weights(decay, starts, length, chunk, q)
    q, k, v, to_y = split(q, chunk), split(k, chunk), split(v, chunk), split(to_y, chunk)
    to_scale = None
    if kept.inverse is not None and outputs.y is not None:
        to_y = to_y * kept.inverse
        to_scale = -(to_y * split(outputs.y, chunk)).sum(3, keepdim=True)  # (R, N, C, 1) of the denominator
    entering, leaving = times(q, weights.enter), times(k, weights.leave)
    after, to_first = carry(entering.transpose(-1, -2) @ to_y, weights.total, to_memory, backwards=True)
    to_v = _add_product(pair_scores(q, k, weights).transpose(-1, -2) @ to_y, leaving, after)
    to_scores = to_y @ v.transpose(-1, -2)
    to_entering, to_leaving = to_y @ kept.before.transpose(-1, -2), v @ after.transpose(-1, -2)
    end = None if decay is None else end_products(kept.before, outputs.memory, after)
    to_sum = None
    if to_scale is not None and kept.sums is not None and to_keys is not None and outputs.keys is not None:
        to_scores += to_scale
        to_entering.addcmul_(to_scale, kept.sums.transpose(-1, -2))
        updates = entering.transpose(-1, -2) @ to_scale
        sums_after, to_sum = carry(updates, weights.total, to_keys.unsqueeze(2), backwards=True)
        to_leaving += sums_after.transpose(-1, -2)
        to_sum = to_sum.squeeze(2)
        if end is not None:
            end += end_products(kept.sums, outputs.keys.unsqueeze(2), sums_after)
    to_q, to_k = pair_gradients(to_scores, q, k, weights)
    to_q, to_k = add_weighted(to_q, to_entering, weights.enter), add_weighted(to_k, to_leaving, weights.leave)
    to_decay = None
    if decay is not None and end is not None:
        to_decay = decay_gradient(decay, weights, q * to_q - k * to_k, end, length)
    joined = (_joined(part, length) for part in (to_q, to_k, to_v))
    return *joined, to_decay, None, to_first, to_sum


def decay_gradient(decay: Tensor, weights: Weights, at: Tensor, end: Tensor, length: int) -> Tensor:
    """The gradient of `decay` from `at` (R, N, C, K) and `end` (R, N, K), those of its cumulative sums by channel."""
    end = end.unsqueeze(2)
    if decay.dim() < 3:
        at, end = at.sum(3, keepdim=True), end.sum(3, keepdim=True)
    return log_decay_gradient(decay, weights, at, end, length)


def end_products(before: Tensor, final: Tensor, after: Tensor) -> Tensor:
    """Σ_v S ∘ dS (R, N, K) of the states after each chunk, from those before, the final one, and gradients `after`."""
    return (torch.cat([before[:, 1:], final.unsqueeze(1)], 1) * after).sum(3)


def add_weighted(base: Tensor, x: Tensor, weight: Tensor | None) -> Tensor:
    """base + x · weight, in place."""
    return base.add_(x) if weight is None else base.addcmul_(x, weight)
