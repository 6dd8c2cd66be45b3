"""Parts of chunked linear attention: rows cut into chunks, and the weights that decay and documents give to pairs.

A row is one head of one batch entry. Shapes: R rows, N chunks, C positions in a chunk, K key size, V value size.

The key at j contributes to the query at i >= j with a weight, the product of the decay factors between them. Example: a
chunk of 4 positions whose decay factors are 1/2, 1/2, 1/2 and 1 has these weights, which `chunk_weights` computes:

    within   1    0    0    0      enter   1/2    leave   1/4    total   1/8
             1/2  1    0    0              1/4            1/2
             1/4  1/2  1    0              1/8            1
             1/4  1/2  1    1              1/8            1

`within` is for pairs inside the chunk, `enter` for the state before the chunk as each position reads it, `leave` for
each position in the state after the chunk, and `total` for the state before in the state after.

No weight overflows: it is the exponential of a difference <= 0 of logarithms, or the quotient of two cumulative
products while no channel of a chunk has decayed below exp(-`RANGE`), or a product of two parts (`Levels`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.doubles import precise
from sightline.core.shapes import AnyFloat, Bool, Elementwise, Float, Shaped
from sightline.core.state import replaced
from sightline.core.transforms import composed, in_place, transformed
from sightline.ops.traced import any_length

RANGE = 40.0  # of log-decays whose exponentials may be divided by: exp(40) = 2e17 is far from overflow

LinearRows = Shaped[Tensor, "R T *rest"]
ChunkParts = Shaped[Tensor, "R N C *rest"]
ChunkKeys = Float[Tensor, "R N C K"]  # or queries
ChunkValues = Float[Tensor, "R N C V"]
ChunkStates = Float[Tensor, "R N K V"]
ChunkScores = Float[Tensor, "R N C C"]
ChunkWeight = Float[Tensor, "R N #C #K"]  # for each position and channel, or for all
RowState = Float[Tensor, "R K *values"]
RowKeys = Float[Tensor, "R K"]
RowDecay = Float[Tensor, "R *span"]  # for a row, for each position, or for each channel too
RowStarts = Bool[Tensor, "R T"]
PositionGradient = Float[Tensor, "R N C J"]
EndGradient = Float[Tensor, "R N 1 J"]


class LinearInputs(NamedTuple):
    """Inputs of linear attention as rows; where P heads share queries and keys, a row is such a group of heads."""

    q: Tensor  # (R, T, K)
    k: Tensor  # (R, T, K)
    v: Tensor  # (R, T, V), shared (R, T, P, V)
    memory: Tensor  # (R, K, V) the state before, shared (R, K, P, V)
    keys: Tensor | None = None  # (R, K) the sum of keys before, where outputs are normalised
    beta: Tensor | None = None  # (R, T)
    decay: Tensor | None = None  # (R,), (R, T) or (R, T, K), shared (R, T, P)
    starts: Tensor | None = None  # (R, T)

    def cut(self, rows: slice, span: slice, memory: RowState, keys: RowKeys | None) -> LinearInputs:
        """Some rows over a span of positions, with the state before that span."""
        q, k, v = (x[rows, span] for x in self[:3])
        rest = (x if x is None else x[rows] if x.dim() == 1 else x[rows, span] for x in self[5:])
        return LinearInputs(q, k, v, memory, keys, *rest)


class LinearOutputs(NamedTuple):
    """Outputs of linear attention, or their gradients."""

    y: Tensor  # as v
    memory: Tensor  # (R, K, V) the state after, shared (R, K, P, V)
    keys: Tensor | None = None  # (R, K)


# A chunk is cut into pairs of neighbouring blocks of 1, 2, 4, … positions. For the M pairs of one size a level has the
# decay from the start of the later block through each of its positions, and the decay after each position of the
# earlier block to its end, both (R, N, M, size, K). At exactly one level two positions are in the two blocks of a pair:
# their weight is a product of these two, both <= 1. In a chunk of 4, positions 0 and 3 are in a pair of blocks of 2:
# weight(3, 0) = (decay after 0 to the end of 1) · (decay of 2 and 3).
Levels = list[tuple[AnyFloat, AnyFloat]]


class Scale(NamedTuple):
    """Decay from the chunk's beginning through each position, and its inverse: weight(i, j) = shrink_i · grow_j."""

    shrink: Tensor  # (R, N, C, K) the position's own decay included
    grow: Tensor  # (R, N, C, K)


class Stretches(NamedTuple):
    """Which positions of a chunk share a document."""

    same: Tensor  # (R, N, C, C) j is not after i and in its document
    first: Tensor  # (R, N, C, 1) in the document that continues from before the chunk
    last: Tensor  # (R, N, C, 1) in the document that the chunk ends in


