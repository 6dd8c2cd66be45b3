"""The delta rule with decay, chunk by chunk (Yang, Wang, Zhang et al. 2024, § 3; Yang et al. 2025, § 3.3).

S_t = exp(decay_t) (I - beta_t k_tᵀ k_t) S_{t-1} + beta_t k_tᵀ v_t is linear attention over values that are corrected by
what the state already holds: S_t = exp(decay_t) S_{t-1} + k_tᵀ u_t with u_t = beta_t (v_t - exp(decay_t) k_t S_{t-1}).
The u of a chunk solve one unit lower triangular system (the WY form). Shapes as in `ops.chunks`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sightline.ops.chunked_linear import add_product, add_weighted, decay_gradient, end_products
from sightline.ops.chunks import (
    Inputs,
    Outputs,
    Weights,
    carry,
    chunk_weights,
    join,
    pair_gradients,
    pair_scores,
    split,
    times,
)


class DeltaKept(NamedTuple):
    """What the backward reads beside inputs and outputs."""

    before: Tensor  # (R, N, K, V) the states before the chunks
    corrected: Tensor  # (R, N, C, V) u
    factor: Tensor  # (R, N, C, K) W in u = (u without a state before) - W S


def delta_forward(given: Inputs, chunk: int) -> tuple[Outputs, DeltaKept]:
    """y_t = q_t S_t and the state, by operations that autograd records."""
    length = given.q.shape[1]
    weights = chunk_weights(given.decay, given.starts, length, chunk, given.q)
    q, k, v = split(given.q, chunk), split(given.k, chunk), split(given.v, chunk)
    beta = _of_beta(given, chunk)
    right = torch.cat([beta * v, beta * times(k, weights.enter)], 3)
    solved = torch.linalg.solve_triangular(_system(k, beta, weights)[1], right, upper=False, unitriangular=True)
    alone, factor = solved.split([v.shape[3], k.shape[3]], 3)
    leaving = times(k, weights.leave).transpose(-1, -2)
    before, memory = carry(leaving @ alone, weights.total, given.memory, leaving @ factor)
    corrected = alone - factor @ before
    y = add_product(pair_scores(q, k, weights) @ corrected, times(q, weights.enter), before)
    return Outputs(join(y, length), memory), DeltaKept(before, corrected, factor)


def delta_backward(given: Inputs, chunk: int, outputs: Outputs, kept: DeltaKept, to: Outputs) -> Inputs:
    """Gradients of the inputs from those of the outputs, `to`."""
    length = given.q.shape[1]
    before, corrected, factor = kept
    weights = chunk_weights(given.decay, given.starts, length, chunk, given.q)
    q, k, v, to_y = split(given.q, chunk), split(given.k, chunk), split(given.v, chunk), split(to.y, chunk)
    beta = _of_beta(given, chunk)
    reading, leaving = times(k, weights.enter), times(k, weights.leave)
    to_corrected = pair_scores(q, k, weights).transpose(-1, -2) @ to_y
    factor = factor.transpose(-1, -2)
    updates = times(q, weights.enter).transpose(-1, -2) @ to_y - factor @ to_corrected
    after, to_memory = carry(updates, weights.total, to.memory, factor @ leaving, backwards=True)
    to_corrected = add_product(to_corrected, leaving, after)
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
    if given.decay is not None:
        at = q * to_q + k * (to_read - to_written)
        to_decay = decay_gradient(given.decay, weights, at, end_products(before, outputs.memory, after), length)
    to_q, to_k, to_v, to_beta = (join(part, length) for part in (to_q, to_read.add_(to_written), to_values, to_beta))
    return Inputs(to_q, to_k, to_v, to_memory, None, to_beta, to_decay)


def _of_beta(given: Inputs, chunk: int) -> Tensor:
    """beta (R, N, C, 1)."""
    if given.beta is None:
        raise ValueError("the delta rule needs beta")
    return split(given.beta, chunk).unsqueeze(3)


def _system(k: Tensor, beta: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """k_i k_jᵀ · (decay between) for j < i, and beta_i times that: I + the second is the system (R, N, C, C)."""
    products = pair_scores(k, k, weights).tril(-1)
    return products, beta * products
