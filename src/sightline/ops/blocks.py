"""Softmax attention put together from pieces: the blocks of the attention matrix that are looked at, and no others.

A piece is a set of (query block, key block) pairs of one size that one kernel call computes, every pair as a head of
its own. A query that several pieces serve gets its softmax over all their keys: the kernel returns, beside the outputs
y_i, the logarithms l_i = log Σ_s exp(logit_s) of their normalisers, and

    y = Σ_i exp(l_i - l) y_i,    l = log Σ_i exp(l_i),

is exact. So is the gradient: the kernel's backward forms its weights anew as exp(logit - l) from the l that it is
given, and each piece is given the joined y and l (so do Liu et al. 2023, "Ring attention", join several machines).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

FORWARD, BACKWARD = (f"_scaled_dot_product_flash_attention_for_cpu{end}" for end in ("", "_backward"))
PORTION = (
    2**21
)  # numbers that the keys of one kernel call may hold where blocks overlap: 8 MiB, so that caches hold them


class Blocks(NamedTuple):
    """`number` blocks of `size` consecutive positions; each begins `step` positions after the one before."""

    first: int
    size: int
    number: int = 1
    step: int = 1

    def take(self, x: Tensor) -> Tensor:
        """The blocks (P, N, size, …) of x (P, T, …): a view, whose blocks share memory where they overlap."""
        span = x.narrow(1, self.first, (self.number - 1) * self.step + self.size)
        return span.unfold(1, self.size, self.step).movedim(-1, 2)

    def put(self, total: Tensor, part: Tensor, weight: Tensor | None = None) -> None:
        """Write blocks `part` (P, N, size, …) into `total`, or mix them in, `weight` parts to 1 - weight."""
        place = self.take(total)
        place.copy_(part) if weight is None else place.lerp_(part, weight)

    def add(self, total: Tensor, part: Tensor) -> None:
        """Add blocks `part` (P, N, size, …) into `total` (P, T, …), in place."""
        width = self.size if self.number == 1 else min(self.step, self.size)
        for at in range(0, self.size, width):  # slices of this width do not overlap
            inner = Blocks(self.first + at, min(width, self.size - at), self.number, self.step)
            inner.take(total).add_(part[:, :, at : at + inner.size])

    def portion(self, first: int, last: int) -> Blocks:
        """The blocks first..last-1."""
        return Blocks(self.first + first * self.step, self.size, last - first, self.step)


class Gathered(NamedTuple):
    """Blocks put together from several: the n-th has the positions shift + block·index[n, r] + 0…block-1, r = 0…R-1."""

    index: Tensor  # (N, R), long
    block: int
    shift: int = 0

    @property
    def number(self) -> int:
        return self.index.shape[0]

    @property
    def size(self) -> int:
        return self.index.shape[1] * self.block

    def take(self, x: Tensor) -> Tensor:
        """The blocks (P, N, R·block, …) of x (P, T, …): a copy."""
        parts, within = self._split(x), self._within()
        if parts.is_contiguous():
            taken = parts.index_select(1, within)
        else:  # `index_select` would copy all of x first
            taken = x.new_empty(x.shape[0], len(within), *parts.shape[2:])
            for row, into in zip(parts, taken, strict=True):
                torch.index_select(row, 0, within, out=into)
        return taken.unflatten(1, self.index.shape).flatten(2, 3)

    def put(self, total: Tensor, part: Tensor, weight: Tensor | None = None) -> None:
        """Write blocks `part` (P, N, R·block, …) into `total`, or mix them in, `weight` parts to 1 - weight."""
        part = part if weight is None else self.take(total).lerp_(part, weight)
        self._split(total).index_copy_(1, self._within(), self._parts(part))

    def add(self, total: Tensor, part: Tensor) -> None:
        """Add blocks `part` (P, N, R·block, …) into `total` (P, T, …), in place."""
        self._split(total).index_add_(1, self._within(), self._parts(part))

    def portion(self, first: int, last: int) -> Gathered:
        """The blocks first..last-1."""
        return self._replace(index=self.index[first:last])

    def _parts(self, part: Tensor) -> Tensor:
        return part.unflatten(2, (self.index.shape[1], self.block)).flatten(1, 2)

    def _split(self, x: Tensor) -> Tensor:
        first = self.shift % self.block
        whole = (x.shape[1] - first) // self.block
        return x.narrow(1, first, whole * self.block).unflatten(1, (whole, self.block))

    def _within(self) -> Tensor:
        return (self.index + self.shift // self.block).flatten()


class Piece(NamedTuple):
    """Pairs of query and key blocks: the n-th of the queries sees the n-th of the keys.

    `causal`: the i-th query of a block sees the first i + 1 keys. `mask`, float, is added to the logits (-inf hides),
    shape (size of a query block, size of a key block) or, different for each pair, (N, 1 or size, size). The query
    blocks of one piece do not overlap.
    """

    queries: Blocks | Gathered
    keys: Blocks | Gathered
    causal: bool = False
    mask: Tensor | None = None

    def portions(self, rows: int, width: int) -> Iterator[Piece]:
        """The same pairs, few enough at a time that their keys, with gradients, stay in the caches."""
        most = max(1, PORTION // max(1, rows * width * self.keys.size))
        for first in range(0, self.queries.number, most):
            last = min(first + most, self.queries.number)
            own = self.mask if self.mask is None or self.mask.dim() == 2 else self.mask[first:last]
            yield Piece(self.queries.portion(first, last), self.keys.portion(first, last), self.causal, own)

    def broadcast_mask(self, dtype: torch.dtype) -> Tensor | None:
        """The mask as the kernel takes it, (1, 1 or N, 1 or size, size) in the dtype of the queries."""
        if self.mask is None:
            return None
        return (self.mask[None, None] if self.mask.dim() == 2 else self.mask[None]).to(dtype)


def available(q: Tensor) -> bool:
    """Whether the kernel runs on tensors like q and has not been switched off.

    `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`, which makes attention twice differentiable, switches it off; so
    do the transforms of `torch.func`.
    """
    return (
        q.device.type == "cpu"
        and q.is_floating_point()
        and torch.backends.cuda.flash_sdp_enabled()
        and not torch._C._are_functorch_transforms_active()
        and all(hasattr(torch.ops.aten, name) for name in (FORWARD, BACKWARD))
    )


@torch.compiler.disable
def attend_pieces(q: Tensor, k: Tensor, v: Tensor, pieces: Sequence[Piece], scale: float) -> Tensor:
    """softmax(scale · q kᵀ + masks) v over the keys that the pieces name, shape (B, H, T, K); zeros for none.

    q (B, H, T, K), k and v (B, H, S, K) in float32 or float64 on the CPU, strided in any way. The gradient is exact;
    there is no gradient of the gradient.
    """
    rows = q.shape[:2]
    if q.numel() == 0 or not pieces:
        return torch.zeros_like(q) + 0.0 * (q.sum() + k.sum() + v.sum())
    return _Pieces.apply(*(x.flatten(0, 1) for x in (q, k, v)), pieces, scale).unflatten(0, rows)


class _Pieces(torch.autograd.Function):
    """Attention by pieces over q, k, v (P, T, K)."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, pieces: Sequence[Piece], scale: float) -> Tensor:
        q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))
        given = q, k, v
        q, k, v = _laid_out(pieces, *given)
        y = torch.zeros(q.shape, dtype=q.dtype)
        norm = torch.full(q.shape[:2], -math.inf, dtype=q.dtype)  # log of the softmax's denominator
        served = torch.zeros(1, q.shape[1], dtype=torch.bool)
        for piece in pieces:
            for portion in piece.portions(*q.shape[::2]):
                _join(portion.queries, y, norm, served, *_forward(portion, q, k, v, scale))
        ctx.save_for_backward(*given, y, norm)
        ctx.pieces, ctx.scale = pieces, scale
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return *_Gradient.apply(*grads, *ctx.saved_tensors, ctx.pieces, ctx.scale), None, None


