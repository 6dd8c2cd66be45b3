"""What chunked linear attention is made of: rows cut into chunks, and what decay and documents do inside and between.

A row is one head of one batch entry. Shapes: R rows, N chunks, C positions in a chunk, K key size, V value size.
A pair's weight is a product of decay factors, the exponential of a difference <= 0 of their logarithms or, while no
channel of a chunk has decayed below exp(-`RANGE`), the quotient of two products: none overflows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

RANGE = 40.0  # of log-decays whose exponentials may be divided by: exp(40) = 2e17 is far from overflow


class Inputs(NamedTuple):
    """What linear attention reads, for rows; where P heads share queries and keys a row is such a group."""

    q: Tensor  # (R, T, K)
    k: Tensor  # (R, T, K)
    v: Tensor  # (R, T, V), shared (R, T, P, V)
    memory: Tensor  # (R, K, V) the state before, shared (R, K, P, V)
    keys: Tensor | None = None  # (R, K) the sum of keys before, where outputs are normalised
    beta: Tensor | None = None  # (R, T)
    decay: Tensor | None = None  # (R,), (R, T) or (R, T, K), shared (R, T, P)
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

    y: Tensor  # as v
    memory: Tensor  # (R, K, V) the state after, shared (R, K, P, V)
    keys: Tensor | None = None  # (R, K)


# Of blocks of 1, 2, 4, … positions, M pairs of neighbours in a chunk: decay from the first position of the later block
# to each of its positions, and after each position of the earlier block to its end, both (R, N, M, size, K).
Levels = list[tuple[Tensor, Tensor]]


class Scale(NamedTuple):
    """Decay of each position from the chunk's beginning, and its inverse: their products are the decay in between."""

    shrink: Tensor  # (R, N, C, K) the position's own decay included
    grow: Tensor  # (R, N, C, K)


class Stretches(NamedTuple):
    """Where the documents of a chunk stand."""

    same: Tensor  # (R, N, C, C) j is not after i and in its document
    first: Tensor  # (R, N, C, 1) in the document that goes on from before the chunk
    last: Tensor  # (R, N, C, 1) in the document that the chunk ends in


class Weights(NamedTuple):
    """What decay and documents do in each chunk; None = nothing. Without `within` and `levels` all past keys count.

    With `scale` the others are meant for queries times `scale.shrink` and keys times `scale.grow`.
    """

    within: Tensor | None = None  # (R, N or 1, C, C) of the key at j for the query at i; 0 where j > i
    enter: Tensor | None = None  # (R, N, C, 1 or K) of the state before the chunk, at each position
    leave: Tensor | None = None  # (R, N, C, 1 or K) of each position in the state after the chunk
    total: Tensor | None = None  # (R, N, 1 or K, 1) of the state before in the state after
    levels: Levels | None = None  # where channels decay differently
    stretches: Stretches | None = None  # None = one document
    scale: Scale | None = None
    reach: tuple[Scale, Tensor] | None = None  # (R, N, C, 1) the positions whose pairs are weighed by that scale


def split(x: Tensor, chunk: int) -> Tensor:
    """x (R, T, …) as chunks (R, N, C, …), the last one filled up with zeros."""
    missing = -x.shape[1] % chunk
    if missing:
        x = F.pad(x, (0, 0) * (x.dim() - 2) + (0, missing))
    return x.reshape(x.shape[0], -1, chunk, *x.shape[2:]).contiguous()


def join(x: Tensor, length: int) -> Tensor:
    """Chunks (R, N, C, …) as rows (R, T, …) of `length`."""
    return x.flatten(1, 2)[:, :length]


def chunk_weights(decay: Tensor | None, starts: Tensor | None, length: int, chunk: int, like: Tensor) -> Weights:
    """The weights for rows of `length`; decay (R,), (R, T) or (R, T, K), starts (R, T); dtype and device of `like`.

    Cumulative sums of one number a position are taken in float64, so that strong decays leave small ones exact, and to
    base 2: on the CPU `exp2` costs a third of what `exp` does, and a twentieth where results vanish.
    """
    stretches = None if starts is None else _stretches(split(starts, chunk))
    if decay is None:
        return Weights() if stretches is None else _undecayed(stretches, like.dtype)
    if decay.dim() == 3:
        return _channel_weights(split(decay, chunk).exp(), stretches)
    logs = _cumulative(decay, length, chunk)  # (R, N, C, 1)
    end = logs[:, :, -1:]
    enter, leave, total = (part.exp2().to(like.dtype) for part in (logs, end - logs, end))
    alike = logs[:, :1] if decay.dim() == 1 else logs
    between = (alike - alike.transpose(2, 3)).to(like.dtype)  # (R, N or 1, C, C)
    if stretches is None:
        between = between + between.new_full((chunk, chunk), -math.inf).triu_(1)
    else:
        between = between.masked_fill(~stretches.same, -math.inf)
    within = between.exp2_()
    return _parted(Weights(within, enter, leave, total, None, stretches))


