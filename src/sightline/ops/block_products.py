"""Softmax attention of bfloat16 inputs by matrix products of blocks, on processors that multiply bfloat16.

torch's kernel on a CPU multiplies small blocks, which leaves most of such a processor's speed unused. Here some rows of
the matrix of logits at a time, with the keys that they may see, are one batched product. Logits and softmax are
float32, exact for bfloat16 inputs; weights are rounded to bfloat16 before they meet values, and the gradients of
weights and logits too, as other kernels of this precision round them. Weights of short rows are kept for the gradient,
those of long rows computed again: the memory that is kept grows with the number of positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, final

import torch
from torch import Tensor

from sightline.core.modes import without_autocast
from sightline.core.shapes import Attended, Keys, Queries, Values
from sightline.core.transforms import several_gradients, transformed
from sightline.ops.eager import eager

BLOCK = 128  # queries that share their keys
CACHED = 2**19  # logits at a time: 2 MiB, which caches hold
KEPT = 1.5  # weights are kept for the gradient if they are no more than so many times the inputs' and outputs' numbers:
# up to 600 causal positions for heads of 64, where this is 10 MiB for each 4,096 positions of 4 heads
SHORTEST = 32  # queries from which it is used


def products_pay(q: Queries) -> bool:
    """Whether `attention_by_products` is the fastest for queries (B, H, T, K): the processor's instructions decide."""
    return (
        q.dtype == torch.bfloat16
        and q.device.type == "cpu"
        and q.shape[2] >= SHORTEST
        and q.numel() > 0
        and torch.backends.cuda.flash_sdp_enabled()
        and not transformed()
        and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    )


@eager
def attention_by_products(q: Queries, k: Keys, v: Values, *, causal: bool, scale: float | None = None) -> Attended:
    """softmax(scale · q kᵀ) v, shape (B, H, T, V), every key head for H/G consecutive query heads.

    `causal` hides later keys; the last of the T queries is at the last of S >= T keys. scale defaults to 1/√K. The
    gradient has no gradient in turn.
    """
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    scale = 1.0 / math.sqrt(q.shape[3]) if scale is None else scale
    flat = (x.reshape(-1, *x.shape[2:]) for x in (q, k, v))
    with without_autocast(q.device):  # which would round the float32 logits to bfloat16
        return _Products.apply(*flat, causal, scale).unflatten(0, q.shape[:2])


def _cuts(heads: int, steps: int, length: int, causal: bool) -> Iterator[tuple[slice, slice, int]]:
    """Heads and queries of one product, and the number of keys that they see at most."""
    for first in range(0, steps, BLOCK):
        last = min(first + BLOCK, steps)
        reach = length - steps + last if causal else length
        together = max(1, CACHED // ((last - first) * max(reach, 1)))
        for head in range(0, heads, together):
            yield slice(head, head + together), slice(first, last), reach


def _weights(q: Tensor, k: Tensor, hidden: Tensor | None) -> Tensor:
    """softmax(q kᵀ) of float32 queries (P, t, K), already scaled, and keys (P, S, K), in bfloat16."""
    logits = torch.bmm(q, k.transpose(1, 2))
    if hidden is not None:
        size = q.shape[1]
        logits[:, :, -size:].add_(hidden[:size, :size])
    return torch.softmax(logits, -1).to(torch.bfloat16)


def _hidden(causal: bool) -> Tensor | None:
    """-inf above the diagonal of a block."""
    return torch.full((BLOCK, BLOCK), -math.inf).triu_(1) if causal else None


@final
class _Products(torch.autograd.Function):
    """Attention over q (P, T, K), k (P, S, K) and v (P, S, V)."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> Tensor:
        (heads, steps, _), length = q.shape, k.shape[1]
        y = v.new_empty(heads, steps, v.shape[2])
        cuts = list(_cuts(heads, steps, length, causal))
        seen = sum((rows.stop - rows.start) * reach for _, rows, reach in _cuts(1, steps, length, causal))
        keeps = any(ctx.needs_input_grad) and heads * seen <= KEPT * sum(x.numel() for x in (q, k, v, y))
        kept, hidden = [], _hidden(causal)
        wide_q, wide_k = q.float().mul_(scale), k.float()
        for of_heads, rows, reach in cuts:
            weights = _weights(wide_q[of_heads, rows], wide_k[of_heads, :reach], hidden)
            y[of_heads, rows] = torch.bmm(weights, v[of_heads, :reach])
            if keeps:
                kept.append(weights)
        ctx.save_for_backward(q, k, v, *kept)
        ctx.cuts, ctx.causal, ctx.scale = cuts, causal, scale
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if several_gradients(grads[0]):
            q, k, v, *_ = ctx.saved_tensors
            with without_autocast(q.device):
                return *_plain_gradients(q, k, v, grads[0], ctx.causal, ctx.scale), None, None
        return *_ProductsGradient.apply(*grads, ctx.cuts, ctx.causal, ctx.scale, *ctx.saved_tensors), None, None


def _plain_gradients(
    q: Tensor, k: Tensor, v: Tensor, grad: Tensor, causal: bool, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of q, k and v by operations that can be batched, in float32."""
    wide_q, wide_k, wide_v, to = (x.float() for x in (q, k, v, grad))
    logits = scale * (wide_q @ wide_k.transpose(1, 2))
    if causal:
        seen = torch.ones(logits.shape[1:], dtype=torch.bool).tril(k.shape[1] - q.shape[1])
        logits = logits.masked_fill(~seen, -math.inf)
    weights = torch.softmax(logits, -1)
    of_weights = to @ wide_v.transpose(1, 2)
    of_logits = scale * weights * (of_weights - (of_weights * weights).sum(-1, keepdim=True))
    of_q, of_k, of_v = of_logits @ wide_k, of_logits.transpose(1, 2) @ wide_q, weights.transpose(1, 2) @ to
    return of_q.to(q.dtype), of_k.to(k.dtype), of_v.to(v.dtype)


@final
class _ProductsGradient(torch.autograd.Function):
    """The gradients of q, k and v; a function of its own so that a gradient of them raises instead of being wrong."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, cuts: Any, causal: bool, scale: float, *saved: Tensor) -> tuple[Tensor, ...]:
        q, k, v, *kept = saved
        hidden = _hidden(causal)
        wide = None if kept else (q.float().mul_(scale), k.float())
        of_q, of_k, of_v = (
            torch.empty_like(q),
            torch.zeros_like(k, dtype=torch.float32),
            torch.zeros_like(v, dtype=torch.float32),
        )
        for number, (of_heads, rows, reach) in enumerate(cuts):
            if wide is None:
                weights = kept[number]
            else:
                weights = _weights(wide[0][of_heads, rows], wide[1][of_heads, :reach], hidden)
            to = grad[of_heads, rows]
            of_v[of_heads, :reach] += torch.bmm(weights.transpose(1, 2), to)
            of_weights = torch.bmm(to, v[of_heads, :reach].transpose(1, 2))
            of_logits = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)  # before they are scaled
            torch.mul(torch.bmm(of_logits, k[of_heads, :reach]), scale, out=of_q[of_heads, rows])
            of_k[of_heads, :reach].add_(torch.bmm(of_logits.transpose(1, 2), q[of_heads, rows]), alpha=scale)
        return of_q, of_k.to(k.dtype), of_v.to(v.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        raise RuntimeError(
            "attention by products has no gradient of its gradient: "
            "use torch.nn.attention.sdpa_kernel(SDPBackend.MATH), under which attention has one"
        )
