"""The delta rule with decay, chunk by chunk (Yang, Wang, Zhang et al. 2024, § 3; Yang et al. 2025, § 3.3).

S_t = exp(decay_t) (I - beta_t k_tᵀ k_t) S_{t-1} + beta_t k_tᵀ v_t is linear attention over values that are corrected by
what the state already holds: S_t = exp(decay_t) S_{t-1} + k_tᵀ beta_t w_t with w_t = v_t - exp(decay_t) k_t S_{t-1}.
The w of a chunk solve one unit lower triangular system (the WY form). Shapes as in `ops.chunks`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sightline.ops.chunked_linear import add_product, add_weighted, decay_gradient, end_products
from sightline.ops.chunks import Inputs, Outputs, chunk_weights, join, pair_gradients, pair_scores, split, times


class DeltaKept(NamedTuple):
    """What the backward reads beside inputs and outputs."""

    before: Tensor  # (R, N, K, V) the states before the chunks
    errors: Tensor  # (R, N, C, V) w
    products: Tensor  # (R, N, C, C) P in w_i + Σ_j P_ij beta_j w_j = v_i - (reading of the state before the chunk)_i
    inverse: Tensor  # (R, N, C, C) of that system
    factor: Tensor  # (R, N, C, K) W in w = (w without a state before) - W S


def delta_forward(given: Inputs, chunk: int) -> tuple[Outputs, DeltaKept]:
    """y_t = q_t S_t and the state, by operations that autograd records."""
    length = given.q.shape[1]
    weights = chunk_weights(given.decay, given.starts, length, chunk, given.q)
    q, k, v, beta = split(given.q, chunk), split(given.k, chunk), split(given.v, chunk), _of_beta(given, chunk)
    products = _below(pair_scores(k, k, weights))
    inverse = _inverse(products * beta.transpose(2, 3))
    factor = inverse @ times(k, weights.enter)
    leaving = (times(k, weights.leave) * beta).transpose(-1, -2)
    before, errors, memory = _carry(inverse @ v, factor, leaving, weights.total, given.memory)
    scores = pair_scores(q, k, weights) * beta.transpose(2, 3)
    y = add_product(scores @ errors, times(q, weights.enter), before)
    return Outputs(join(y, length), memory), DeltaKept(before, errors, products, inverse, factor)


def delta_backward(given: Inputs, chunk: int, outputs: Outputs, kept: DeltaKept, to: Outputs) -> Inputs:
    """Gradients of the inputs from those of the outputs, `to`."""
    length = given.q.shape[1]
    weights = chunk_weights(given.decay, given.starts, length, chunk, given.q)
    q, k, to_y, beta = split(given.q, chunk), split(given.k, chunk), split(to.y, chunk), _of_beta(given, chunk)
    leaving, into_state = times(k, weights.leave), kept.before.transpose(-1, -2)
    local = pair_scores(q, k, weights).transpose(-1, -2) @ to_y
    updates = times(q, weights.enter).transpose(-1, -2) @ to_y
    after, to_written_values, to_memory = _carry_back(
        local, updates, (kept.factor * beta).transpose(-1, -2), leaving, weights.total, to.memory
    )
    to_v = kept.inverse.transpose(-1, -2) @ (to_written_values * beta)
    corrected = kept.errors * beta
    to_products = (to_v @ corrected.transpose(-1, -2)).neg_().tril_(-1)
    to_written_values.flatten(0, 1).baddbmm_(
        kept.products.flatten(0, 1).transpose(1, 2), to_v.flatten(0, 1), alpha=-1.0
    )
    to_beta = (to_written_values * kept.errors).sum(3)
    to_q, to_written = pair_gradients(to_y @ corrected.transpose(-1, -2), q, k, weights)
    to_read, of_products = pair_gradients(to_products, k, k, weights)
    to_q = add_weighted(to_q, to_y @ into_state, weights.enter)
    to_read = add_weighted(to_read, (to_v @ into_state).neg_(), weights.enter)
    to_written = add_weighted(to_written.add_(of_products), corrected @ after.transpose(-1, -2), weights.leave)
    to_decay = None
    if given.decay is not None:
        at = (q * to_q).addcmul_(k, to_read).addcmul_(k, to_written, value=-1.0)
        to_decay = decay_gradient(given.decay, weights, at, end_products(kept.before, outputs.memory, after), length)
    to_q, to_k, to_v, to_beta = (join(part, length) for part in (to_q, to_read.add_(to_written), to_v, to_beta))
    return Inputs(to_q, to_k, to_v, to_memory, None, to_beta, to_decay)


def _of_beta(given: Inputs, chunk: int) -> Tensor:
    """beta (R, N, C, 1)."""
    if given.beta is None:
        raise ValueError("the delta rule needs beta")
    return split(given.beta, chunk).unsqueeze(3)


def _below(scores: Tensor) -> Tensor:
    """What stands below the diagonal, 0 elsewhere. Overwrites `scores` where no graph is recorded."""
    return scores.tril(-1) if torch.is_grad_enabled() else scores.tril_(-1)


def _inverse(below: Tensor) -> Tensor:
    """(I + below)⁻¹ of strictly lower triangular matrices (R, N, C, C)."""
    identity = torch.eye(below.shape[3], dtype=below.dtype, device=below.device).expand_as(below)
    return torch.linalg.solve_triangular(below, identity, upper=False, unitriangular=True)


def _carry(
    alone: Tensor, factor: Tensor, leaving: Tensor, total: Tensor | None, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """States before each chunk, its w = alone - factor S, and the last state: S ← total S + leaving w."""
    states, errors = [], []
    for n in range(alone.shape[1]):
        states.append(state)
        errors.append(torch.baddbmm(alone[:, n], factor[:, n], state, alpha=-1.0))
        state = _onward(state, total, n, leaving[:, n], errors[-1], 1.0)
    return torch.stack(states, 1), torch.stack(errors, 1), state


def _carry_back(
    local: Tensor, updates: Tensor, factor: Tensor, leaving: Tensor, total: Tensor | None, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients dS after each chunk, of its beta w, local + leaving dS, and of the state before the first one."""
    after, found = [], []
    for n in range(local.shape[1] - 1, -1, -1):
        after.append(state)
        found.append(torch.baddbmm(local[:, n], leaving[:, n], state))
        state = _onward(state, total, n, factor[:, n], found[-1], -1.0).add_(updates[:, n])
    return torch.stack(after[::-1], 1), torch.stack(found[::-1], 1), state


def _onward(state: Tensor, total: Tensor | None, n: int, left: Tensor, right: Tensor, sign: float) -> Tensor:
    """total S + sign · left right, a new tensor."""
    return torch.baddbmm(state if total is None else state * total[:, n], left, right, alpha=sign)
