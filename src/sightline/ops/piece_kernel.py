"""The kernel that computes some pieces of the attention matrix and no others (`ops.blocks` defines pieces).

torch's kernel computes each pair of blocks as a head of its own. The softmax of a query that several pieces serve is
over all their keys: the kernel returns, beside the outputs y_i, the logarithms l_i = log Σ_s exp(logit_s) of their
normalisers, and

    y = Σ_i exp(l_i - l) y_i,    l = log Σ_i exp(l_i),

is exact. Example: a query sees keys with logits 0 and log 3 in one piece and log 4 in another. Then l_1 = log 4 and
l_2 = log 4, and y is the mean of y_1 and y_2. The gradient is exact too: the kernel's backward computes its weights as
exp(logit - l) from the l that it receives, and each piece receives the joined y and l (Liu et al. 2023, "Ring
attention", join the results of several machines in this way).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import Tensor

from sightline.core.shapes import AnyTensor, Float, Queries
from sightline.core.transforms import transformed
from sightline.ops.blocks import Blocks, Gathered, Piece
from sightline.ops.eager import eager

FORWARD, BACKWARD = (f"_scaled_dot_product_flash_attention_for_cpu{end}" for end in ("", "_backward"))
HeadKeys = Float[Tensor, "B H S K"]


def available(q: AnyTensor) -> bool:
    """Whether the kernel runs on tensors like q and is switched on.

    `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`, which makes attention twice differentiable, switches it off, and
    so do the transforms of `torch.func` and forward-mode differentiation.
    """
    return (
        q.device.type == "cpu"
        and q.is_floating_point()
        and torch.backends.cuda.flash_sdp_enabled()
        and not transformed()
        and all(hasattr(torch.ops.aten, name) for name in (FORWARD, BACKWARD))
    )


@eager
def attention_by_pieces(q: Queries, k: HeadKeys, v: HeadKeys, pieces: Sequence[Piece], scale: float) -> Queries:
    """softmax(scale · q kᵀ + masks) v over the keys in `pieces`, shape (B, H, T, K); zeros for a query without keys.

    Inputs are float32 or float64, on the CPU, with any strides. The gradient is exact; it has no gradient in turn.
    """
    rows = q.shape[:2]
    if q.numel() == 0 or not pieces:
        return torch.zeros_like(q) + 0.0 * (q.sum() + k.sum() + v.sum())
    return _Pieces.apply(*(x.flatten(0, 1) for x in (q, k, v)), pieces, scale).unflatten(0, rows)


@final
class _Pieces(torch.autograd.Function):
    """Attention by pieces over q, k, v (P, T, K)."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, pieces: Sequence[Piece], scale: float) -> Tensor:
        q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))
        inputs = q, k, v
        q, k, v = _compact(pieces, *inputs)
        y = torch.zeros(q.shape, dtype=q.dtype)
        norm = torch.full(q.shape[:2], -math.inf, dtype=q.dtype)  # log of the softmax's denominator
        served = torch.zeros(1, q.shape[1], dtype=torch.bool)
        for piece in pieces:
            for portion in piece.portions(*q.shape[::2]):
                _join(portion.queries, y, norm, served, *_forward(portion, q, k, v, scale))
        ctx.save_for_backward(*inputs, y, norm)
        ctx.pieces, ctx.scale = pieces, scale
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return *_Gradient.apply(*grads, *ctx.saved_tensors, ctx.pieces, ctx.scale), None, None


@final
class _Gradient(torch.autograd.Function):
    """The gradients of q, k and v; a function of its own so that a gradient of them raises instead of being wrong."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, *saved: Any) -> tuple[Tensor, ...]:
        q, k, v, y, norm, pieces, scale = saved
        grad, (q, k, v) = grad.contiguous(), _compact(pieces, q, k, v)
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
            "attention by pieces has no gradient of its gradient: "
            "use torch.nn.attention.sdpa_kernel(SDPBackend.MATH), under which attention has one"
        )


def _compact(pieces: Sequence[Piece], q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (P, T, K), each row contiguous where blocks are gathered from it."""
    if any(isinstance(piece.queries, Gathered) for piece in pieces) and not q[0].is_contiguous():
        q = q.contiguous()
    if any(isinstance(piece.keys, Gathered) for piece in pieces):
        k, v = (x if x[0].is_contiguous() else x.contiguous() for x in (k, v))
    return q, k, v


def _forward(piece: Piece, q: Tensor, k: Tensor, v: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Outputs (P, N, size, K) of the pairs and logarithms (P, N, size) of their normalisers, -inf for no key."""
    mask = piece.kernel_mask(q.dtype)
    y, norm = getattr(torch.ops.aten, FORWARD)(
        piece.queries.take(q), piece.keys.take(k), piece.keys.take(v), 0.0, piece.causal, attn_mask=mask, scale=scale
    )
    if mask is None:
        return y, norm
    blind = (mask == -math.inf).all(-1)  # (1, N, size): the kernel's result there is undefined
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
    blocks = queries(grad), queries(q), keys(k), keys(v), queries(y), queries(norm)
    mask = piece.kernel_mask(q.dtype)
    return getattr(torch.ops.aten, BACKWARD)(*blocks, 0.0, piece.causal, attn_mask=mask, scale=scale)