def _past(chunk: int, like: Tensor) -> Tensor:
    return torch.ones(chunk, chunk, dtype=torch.bool, device=like.device).tril()


def _stretches(starts: Tensor) -> Stretches:
    """Of starts (R, N, C)."""
    document = starts.cumsum(2)  # counted from 0 = the chunk begins inside it
    same = (document.unsqueeze(3) == document.unsqueeze(2)) & _past(starts.shape[2], starts)
    return Stretches(same, (document == 0).unsqueeze(3), (document == document[:, :, -1:]).unsqueeze(3))


def _undecayed(stretches: Stretches, dtype: torch.dtype) -> Weights:
    within, enter, leave = (flag.to(dtype) for flag in stretches)
    return Weights(within, enter, leave, enter[:, :, -1:], None, stretches)


def _parted(weights: Weights) -> Weights:
    """Those of one document with the limits of `weights.stretches`."""
    enter, leave, total, stretches = weights.enter, weights.leave, weights.total, weights.stretches
    if stretches is None or enter is None or leave is None or total is None:
        return weights
    return weights._replace(
        enter=enter.masked_fill(~stretches.first, 0.0),
        leave=leave.masked_fill(~stretches.last, 0.0),
        total=total.masked_fill(~stretches.first[:, :, -1:], 0.0),
    )


def _channel_weights(factors: Tensor, stretches: Stretches | None) -> Weights:
    """The weights of decay factors (R, N, C, K).

    Quotients are for positions that they reach in range, whatever comes after those: the past stays bit by bit the
    same. Where a graph is recorded or compiled no choice may depend on values.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return _level_weights(factors, stretches)
    least = math.exp(-RANGE)
    shrink = _products(factors.clone())
    total = shrink[:, :, -1:]
    if total.min() < least:
        scale = Scale(shrink, shrink.clamp(min=least).reciprocal())
        return _level_weights(factors, stretches)._replace(reach=(scale, shrink.amin(3, keepdim=True) >= least))
    scale, whole = Scale(shrink, shrink.reciprocal()), total.transpose(2, 3)
    if stretches is None:
        return Weights(None, None, total, whole, None, None, scale)
    within, enter, leave = (flag.to(factors.dtype) for flag in stretches)
    return Weights(within, enter, leave * total, whole * enter[:, :, -1:], None, stretches, scale)


def _level_weights(factors: Tensor, stretches: Stretches | None) -> Weights:
    enter, leave, levels = _by_channel(factors)
    return _parted(Weights(None, enter, leave, enter[:, :, -1:].transpose(2, 3), levels, stretches))


def _products(factors: Tensor) -> Tensor:
    """Cumulative products along axis 2, a power of two long, in place: neighbouring blocks become one, again and again.

    Quotients of two of them lose what their common factors lost: they are as exact as the products in between.
    """
    for half in _halves(factors.shape[2]):
        blocks = _halved(factors, half)
        blocks[:, :, :, 1] *= blocks[:, :, :, 0, -1:]
    return factors


def _cumulative(decay: Tensor, length: int, chunk: int) -> Tensor:
    """Cumulative log₂-decay (R, N, C, 1) from each chunk's first position on, that one included, in float64."""
    decay = decay.double() / math.log(2.0)
    if decay.dim() == 2:
        return split(decay, chunk).cumsum(2).unsqueeze(3)
    real = split(torch.ones(1, length, device=decay.device, dtype=torch.float64), chunk).cumsum(2)
    return (decay[:, None, None] * real).unsqueeze(3)


def _by_channel(factors: Tensor) -> tuple[Tensor, Tensor, Levels]:
    """`enter` and `leave` (R, N, C, K) of decay factors (R, N, C, K), and all levels below the chunk.

    Two blocks become one: the later one's decay from the beginning is multiplied by the whole earlier block's, the
    earlier one's decay to the end by the whole later block's.
    """
    enter, leave = factors, torch.ones_like(factors)
    levels: Levels = []
    for half in _halves(factors.shape[2]):
        onward, to_end = _halved(enter, half), _halved(leave, half)  # (R, N, M, 2, half, K)
        levels.append((onward[:, :, :, 1], to_end[:, :, :, 0]))
        whole = onward[:, :, :, :, -1:]  # (R, N, M, 2, 1, K)
        one = torch.ones_like(whole[:, :, :, 0])
        enter = (onward * torch.stack([one, whole[:, :, :, 0]], 3)).flatten(2, 4)
        leave = (to_end * torch.stack([whole[:, :, :, 1], one], 3)).flatten(2, 4)
    return enter, leave, levels


