"""The delta rule with decay, chunk by chunk (Yang, Wang, Zhang et al. 2024; Yang et al. 2025).

S_t = exp(decay_t) (I - beta_t k_tᵀ k_t) S_{t-1} + beta_t k_tᵀ v_t is linear attention over values that are corrected by
the state's present content: S_t = exp(decay_t) S_{t-1} + p_tᵀ w_t with w_t = v_t - exp(decay_t) k_t S_{t-1} and the
key that is written, p_t = beta_t k_t. The w of a chunk solve one unit lower triangular system (the WY form): without
decay, and from an empty state, w_1 = v_1, w_2 = v_2 - (k_2 · p_1) w_1, w_3 = v_3 - (k_3 · p_1) w_1 - (k_3 · p_2) w_2, …

Shapes as in `ops.chunks`. Where no graph is recorded, chunks come before rows, so that each step of the loop over
chunks works in place on adjacent memory.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sightline.core.state import replaced
from sightline.ops.chunked_linear import add_product
from sightline.ops.chunks import (
    ChunkWeights,
    LinearInputs,
    LinearOutputs,
    chunk_weights,
    join,
    log_decay_gradient,
    pair_scores,
    required,
    split,
    times,
    weigh,
)
from sightline.ops.traced import TracedTensors, any_length, traced_scan


class DeltaKept(NamedTuple):
    """TracedTensors that the backward reads beside inputs."""

    states: Tensor  # (N + 1, R, K, V) before each chunk, and after the last
    errors: Tensor  # (N, R, C, V) w
    inverse: Tensor  # (N, R, C, C) of the system's matrix
    factor: Tensor  # (N, R, C, K) W in w = (w without a state before) - W S
    scores: Tensor  # (N, R, C, C) of queries and written keys
    within: Tensor | None = None  # these four, of `Weights`, chunks first, where they are not recomputed
    enter: Tensor | None = None
    leave: Tensor | None = None
    total: Tensor | None = None


def delta_plain(inputs: LinearInputs, chunk: int) -> LinearOutputs:
    """y_t = q_t S_t and the state, by operations that autograd records."""
    length = inputs.q.shape[1]
    weights = chunk_weights(inputs.decay, inputs.starts, length, chunk, inputs.q)
    q, k, v = split(inputs.q, chunk), split(inputs.k, chunk), split(inputs.v, chunk)
    written = k * split(required(inputs.beta, "beta"), chunk).unsqueeze(3)
    inverse = _inverse(pair_scores(k, written, weights).tril(-1))
    alone, factor = inverse @ v, inverse @ times(k, weights.enter)
    leaving = times(written, weights.leave).transpose(-1, -2)
    loop = _chunks_traced if any_length(alone.shape[1]) else _chunks_in_turn
    state, states, errors = loop(alone, factor, leaving, weights.total, inputs.memory)
    y = pair_scores(q, written, weights) @ errors
    y = add_product(y, times(q, weights.enter), states)
    return LinearOutputs(join(y, length), state)


def _chunks_in_turn(
    alone: Tensor, factor: Tensor, leaving: Tensor, total: Tensor | None, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The state after all chunks, the states before each (R, N, K, V), and w (R, N, C, V)."""
    states, errors = [], []
    for n in range(alone.shape[1]):
        states.append(state)
        errors.append(torch.baddbmm(alone[:, n], factor[:, n], state, alpha=-1.0))
        state = torch.baddbmm(times(state, None if total is None else total[:, n]), leaving[:, n], errors[-1])
    return state, torch.stack(states, 1), torch.stack(errors, 1)


