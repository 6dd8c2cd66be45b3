"""What chunked linear attention is made of: rows cut into chunks, and what decay and documents do inside and between.

A row is one head of one batch entry. Shapes: R rows, N chunks, C positions in a chunk, K key size, V value size.
Every weight is the exponential of a difference of cumulative log-decays that is <= 0, so that none overflows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Inputs(NamedTuple):
    """What linear attention reads, for rows."""

    q: Tensor  # (R, T, K)
    k: Tensor  # (R, T, K)
    v: Tensor  # (R, T, V)
    memory: Tensor  # (R, K, V) the state before
    keys: Tensor | None = None  # (R, K) the sum of keys before, where outputs are normalised
    beta: Tensor | None = None  # (R, T)
    decay: Tensor | None = None  # (R,), (R, T) or (R, T, K)
    starts: Tensor | None = None  # (R, T)

    def cut(self, rows: slice, span: slice, memory: Tensor, keys: Tensor | None) -> Inputs:
        """Some rows over a span of positions, with the state before that span."""
        q, k, v = (x[rows, span] for x in self[:3])
        beta, starts = (x if x is None else x[rows, span] for x in (self.beta, self.starts))
        decay = self.decay
        if decay is not None:
            decay = decay[rows] if decay.dim() == 1 else decay[rows, span]
        return Inputs(q, k, v, memory, keys, beta, decay, starts)


class Outputs(NamedTuple):
    """What it gives, or the gradients of that."""

    y: Tensor  # (R, T, V)
    memory: Tensor  # (R, K, V) the state after
    keys: Tensor | None = None  # (R, K)


class Weights(NamedTuple):
    """What decay and documents do in each chunk; None = nothing. Without `within` and `logs`, only the past counts."""

    within: Tensor | None = None  # (R, N or 1, C, C) of the key at j for the query at i; 0 where j > i
    enter: Tensor | None = None  # (R, N, C, 1 or K) of the state before the chunk, at each position
    leave: Tensor | None = None  # (R, N, C, 1 or K) of each position in the state after the chunk
    total: Tensor | None = None  # (R, N, 1 or K, 1) of the state before in the state after
    logs: Tensor | None = None  # (R, N, C, K) cumulative log-decay, where channels decay differently
    same: Tensor | None = None  # (R, N, C, C) j is not after i and in its document; None = one document
    last: Tensor | None = None  # (R, N, C, 1) in the document that the chunk ends in


def split(x: Tensor, chunk: int) -> Tensor:
    """x (R, T, …) as chunks (R, N, C, …), the last one filled up with zeros."""
    missing = -x.shape[1] % chunk
    if missing:
        x = F.pad(x, (0, 0) * (x.dim() - 2) + (0, missing))
    return x.reshape(x.shape[0], -1, chunk, *x.shape[2:])


def join(x: Tensor, length: int) -> Tensor:
    """Chunks (R, N, C, …) as rows (R, T, …) of `length`."""
    return x.flatten(1, 2)[:, :length]


def chunk_weights(decay: Tensor | None, starts: Tensor | None, length: int, chunk: int, like: Tensor) -> Weights:
    """The weights for rows of `length`; decay (R,), (R, T) or (R, T, K), starts (R, T); dtype and device of `like`.

    Cumulative sums of one number a position are taken in float64, so that strong decays leave small ones exact.
    """
    past = torch.ones(chunk, chunk, dtype=torch.bool, device=like.device).tril()
    same = first = last = None
    if starts is not None:
        document = split(starts, chunk).cumsum(2)  # (R, N, C) counted from 0 = the chunk begins inside it
        same = (document.unsqueeze(3) == document.unsqueeze(2)) & past
        first = (document == 0).unsqueeze(3)
        last = (document == document[:, :, -1:]).unsqueeze(3)
    if decay is None:
        if same is None or first is None or last is None:
            return Weights()
        flags = (flag.to(like.dtype) for flag in (same, first, last, first[:, :, -1:]))
        return Weights(*flags, same=same, last=last)
    logs = _cumulative(decay, length, chunk)  # (R, N, C, 1 or K)
    end = logs[:, :, -1:]
    enter, leave, total = (part.exp().to(like.dtype) for part in (logs, end - logs, end.transpose(2, 3)))
    if same is not None and first is not None and last is not None:
        enter, leave = enter.masked_fill(~first, 0.0), leave.masked_fill(~last, 0.0)
        total = total.masked_fill(~first[:, :, -1:], 0.0)
    if decay.dim() == 3:
        return Weights(None, enter, leave, total, logs, same, last)
    alike = logs[:, :1] if decay.dim() == 1 else logs
    between = (alike - alike.transpose(2, 3)).to(like.dtype)  # (R, N or 1, C, C)
    within = between.masked_fill(~(past if same is None else same), -math.inf).exp()
    return Weights(within, enter, leave, total, None, same, last)


def _cumulative(decay: Tensor, length: int, chunk: int) -> Tensor:
    """Cumulative log-decay from each chunk's first position on, that one included."""
    if decay.dim() == 3:
        return split(decay, chunk).cumsum(2)
    if decay.dim() == 2:
        return split(decay.double(), chunk).cumsum(2).unsqueeze(3)
    real = split(torch.ones(1, length, device=decay.device, dtype=torch.float64), chunk).cumsum(2)
    return (decay.double()[:, None, None] * real).unsqueeze(3)