def log_decay_gradient(decay: Tensor, weights: Weights, at: Tensor, end: Tensor, length: int) -> Tensor:
    """The gradient of `decay` from those of the cumulative sums: `at` (R, N, C, ·) each position, `end` each chunk's.

    A position's decay reaches every later position of its document; sums stay inside documents, so that none leaks.
    """
    chunk = at.shape[2]
    stretches = weights.stretches
    past = _past(chunk, at) if stretches is None else stretches.same
    total = past.to(at.dtype).transpose(-1, -2) @ at  # (R, N, C, ·)
    total = total + (end if stretches is None else end * stretches.last)
    total = total.flatten(1, 2)[:, :length]
    if decay.dim() == 1:
        return total.sum((1, 2)).to(decay.dtype)
    return (total if decay.dim() == 3 else total.squeeze(2)).to(decay.dtype)


def scaled(q: Tensor, k: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """Queries (or their gradients) times `shrink`, keys times `grow`, where the weights are meant for those."""
    return (q, k) if weights.scale is None else (q * weights.scale.shrink, k * weights.scale.grow)


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
    if weights.levels is None:
        scores = weigh(q @ k.transpose(-1, -2), weights)
    else:
        scores = q.new_zeros(*q.shape[:3], q.shape[2])
        scores.diagonal(dim1=2, dim2=3).copy_((q * k).sum(-1))
        for of_queries, of_keys in weights.levels:
            half = of_keys.shape[3]
            later, earlier = _halved(q, half)[:, :, :, 1] * of_queries, _halved(k, half)[:, :, :, 0] * of_keys
            _blocks(scores, half).copy_(later @ earlier.transpose(-1, -2))  # (R, N, M, half, half)
        if weights.stretches is not None:
            scores = scores.masked_fill(~weights.stretches.same, 0.0)
    if weights.reach is None:
        return scores
    scale, near = weights.reach  # those positions get what they would get without the later ones, bit by bit
    quotients = ((q * scale.shrink) @ (k * scale.grow).transpose(-1, -2)).tril_()
    return torch.where(near if weights.stretches is None else near & weights.stretches.same, quotients, scores)


def pair_gradients(gradient: Tensor, q: Tensor, k: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """Gradients of q and k from that of `pair_scores`, which is overwritten."""
    if weights.levels is None:
        gradient = weigh(gradient, weights)
        return gradient @ k, gradient.transpose(-1, -2) @ q
    if weights.stretches is not None:
        gradient = gradient.masked_fill_(~weights.stretches.same, 0.0)
    diagonal = gradient.diagonal(dim1=2, dim2=3).unsqueeze(3)
    to_q, to_k = diagonal * k, diagonal * q
    for of_queries, of_keys in weights.levels:
        half = of_keys.shape[3]
        later, earlier = _halved(q, half)[:, :, :, 1] * of_queries, _halved(k, half)[:, :, :, 0] * of_keys
        block = _blocks(gradient, half)
        _halved(to_q, half)[:, :, :, 1].addcmul_(_product(block, earlier), of_queries)
        _halved(to_k, half)[:, :, :, 0].addcmul_(_product(block.transpose(-1, -2), later), of_keys)
    return to_q, to_k


def _halves(chunk: int) -> Iterator[int]:
    """1, 2, 4, … below the chunk's length, a power of two: every pair of positions is parted by one such boundary.

    A key's decay up to that boundary times a query's from it on is the pair's decay, both <= 1 however strong it is.
    """
    half = 1
    while half < chunk:
        yield half
        half *= 2


def _product(block: Tensor, x: Tensor) -> Tensor:
    """block @ x; for blocks of 1 and 2, of which there are thousands, without a matrix product for each."""
    size = block.shape[-1]
    if size > 2:
        return block @ x
    y = block[..., :1] * x[..., :1, :]
    return y if size == 1 else y.addcmul_(block[..., 1:], x[..., 1:, :])


def _halved(x: Tensor, half: int) -> Tensor:
    """x (R, N, C, K) as (R, N, M, 2, half, K)."""
    return x.unflatten(2, (-1, 2, half))


def _blocks(scores: Tensor, half: int) -> Tensor:
    """The view (R, N, M, half, half) of the pairs that a boundary parts: later half by earlier half."""
    parted = scores.unflatten(3, (-1, 2, half)).unflatten(2, (-1, 2, half))  # (R, N, M, 2, half, M, 2, half)
    return parted[:, :, :, 1, :, :, 0, :].diagonal(dim1=2, dim2=4).movedim(-1, 2)


def carry(updates: Tensor, total: Tensor | None, first: Tensor, *, backwards: bool = False) -> tuple[Tensor, Tensor]:
    """What stands before each chunk (R, N, K, V) and after the last one (R, K, V): S ← total S + update.

    updates (R, N, K, V); total broadcasts to them; first (R, K, V). `backwards` begins at the end.
    """
    chunks = updates.shape[1]
    order = list(range(chunks - 1, -1, -1) if backwards else range(chunks))
    if torch.is_grad_enabled():
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


def _next(update: Tensor, total: Tensor | None, n: int, state: Tensor, into: Tensor | None = None) -> Tensor:
    """The state after chunk n, written to `into` where that is given."""
    if total is None:
        return torch.add(update, state, out=into)
    return torch.addcmul(update, state, total[:, n], out=into)