def _chunks_traced(
    alone: Tensor, factor: Tensor, leaving: Tensor, total: Tensor | None, state: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """`_chunks_in_turn` for a number of chunks that `torch.export` leaves open."""

    def step(
        carried: TracedTensors, inputs: TracedTensors, constants: TracedTensors
    ) -> tuple[TracedTensors, TracedTensors]:
        (before,), (own, read, write, *decay) = carried, inputs
        error = torch.baddbmm(own, read, before, alpha=-1.0)
        after = torch.baddbmm(times(before, decay[0] if decay else None), write, error)
        return (after,), (before, error)

    inputs = [alone, factor, leaving] if total is None else [alone, factor, leaving, total]
    (last,), (states, errors) = traced_scan(step, [state], inputs)
    return last, states, errors


def delta_forward(inputs: LinearInputs, chunk: int) -> tuple[LinearOutputs, DeltaKept]:
    """`delta_plain` without a graph, y as chunks (R, N, C, V)."""
    weights = _weights(inputs, chunk)
    q, k, v = (_chunks(x, chunk) for x in inputs[:3])
    written = k * _chunks(required(inputs.beta, "beta"), chunk).unsqueeze(3)
    inverse = _inverse(weigh(_product(k, written.mT), weights).tril_(-1))
    reading = inverse if weights.enter is None else inverse * weights.enter.mT
    factor, errors = _product(reading, k), _product(inverse, v)
    leaving = times(written, weights.leave).mT
    states = inputs.memory.new_empty(len(k) + 1, *inputs.memory.shape)
    states[0] = inputs.memory
    steps = zip(errors, factor, leaving, states[:-1], states[1:], strict=True)
    for n, (error, read, write, before, after) in enumerate(steps):
        error.baddbmm_(read, before, alpha=-1.0)
        if weights.total is None:
            torch.baddbmm(before, write, error, out=after)
        else:
            torch.mul(before, weights.total[n], out=after).baddbmm_(write, error)
    scores = weigh(_product(q, written.mT), weights)
    y = _product(scores, errors)
    _add(y, times(q, weights.enter), states[:-1])
    kept = DeltaKept(states, errors, inverse, factor, scores)
    if inputs.starts is None:
        kept = replaced(kept, within=weights.within, enter=weights.enter, leave=weights.leave, total=weights.total)
    return LinearOutputs(y.transpose(0, 1), states[-1]), kept


def delta_backward(
    inputs: LinearInputs, chunk: int, outputs: LinearOutputs, kept: DeltaKept, to: LinearOutputs
) -> LinearInputs:
    """Gradients of the inputs, as chunks (R, N, C, ·), from those of the outputs, `to`."""
    weights = ChunkWeights(kept.within, kept.enter, kept.leave, kept.total)
    weights = weights if inputs.starts is None else _weights(inputs, chunk)
    q, k, to_y = _chunks(inputs.q, chunk), _chunks(inputs.k, chunk), _chunks(to.y, chunk)
    beta = _chunks(required(inputs.beta, "beta"), chunk).unsqueeze(3)
    written, reading = k * beta, times(to_y, weights.enter)
    to_errors = _product(kept.scores.mT, to_y)
    to_states = torch.empty_like(kept.states)  # the gradient before each chunk, and after the last
    torch.bmm(q.mT.flatten(0, 1), reading.flatten(0, 1), out=to_states[:-1].flatten(0, 1))
    to_states[-1] = to.memory
    leaving, factor = times(written, weights.leave), kept.factor.mT
    for n in range(len(k) - 1, -1, -1):
        after, before = to_states[n + 1], to_states[n]
        to_errors[n].baddbmm_(leaving[n], after)
        before = before.add_(after) if weights.total is None else before.addcmul_(after, weights.total[n])
        before.baddbmm_(factor[n], to_errors[n], alpha=-1.0)
    to_v = _product(kept.inverse.mT, to_errors)
    of_scores = weigh(_product(to_y, kept.errors.mT), weights)
    of_system = weigh(_product(to_v, kept.errors.mT), weights).tril_(-1)  # with its sign changed, as `to_read`
    to_q, to_read = _product(of_scores, written), _product(of_system, written)
    _add(to_q, reading, kept.states[:-1].mT)
    _add(to_read, times(to_v, weights.enter), kept.states[:-1].mT)
    to_written = _product(of_scores.mT, q)
    _add(to_written, of_system.mT, k, -1.0)
    _add(to_written, times(kept.errors, weights.leave), to_states[1:].mT)
    to_beta = (k * to_written).sum(3)  # (N, R, C)
    to_decay = None
    if inputs.decay is not None:
        at = (q * to_q).addcmul_(written, to_written, value=-1.0).addcmul_(k, to_read, value=-1.0).sum(3)
        end = (kept.states[1:] * to_states[1:]).sum((2, 3))  # (N, R)
        at, end = at.transpose(0, 1).unsqueeze(3), end.T.unflatten(1, (-1, 1, 1))  # (R, N, C, 1), (R, N, 1, 1)
        to_decay = log_decay_gradient(inputs.decay, weights, at, end, inputs.q.shape[1])
    to_k = to_written.mul_(beta).sub_(to_read)
    to_q, to_k, to_v, to_beta = (part.transpose(0, 1) for part in (to_q, to_k, to_v, to_beta))
    return LinearInputs(to_q, to_k, to_v, to_states[0], None, to_beta, to_decay)


def _weights(inputs: LinearInputs, chunk: int) -> ChunkWeights:
    """The weights of the chunks, chunks before rows."""
    weights = chunk_weights(inputs.decay, inputs.starts, inputs.q.shape[1], chunk, inputs.q)
    within, enter, leave, total = (x if x is None else x.transpose(0, 1) for x in weights[:4])
    return ChunkWeights(within, enter, leave, total, None, weights.stretches)


def _chunks(x: Tensor, chunk: int) -> Tensor:
    """x (R, T, …) as chunks (N, R, C, …), the last one filled up with zeros."""
    if x.shape[1] % chunk:
        return split(x, chunk).transpose(0, 1).contiguous()
    return x.unflatten(1, (-1, chunk)).transpose(0, 1).contiguous()


def _product(left: Tensor, right: Tensor) -> Tensor:
    """left @ right over (N, R)."""
    return torch.bmm(left.flatten(0, 1), right.flatten(0, 1)).unflatten(0, left.shape[:2])


def _add(base: Tensor, left: Tensor, right: Tensor, sign: float = 1.0) -> None:
    """Add sign · left @ right over (N, R), in place."""
    base.flatten(0, 1).baddbmm_(left.flatten(0, 1), right.flatten(0, 1), alpha=sign)


def _inverse(below: Tensor) -> Tensor:
    """(I + below)⁻¹ of strictly lower triangular matrices (…, C, C)."""
    identity = torch.eye(below.shape[3], dtype=below.dtype, device=below.device).expand_as(below)
    return torch.linalg.solve_triangular(below, identity, upper=False, unitriangular=True)