class _Gradient(torch.autograd.Function):
    """The gradients for q, k and v; a function of its own so that asking for theirs is an error, and not silence."""

    @staticmethod
    def forward(
        ctx: Any,
        grad: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        y: Tensor,
        norm: Tensor,
        pieces: Sequence[Piece],
        scale: float,
    ) -> tuple[Tensor, ...]:
        grad = grad.contiguous()
        q, k, v = _laid_out(pieces, q, k, v)
        norm = norm.masked_fill(norm == -math.inf, math.inf)  # the weights of a query without keys: exp(-inf) = 0
        totals = tuple(torch.zeros(x.shape, dtype=x.dtype) for x in (q, k, v))
        for piece in pieces:
            for portion in piece.portions(*q.shape[::2]):
                parts = _backward(portion, grad, q, k, v, y, norm, scale)
                for blocks, total, part in zip((portion.queries, portion.keys, portion.keys), totals, parts):
                    blocks.add(total, part)
        return totals

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        raise RuntimeError(
            "attention by pieces has no gradient of its gradient; under "
            "torch.nn.attention.sdpa_kernel(SDPBackend.MATH) attention has"
        )


def _laid_out(pieces: Sequence[Piece], q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (P, T, K), each row without gaps where blocks are gathered from it again and again."""
    of_queries = any(isinstance(piece.queries, Gathered) for piece in pieces)
    of_keys = any(isinstance(piece.keys, Gathered) for piece in pieces)

    def even(x: Tensor, gathered: bool) -> Tensor:
        return x.contiguous() if gathered and not x[0].is_contiguous() else x

    return even(q, of_queries), even(k, of_keys), even(v, of_keys)


def _forward(piece: Piece, q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Outputs (P, N, size, K) of the pairs and logarithms (P, N, size) of their normalisers, -inf for no key."""
    mask = piece.broadcast_mask(q.dtype)
    y, norm = getattr(torch.ops.aten, FORWARD)(
        piece.queries.take(q), piece.keys.take(k), piece.keys.take(v), 0.0, piece.causal, attn_mask=mask, scale=scale
    )
    if mask is None:
        return y, norm
    blind = (mask == -math.inf).all(-1)  # (1, N, size): the kernel says 0 there, or whatever it likes
    if not blind.any():
        return y, norm
    return y.masked_fill(blind.unsqueeze(-1), 0.0), norm.masked_fill(blind, -math.inf)


def _join(queries: Blocks | Gathered, y: Tensor, norm: Tensor, served: Tensor, part: Tensor, of_part: Tensor) -> None:
    """Join the outputs `part` and normalisers `of_part` of some queries into those that they have so far, in place."""
    if not queries.take(served).any():
        queries.put(y, part)
        queries.put(norm, of_part)
        queries.put(served, torch.ones((), dtype=torch.bool).expand(1, queries.number, queries.size))
        return
    so_far = queries.take(norm)
    largest = torch.maximum(so_far, of_part)
    largest = largest.masked_fill(largest == -math.inf, 0.0)  # nothing seen so far or here
    old, new = (so_far - largest).exp(), (of_part - largest).exp()
    total = old + new  # at least 1 where anything is seen
    queries.put(y, part, (new / total.clamp(min=1.0)).unsqueeze(-1))
    queries.put(norm, largest + total.log())


def _backward(
    piece: Piece, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, y: Tensor, norm: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the pairs' queries, keys and values, from the joined outputs and normalisers."""
    queries, keys = piece.queries.take, piece.keys.take
    return getattr(torch.ops.aten, BACKWARD)(
        queries(grad),
        queries(q),
        keys(k),
        keys(v),
        queries(y),
        queries(norm),
        0.0,
        piece.causal,
        attn_mask=piece.broadcast_mask(q.dtype),
        scale=scale,
    )