class ChunkWeights(NamedTuple):
    """The weights of each chunk (see above); None = all 1. Without `within` and `levels` all past keys weigh 1.

    With `scale` the other weights are for queries times `scale.shrink` and keys times `scale.grow`.
    """

    within: Tensor | None = None  # (R, N or 1, C, C), 0 where j > i
    enter: Tensor | None = None  # (R, N, C, 1 or K)
    leave: Tensor | None = None  # (R, N, C, 1 or K)
    total: Tensor | None = None  # (R, N, 1 or K, 1)
    levels: Levels | None = None  # instead of `within`, where channels decay differently
    stretches: Stretches | None = None  # None = one document
    scale: Scale | None = None
    reach: tuple[Scale, Tensor] | None = None  # a scale, and (R, N, C, 1) the positions whose pairs it weighs


def split(x: LinearRows, chunk: int) -> ChunkParts:
    """x (R, T, …) as chunks (R, N, C, …), the last one filled up with zeros."""
    length = x.shape[1]
    chunks = -(-length // chunk)
    if any_length(length):
        chunks = (length + chunk - 1) // chunk + 1  # never 1, or the trace would be for one chunk or for more
    missing = chunks * chunk - length
    if any_length(length) or missing:
        x = F.pad(x, (0, 0) * (x.dim() - 2) + (0, missing))
    return x.reshape(x.shape[0], chunks, chunk, *x.shape[2:]).contiguous()


def join(x: ChunkParts, length: int) -> LinearRows:
    """Chunks (R, N, C, …) as rows (R, T, …), T = `length`."""
    return x.flatten(1, 2)[:, :length]


def chunk_weights(
    decay: RowDecay | None, starts: RowStarts | None, length: int, chunk: int, like: AnyFloat
) -> ChunkWeights:
    """The weights for rows of `length`; decay (R,), (R, T) or (R, T, K), starts (R, T); dtype and device of `like`.

    Cumulative sums of the decay by position are float64, so that strong decays leave later weak ones exact, and to base
    2: on the CPU `exp2` costs a third of `exp`, and a twentieth where results vanish.
    """
    stretches = None if starts is None else _stretches(split(starts, chunk))
    if decay is None:
        return ChunkWeights() if stretches is None else _weights_without_decay(stretches, like.dtype)
    if decay.dim() == 3:
        return _channel_weights(split(decay, chunk).exp(), stretches)
    logs = _cumulative(decay, length, chunk)  # (R, N, C, 1)
    end = logs[:, :, -1:]
    enter, leave, total = (part.exp2().to(like.dtype) for part in (logs, end - logs, end))
    alike = logs[:, :1] if decay.dim() == 1 else logs
    between = (alike - alike.transpose(2, 3)).to(like.dtype)  # (R, N or 1, C, C)
    if stretches is None:
        later = torch.full((chunk, chunk), -math.inf, dtype=between.dtype, device=between.device)
        between = between + later.triu_(1)
    else:
        between = between.masked_fill(~stretches.same, -math.inf)
    within = between.exp2_()
    return _within_documents(ChunkWeights(within, enter, leave, total, None, stretches))


def _past(chunk: int, like: Tensor) -> Tensor:
    """Whether position j is not after i, (C, C) bool."""
    return torch.ones(chunk, chunk, dtype=torch.bool, device=like.device).tril()


def _stretches(starts: Tensor) -> Stretches:
    """Documents of chunks from starts (R, N, C)."""
    document = starts.cumsum(2)  # 0 = the one that continues from before the chunk
    same = (document.unsqueeze(3) == document.unsqueeze(2)) & _past(starts.shape[2], starts)
    return Stretches(same, (document == 0).unsqueeze(3), (document == document[:, :, -1:]).unsqueeze(3))


def _weights_without_decay(stretches: Stretches, dtype: torch.dtype) -> ChunkWeights:
    """Weights of 1 inside documents, and 0 between them."""
    within, enter, leave = (flag.to(dtype) for flag in stretches)
    return ChunkWeights(within, enter, leave, enter[:, :, -1:], None, stretches)


def _within_documents(weights: ChunkWeights) -> ChunkWeights:
    """Weights of a single document with those of state and chunk set to 0 across the borders in `weights.stretches`.

    In a chunk [a b | c d], in which | begins a document, a and b read the state before the chunk, and c and d write the
    state after it: `enter` is 0 at c and d, `leave` is 0 at a and b, and `total` is 0.
    """
    enter, leave, total, stretches = weights.enter, weights.leave, weights.total, weights.stretches
    if stretches is None or enter is None or leave is None or total is None:
        return weights
    return replaced(
        weights,
        enter=enter.masked_fill(~stretches.first, 0.0),
        leave=leave.masked_fill(~stretches.last, 0.0),
        total=total.masked_fill(~stretches.first[:, :, -1:], 0.0),
    )


def _channel_weights(factors: Tensor, stretches: Stretches | None) -> ChunkWeights:
    """The weights of decay factors (R, N, C, K).

    Positions up to which all products are in range use quotients, whatever follows: so a changed future leaves the
    past the same, bit by bit. Where a graph is recorded, compiled or transformed, no choice may depend on values.
    """
    if torch.is_grad_enabled() or composed():
        return _level_weights(factors, stretches)
    least = math.exp(-RANGE)
    shrink = _cumulative_products(factors.clone())
    total = shrink[:, :, -1:]
    if total.min() < least:
        scale = Scale(shrink, shrink.clamp(min=least).reciprocal())
        return replaced(_level_weights(factors, stretches), reach=(scale, shrink.amin(3, keepdim=True) >= least))
    scale, whole = Scale(shrink, shrink.reciprocal()), total.transpose(2, 3)
    if stretches is None:
        return ChunkWeights(None, None, total, whole, None, None, scale)
    within, enter, leave = (flag.to(factors.dtype) for flag in stretches)
    return ChunkWeights(within, enter, leave * total, whole * enter[:, :, -1:], None, stretches, scale)


def _level_weights(factors: Tensor, stretches: Stretches | None) -> ChunkWeights:
    """The weights of decay factors (R, N, C, K), as `Levels`.

    Two blocks become one: the later one's decay from the beginning is multiplied by the whole earlier block's, the
    earlier one's decay to the end by the whole later block's.
    """
    enter, leave, levels = factors, torch.ones_like(factors), []
    for half in _halves(factors.shape[2]):
        onward, to_end = _block_pairs(enter, half), _block_pairs(leave, half)  # (R, N, M, 2, half, K)
        levels.append((onward[:, :, :, 1], to_end[:, :, :, 0]))
        whole = onward[:, :, :, :, -1:]  # (R, N, M, 2, 1, K)
        one = torch.ones_like(whole[:, :, :, 0])
        enter = (onward * torch.stack([one, whole[:, :, :, 0]], 3)).flatten(2, 4)
        leave = (to_end * torch.stack([whole[:, :, :, 1], one], 3)).flatten(2, 4)
    weights = ChunkWeights(None, enter, leave, enter[:, :, -1:].transpose(2, 3), levels, stretches)
    return _within_documents(weights)


def _cumulative_products(factors: Tensor) -> Tensor:
    """Cumulative products along axis 2, a power of two long, in place: pairs of neighbouring blocks become one.

    For factors a, b, c, d: a, ab, c, cd after the first round and a, ab, abc, abcd after the second. A quotient of two
    of these has the rounding of their common factors in both: it is as exact as the product of the factors in between.
    """
    for half in _halves(factors.shape[2]):
        blocks = _block_pairs(factors, half)
        blocks[:, :, :, 1] *= blocks[:, :, :, 0, -1:]
    return factors


def _cumulative(decay: Tensor, length: int, chunk: int) -> Tensor:
    """Cumulative log₂-decay (R, N, C, 1) in each chunk, the first position's included, in `precise`."""
    decay = decay.to(precise(decay.device)) / math.log(2.0)
    if decay.dim() == 2:
        return split(decay, chunk).cumsum(2).unsqueeze(3)
    real = split(torch.ones(1, length, device=decay.device, dtype=decay.dtype), chunk).cumsum(2)
    return (decay[:, None, None] * real).unsqueeze(3)


def log_decay_gradient(
    decay: RowDecay, weights: ChunkWeights, at: PositionGradient, end: EndGradient, length: int
) -> RowDecay:
    """The gradient of `decay` from those of its cumulative sums: `at` (R, N, C, ·) of positions, `end` of chunks.

    A position's decay reaches every later position of its document; no sum crosses a document's border.
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


def scaled(q: ChunkKeys, k: ChunkKeys, weights: ChunkWeights) -> tuple[ChunkKeys, ChunkKeys]:
    """Queries (or their gradients) times `shrink` and keys times `grow`, where the weights have a scale."""
    return (q, k) if weights.scale is None else (q * weights.scale.shrink, k * weights.scale.grow)


def required(x: AnyFloat | None, name: str) -> AnyFloat:
    """x, or `ValueError` where it is None."""
    if x is None:
        raise ValueError(f"this form of linear attention needs {name}")
    return x


def times(x: Elementwise, weight: AnyFloat | None) -> Elementwise:
    """x · weight, into a new tensor."""
    return x if weight is None else x * weight


def weigh(scores: ChunkScores, weights: ChunkWeights) -> ChunkScores:
    """Scores of all pairs (R, N, C, C) times their weights. Overwrites `scores` where no graph is recorded."""
    if weights.within is None:
        return scores.tril() if transformed() else scores.tril_()
    return scores.mul_(weights.within) if in_place() else scores * weights.within


def pair_scores(q: ChunkKeys, k: ChunkKeys, weights: ChunkWeights) -> ChunkScores:
    """Σ_c q_ic k_jc · (decay of channel c between j and i) for the pairs of each chunk, 0 where j > i (R, N, C, C)."""
    if weights.levels is None:
        scores = weigh(q @ k.transpose(-1, -2), weights)
    else:
        scores = q.new_zeros(*q.shape[:3], q.shape[2])
        scores.diagonal(dim1=2, dim2=3).copy_((q * k).sum(-1))
        for of_queries, of_keys in weights.levels:
            half = of_keys.shape[3]
            later = _block_pairs(q, half)[:, :, :, 1] * of_queries
            earlier = _block_pairs(k, half)[:, :, :, 0] * of_keys
            _later_by_earlier(scores, half).copy_(later @ earlier.transpose(-1, -2))  # (R, N, M, half, half)
        if weights.stretches is not None:
            scores = scores.masked_fill(~weights.stretches.same, 0.0)
    if weights.reach is None:
        return scores
    scale, near = weights.reach  # positions in range are computed as if there were no later ones
    quotients = ((q * scale.shrink) @ (k * scale.grow).transpose(-1, -2)).tril_()
    return torch.where(near if weights.stretches is None else near & weights.stretches.same, quotients, scores)


def leaving_keys(k: ChunkKeys, weights: ChunkWeights) -> ChunkKeys:
    """Keys as they are written into the state after their chunk (R, N, C, K).

    A chunk in range is computed as if no other were out of range: so a changed future leaves the state the same.
    """
    leaving = times(k, weights.leave)
    if weights.reach is None:
        return leaving
    scale, near = weights.reach
    quotients = (k * scale.grow) * scale.shrink[:, :, -1:]
    quotients = quotients if weights.stretches is None else quotients * weights.stretches.last
    return torch.where(near[:, :, -1:], quotients, leaving)


def pair_gradients(
    gradient: ChunkScores, q: ChunkKeys, k: ChunkKeys, weights: ChunkWeights
) -> tuple[ChunkKeys, ChunkKeys]:
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
        later = _block_pairs(q, half)[:, :, :, 1] * of_queries
        earlier = _block_pairs(k, half)[:, :, :, 0] * of_keys
        block = _later_by_earlier(gradient, half)
        _block_pairs(to_q, half)[:, :, :, 1].addcmul_(_small_product(block, earlier), of_queries)
        _block_pairs(to_k, half)[:, :, :, 0].addcmul_(_small_product(block.transpose(-1, -2), later), of_keys)
    return to_q, to_k


def _halves(chunk: int) -> Iterator[int]:
    """The sizes of neighbouring blocks: 1, 2, 4, … below the chunk's length, a power of two."""
    half = 1
    while half < chunk:
        yield half
        half *= 2


def _small_product(block: Tensor, x: Tensor) -> Tensor:
    """block @ x; for blocks of 1 and 2, of which there are thousands, elementwise."""
    size = block.shape[-1]
    if size > 2:
        return block @ x
    y = block[..., :1] * x[..., :1, :]
    return y if size == 1 else y.addcmul_(block[..., 1:], x[..., 1:, :])


def _block_pairs(x: Tensor, half: int) -> Tensor:
    """x (R, N, C, K) as M pairs of neighbouring blocks, (R, N, M, 2, half, K)."""
    return x.unflatten(2, (-1, 2, half))


def _later_by_earlier(scores: Tensor, half: int) -> Tensor:
    """A view (R, N, M, half, half) of scores (R, N, C, C): the later block of each pair by the earlier one.

    For C = 4 that is the scores at (1, 0) and (3, 2) for half = 1, and those of 2 and 3 by 0 and 1 for half = 2.
    """
    pairs = scores.unflatten(3, (-1, 2, half)).unflatten(2, (-1, 2, half))  # (R, N, M, 2, half, M, 2, half)
    return pairs[:, :, :, 1, :, :, 0, :].diagonal(dim1=2, dim2=4).movedim(-1, 2)