def log_decay_gradient(decay: Tensor, weights: Weights, at: Tensor, end: Tensor, length: int) -> Tensor:
    """The gradient of `decay` from those of the cumulative sums: `at` (R, N, C, ·) each position, `end` each chunk's.

    A position's decay reaches every later position of its document; sums stay inside documents, so that none leaks.
    """
    chunk = at.shape[2]
    past = torch.ones(chunk, chunk, dtype=at.dtype, device=at.device).tril() if weights.same is None else weights.same
    total = past.to(at.dtype).transpose(-1, -2) @ at  # (R, N, C, ·)
    total = total + (end if weights.last is None else end * weights.last)
    total = total.flatten(1, 2)[:, :length]
    if decay.dim() == 1:
        return total.sum((1, 2)).to(decay.dtype)
    return (total if decay.dim() == 3 else total.squeeze(2)).to(decay.dtype)


def times(x: Tensor, weight: Tensor | None) -> Tensor:
    """x · weight, into a new tensor."""
    return x if weight is None else x * weight


def weigh(scores: Tensor, weights: Weights) -> Tensor:
    """Products of all pairs (R, N, C, C) with each pair's weight. Overwrites `scores` where no graph is recorded."""
    if weights.within is None:
        return scores.tril_()
    return scores * weights.within if torch.is_grad_enabled() else scores.mul_(weights.within)


def pair_scores(q: Tensor, k: Tensor, weights: Weights) -> Tensor:
    """Σ_c q_ic k_jc · (decay of channel c between j and i) for the pairs of each chunk, 0 where j > i (R, N, C, C)."""
    if weights.logs is None:
        return weigh(q @ k.transpose(-1, -2), weights)
    scores = q.new_zeros(*q.shape[:3], q.shape[2])
    scores.diagonal(dim1=2, dim2=3).copy_((q * k).sum(-1))
    for half in _halves(q.shape[2]):
        of_queries, of_keys = _across(weights.logs, half)
        later, earlier = _halved(q, half)[:, :, :, 1], _halved(k, half)[:, :, :, 0]
        block = (later * of_queries) @ (earlier * of_keys).transpose(-1, -2)  # (R, N, M, half, half)
        _blocks(scores, half).copy_(block)
    return scores if weights.same is None else scores.masked_fill(~weights.same, 0.0)


def pair_gradients(gradient: Tensor, q: Tensor, k: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """Gradients of q and k from that of `pair_scores`, which is overwritten."""
    if weights.logs is None:
        gradient = weigh(gradient, weights)
        return gradient @ k, gradient.transpose(-1, -2) @ q
    if weights.same is not None:
        gradient = gradient.masked_fill_(~weights.same, 0.0)
    diagonal = gradient.diagonal(dim1=2, dim2=3).unsqueeze(3)
    to_q, to_k = diagonal * k, diagonal * q
    for half in _halves(q.shape[2]):
        of_queries, of_keys = _across(weights.logs, half)
        later, earlier = _halved(q, half)[:, :, :, 1] * of_queries, _halved(k, half)[:, :, :, 0] * of_keys
        block = _blocks(gradient, half)
        _halved(to_q, half)[:, :, :, 1].addcmul_(block @ earlier, of_queries)
        _halved(to_k, half)[:, :, :, 0].addcmul_(block.transpose(-1, -2) @ later, of_keys)
    return to_q, to_k


def _halves(chunk: int) -> Iterator[int]:
    """1, 2, 4, … below the chunk's length, a power of two: pairs of positions that a boundary of such a block parts.

    Measured from that boundary, a key's decay up to it and a query's decay from it are both <= 1: their product is
    the pair's decay without any quotient, however strong it is.
    """
    half = 1
    while half < chunk:
        yield half
        half *= 2


def _halved(x: Tensor, half: int) -> Tensor:
    """x (R, N, C, K) as (R, N, M, 2, half, K)."""
    return x.unflatten(2, (-1, 2, half))


def _across(logs: Tensor, half: int) -> tuple[Tensor, Tensor]:
    """Decay from each boundary to the queries after it, and to it from the keys before it (R, N, M, half, K)."""
    parted = _halved(logs, half)
    boundary = parted[:, :, :, 0, -1:]
    return (parted[:, :, :, 1] - boundary).exp(), (boundary - parted[:, :, :, 0]).exp()


def _blocks(scores: Tensor, half: int) -> Tensor:
    """The view (R, N, M, half, half) of the pairs that a boundary parts: later half by earlier half."""
    parted = scores.unflatten(3, (-1, 2, half)).unflatten(2, (-1, 2, half))  # (R, N, M, 2, half, M, 2, half)
    return parted[:, :, :, 1, :, :, 0, :].diagonal(dim1=2, dim2=4).movedim(-1, 2)


def carry(
    updates: Tensor, total: Tensor | None, first: Tensor, mix: Tensor | None = None, *, backwards: bool = False
) -> tuple[Tensor, Tensor]:
    """What stands before each chunk (R, N, K, V) and after the last one (R, K, V): S ← total S - mix S + update.

    updates (R, N, K, V); total broadcasts to them; mix (R, N, K, K); first (R, K, V). `backwards` begins at the end.
    """
    chunks = updates.shape[1]
    order = range(chunks - 1, -1, -1) if backwards else range(chunks)
    recording = torch.is_grad_enabled()
    before = [] if recording else torch.empty_like(updates)
    running = first
    for n in order:
        if isinstance(before, list):
            before.append(running)
        else:
            before[:, n] = running
        update = updates[:, n]
        if mix is not None:
            update = torch.baddbmm(update, mix[:, n], running, alpha=-1.0)
        running = update + running if total is None else torch.addcmul(update, running, total[:, n])
    if isinstance(before, list):
        before = torch.stack(before[::-1] if backwards else before, 1)
    return before, running
