"""Statistics of attention weights at any length, from queries and keys, without forming the n² weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sightline.parts.positions import advance

QUERIES, KEYS = 256, 1024  # logits are computed for this many queries and keys at a time


class AttentionStatistics(NamedTuple):
    """Statistics of the weights of every query; zeros and -inf for a query that sees no key, e.g. at padding."""

    entropy: Tensor  # (B, H, T) nats: 0 = all on one key, log n = even over n keys
    largest: Tensor  # (B, H, T) the largest weight
    logsumexp: Tensor  # (B, H, T) of the logits, as fused kernels return it
    top_keys: Tensor  # (B, H, T, N) indices of the heaviest keys, heaviest first, -1 if there are fewer
    top_weights: Tensor  # (B, H, T, N) their weights, 0 if there are fewer
    by_distance: Tensor | None  # (B, H, S) mean weight at each distance, over queries that see a key


@torch.no_grad()
def attention_statistics(
    q: Tensor,
    k: Tensor,
    *,
    causal: bool = True,
    memory: bool = False,
    window: int | None = None,
    sinks: int = 0,
    mask: Tensor | None = None,
    starts: Tensor | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    slopes: Tensor | None = None,
    top: int = 8,
) -> AttentionStatistics:
    """Statistics of softmax(cap(scale · q kᵀ) - slope · distance) over the keys that each query sees.

    q is (B, H, T, K) and k (B, G, S, K); each key head serves H/G consecutive query heads. The queries are the last T
    of the S positions, so that a cache can be inspected. `mask` (B, S), True = real, and `starts` (B, S), the starts of
    documents, refer to the S positions. `causal` hides later keys; `window` w hides keys at a distance of w or more,
    where it is causal except the first `sinks` of a document. Distances count real tokens. `softcap` c caps logits to
    c · tanh(logit / c); `slopes` (H,) are those of ALiBi.

    `memory=True`: k are the keys of a memory, which has no order; only `mask` hides keys, and `by_distance` is None.

    Time grows with T·S (with T·w for a window without a mask), memory with T + S: the logits of 256 queries and 1,024
    keys are computed at a time, twice. Computes in float32, or in float64 for float64 inputs.

    Raises:
        ValueError: "a memory has no order: causal, window, starts and slopes do not apply"; "5 queries cannot be the
            last of 3 positions"; "sinks need a causal window".
    """
    if memory and (causal or window is not None or starts is not None or slopes is not None):
        raise ValueError("a memory has no order: causal, window, starts and slopes do not apply")
    if sinks and (not causal or window is None):
        raise ValueError("sinks need a causal window")
    if not memory and q.shape[2] > k.shape[2]:
        raise ValueError(f"{q.shape[2]} queries cannot be the last of {k.shape[2]} positions")
    wide = torch.promote_types(torch.promote_types(q.dtype, k.dtype), torch.float32)
    scale = 1.0 / math.sqrt(q.shape[3]) if scale is None else scale
    order = None if memory else _order(k, mask, starts, causal, window, sinks)
    rows = _Rows(q.to(wide) * scale, k.to(wide), mask, order, softcap, slopes)
    mass = None if memory else q.new_zeros(*q.shape[:2], k.shape[2], dtype=wide)
    blocks = range(0, max(1, q.shape[2]), QUERIES)
    parts = zip(*(_of_queries(rows, slice(first, min(first + QUERIES, q.shape[2])), top, mass) for first in blocks))
    entropy, largest, logsumexp, keys, weights = (torch.cat(part, 2) for part in parts)
    if mass is not None:
        mass = mass / logsumexp.isfinite().sum(2, keepdim=True).clamp(min=1)
    return AttentionStatistics(entropy, largest, logsumexp, keys, weights, mass)


class _Order(NamedTuple):
    """Relations between positions.

    indexed: whether distances are differences of indices, which those of rows with padding are not
    packed: whether rows have several documents
    """

    places: Tensor  # (B, S) number of real tokens before, within the document
    documents: Tensor  # (B, S)
    causal: bool
    window: int | None
    sinks: int
    indexed: bool
    packed: bool

    def spans(self, own: slice, length: int) -> list[tuple[int, int]]:
        """Stretches of the `length` keys outside of which queries at these positions see none."""
        high = own.stop if self.causal else length
        if self.window is None or not self.indexed:
            return [(0, high)]
        low, high = max(0, own.start - self.window + 1), min(high, own.stop + self.window - 1)
        if self.packed and self.sinks:  # of documents that may begin anywhere
            return [(0, high)]
        return [(0, min(self.sinks, low)), (low, high)]


def _order(
    k: Tensor, mask: Tensor | None, starts: Tensor | None, causal: bool, window: int | None, sinks: int
) -> _Order:
    places, _ = advance(torch.zeros(k.shape[0], dtype=torch.long, device=k.device), k.shape[2], mask, starts)
    documents = torch.zeros_like(places) if starts is None else starts.cumsum(1)
    return _Order(places, documents, causal, window, sinks, mask is None, starts is not None)


class _Rows(NamedTuple):
    """The logits of a batch, in pieces."""

    q: Tensor  # (B, H, T, K), scaled
    k: Tensor  # (B, G, S, K)
    mask: Tensor | None  # (B, S)
    order: _Order | None  # None: keys of a memory
    softcap: float | None
    slopes: Tensor | None

    def pieces(self, queries: slice) -> Iterator[tuple[int, Tensor, Tensor | None]]:
        """(first key, logits (B, H, t, s), distances (B, t, s)) of the keys visible to these queries; hidden = -inf."""
        length, own = self.k.shape[2], queries
        spans = [(0, length)]
        if self.order is not None:
            before = length - self.q.shape[2]
            own = slice(before + queries.start, before + queries.stop)
            spans = self.order.spans(own, length)
        for low, high in spans:
            for begin in range(low, high, KEYS):
                keys = slice(begin, min(begin + KEYS, high))
                visible, distance = self._related(own, keys)
                if visible is None or bool(visible.any()):
                    yield begin, self._logits(queries, keys, visible, distance), distance

    def _related(self, own: slice, keys: slice) -> tuple[Tensor | None, Tensor | None]:
        """Which queries see which keys (B, t, s), None = all, and their distances."""
        real = None if self.mask is None else self.mask[:, None, keys]
        if self.order is None:
            return real, None
        places, documents, causal, window, sinks, *_ = self.order
        distance = (places[:, own, None] - places[:, None, keys]).abs()
        visible = documents[:, own, None] == documents[:, None, keys]
        if self.mask is not None:
            visible = visible & self.mask[:, own, None] & self.mask[:, None, keys]
        if causal:
            index = torch.arange(self.k.shape[2], device=self.k.device)
            visible = visible & (index[own, None] >= index[keys])
        if window is not None:
            near = distance < window
            visible = visible & (near | (places[:, None, keys] < sinks) if sinks else near)
        return visible, distance

    def _logits(self, queries: slice, keys: slice, visible: Tensor | None, distance: Tensor | None) -> Tensor:
        groups = self.k.shape[1]
        q = self.q[:, :, queries].unflatten(1, (groups, -1))  # (B, G, H/G, t, K)
        logits = (q @ self.k[:, :, None, keys].transpose(-1, -2)).flatten(1, 2)  # (B, H, t, s)
        if self.softcap is not None:
            logits = self.softcap * torch.tanh(logits / self.softcap)
        if self.slopes is not None and distance is not None:
            logits = logits - self.slopes.to(logits)[:, None, None] * distance.unsqueeze(1)
        return logits if visible is None else logits.masked_fill(~visible.unsqueeze(1), -math.inf)


def _of_queries(rows: _Rows, queries: slice, top: int, mass: Tensor | None) -> tuple[Tensor, ...]:
    """Statistics of up to `QUERIES` queries; adds their weights to `mass` (B, H, S) by distance."""
    peak, total, moment, top_logits, top_keys = _read(rows, queries, top)
    logsumexp = peak + total.log()
    nothing = total == 0.0
    safe = total.masked_fill(nothing, 1.0)
    base = logsumexp.masked_fill(nothing, 0.0).unsqueeze(-1)
    if mass is not None:
        for _, logits, distance in rows.pieces(queries):
            if distance is not None:
                index = distance.flatten(1).unsqueeze(1).expand(*logits.shape[:2], -1)
                mass.scatter_add_(2, index, (logits - base).exp_().flatten(2))
    return (
        (safe.log() - moment / safe).clamp(min=0.0),
        (1.0 / safe).masked_fill(nothing, 0.0),
        logsumexp,
        top_keys.masked_fill(top_logits == -math.inf, -1),
        (top_logits - base).exp_(),
    )


def _read(rows: _Rows, queries: slice, top: int) -> tuple[Tensor, ...]:
    """One pass over the keys: largest logit m, Σ e^(x-m), Σ e^(x-m) (x - m), and the N largest logits with their keys.

    All sums are relative to the largest logit so far and are rescaled when it changes.
    """
    shape = rows.q[:, :, queries].shape[:3]
    peak, total, moment = rows.q.new_full(shape, -math.inf), rows.q.new_zeros(shape), rows.q.new_zeros(shape)
    top_logits = rows.q.new_full((*shape, top), -math.inf)
    top_keys = torch.full((*shape, top), -1, dtype=torch.long, device=rows.q.device)
    for begin, logits, _ in rows.pieces(queries):
        higher = torch.maximum(peak, logits.amax(-1))
        level = higher.masked_fill(higher == -math.inf, 0.0)
        fall = (peak - level).masked_fill(peak == -math.inf, 0.0)  # without an old peak the old sums are empty
        shift = fall.exp()
        moment = shift * (moment + fall * total)
        relative = logits - level.unsqueeze(-1)
        power = relative.exp()
        total = shift * total + power.sum(-1)
        moment = moment + (power * relative.masked_fill(relative == -math.inf, 0.0)).sum(-1)
        peak = higher
        values, place = logits.topk(min(top, logits.shape[-1]), -1)
        top_logits, chosen = torch.cat([top_logits, values], -1).topk(top, -1)
        top_keys = torch.cat([top_keys, place + begin], -1).gather(-1, chosen)
    return peak, total, moment, top_logits, top_keys
