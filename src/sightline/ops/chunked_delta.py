"""The delta rule with decay, chunk by chunk (Yang, Wang, Zhang et al. 2024, eqs. 8-11; Yang et al. 2025, § 3.3).

S_t = exp(decay_t) (I - beta_t k_tᵀ k_t) S_{t-1} + beta_t k_tᵀ v_t is linear attention over values that are corrected by
what the state already holds: S_t = exp(decay_t) S_{t-1} + k_tᵀ u_t with u_t = beta_t (v_t - exp(decay_t) k_t S_{t-1}).
The u of a chunk solve one unit lower triangular system (the WY form). Shapes as in `ops.chunks`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from sightline.ops.chunked_linear import add_weighted, again, decay_gradient, end_products
from sightline.ops.chunks import Weights, carry, chunk_weights, pair_gradients, pair_scores, split, times

Given = tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor]


def chunked_delta(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    decay: Tensor | None,
    starts: Tensor | None,
    memory: Tensor,
    chunk: int,
) -> tuple[Tensor, Tensor]:
    """Outputs y_t = q_t S_t (R, T, V) and the state (R, K, V), by operations that autograd records.

    q, k (R, T, K), v (R, T, V), beta (R, T), decay None, (R,) or (R, T), starts (R, T), memory (R, K, V).
    """
    return _run((q, k, v, beta, decay, starts, memory), chunk)[0]


class ChunkedDelta(torch.autograd.Function):
    """`chunked_delta` with its backward written out: it keeps the inputs, u, its factor and one state a chunk."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, Tensor]:
        *inputs, chunk = given
        (y, memory), kept = _run(tuple(inputs), chunk)
        ctx.chunk = chunk
        ctx.save_for_backward(*inputs, memory, *kept)
        return y, memory

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        given, (memory, *kept) = ctx.saved_tensors[:7], ctx.saved_tensors[7:]
        if torch.is_grad_enabled():  # the caller wants to differentiate this gradient
            return *again(chunked_delta, given, ctx.chunk, gradients), None
        return *_backward(given, ctx.chunk, memory, _Kept(*kept), gradients), None


class _Kept(NamedTuple):
    before: Tensor  # (R, N, K, V) the states before the chunks
    corrected: Tensor  # (R, N, C, V) u
    factor: Tensor  # (R, N, C, K) W: u = its part without a state before - W S


def _system(k: Tensor, beta: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """k_i k_jᵀ · (decay between) for j < i, and beta_i times that: I + the second is the system (R, N, C, C)."""
    products = pair_scores(k, k, weights).tril(-1)
    return products, beta * products


def _run(given: Given, chunk: int) -> tuple[tuple[Tensor, Tensor], _Kept]:
    q, k, v, beta, decay, starts, memory = given
    length = q.shape[1]
    weights = chunk_weights(decay, starts, length, chunk, q)
    q, k, v, beta = split(q, chunk), split(k, chunk), split(v, chunk), split(beta, chunk).unsqueeze(3)
    right = torch.cat([beta * v, beta * times(k, weights.enter)], 3)
    solved = torch.linalg.solve_triangular(_system(k, beta, weights)[1], right, upper=False, unitriangular=True)
    alone, factor = solved.split([v.shape[3], k.shape[3]], 3)
    leaving = times(k, weights.leave).transpose(-1, -2)
    before, memory = carry(leaving @ alone, weights.total, memory, leaving @ factor)
    corrected = alone - factor @ before
    y = pair_scores(q, k, weights) @ corrected + times(q, weights.enter) @ before
    return (y.flatten(1, 2)[:, :length], memory), _Kept(before, corrected, factor)


def _backward(
    given: Given, chunk: int, memory: Tensor, kept: _Kept, gradients: tuple[Tensor, Tensor]
) -> tuple[Tensor | None, ...]:
    q, k, v, beta, decay, starts, _ = given
    length = q.shape[1]
    before, corrected, factor = kept
    to_y, to_memory = split(gradients[0], chunk), gradients[1]
    weights = chunk_weights(decay, starts, length, chunk, q)
    q, k, v, beta = split(q, chunk), split(k, chunk), split(v, chunk), split(beta, chunk).unsqueeze(3)
    reading, leaving = times(k, weights.enter), times(k, weights.leave)
    to_corrected = pair_scores(q, k, weights).transpose(-1, -2) @ to_y
    updates = times(q, weights.enter).transpose(-1, -2) @ to_y - factor.transpose(-1, -2) @ to_corrected
    after, to_first = carry(updates, weights.total, to_memory, factor.transpose(-1, -2) @ leaving, backwards=True)
    to_corrected += leaving @ after
    products, system = _system(k, beta, weights)
    to_right = torch.linalg.solve_triangular(
        system.transpose(-1, -2), to_corrected, upper=True, unitriangular=True
    )  # (R, N, C, V) of beta (v - reading S)
    to_system = (to_right @ corrected.transpose(-1, -2)).neg_().tril_(-1)
    to_beta = (to_right * (v - reading @ before)).sum(3) + (to_system * products).sum(3)
    to_values = beta * to_right
    into_state = before.transpose(-1, -2)
    to_q, to_written = pair_gradients(to_y @ corrected.transpose(-1, -2), q, k, weights)
    to_read, of_system = pair_gradients(to_system * beta, k, k, weights)
    to_q = add_weighted(to_q, to_y @ into_state, weights.enter)
    to_read = add_weighted(to_read, (to_values @ into_state).neg_(), weights.enter)
    to_written = add_weighted(to_written.add_(of_system), corrected @ after.transpose(-1, -2), weights.leave)
    to_decay = None
    if decay is not None:
        at = q * to_q + k * (to_read - to_written)
        to_decay = decay_gradient(decay, weights, at, end_products(before, memory, after), length)
    joined = (part.flatten(1, 2)[:, :length] for part in (to_q, to_read.add_(to_written), to_values, to_beta))
    return *joined, to_decay, None, to_first
