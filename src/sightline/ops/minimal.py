"""The recurrences of minGRU and minLSTM (Feng et al. 2024, arXiv:2410.01201) over rows with padding and documents.

`minimal_scan` consists of single operations, which spend most of their time moving intermediate results.
`min_gru_scan` fuses gate, candidate and scan: the states overwrite the gate, intermediate results exist for a stretch
of positions that stays in the cache, and the backward recomputes gate and candidate from the pre-activations, in the
memory of the gradient that it returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, final

import torch
from torch import Tensor

from sightline.core.shapes import Hidden, HiddenSequences, Mask, ProjectedSequences, Starts
from sightline.core.transforms import composed
from sightline.ops.derivatives import Maybe, differentiable_gradients
from sightline.ops.scan import (
    GATED,
    LINEAR,
    empty_like,
    fill,
    gated_scan,
    linear_scan,
    positive,
    positive_slope,
    write_positive,
)

TILE = 65536  # numbers of one half that are worked on at a time


def minimal_scan(
    forget: HiddenSequences | None,
    take: HiddenSequences,
    c: HiddenSequences,
    initial: Hidden,
    first: Hidden,
    mask: Mask | None = None,
    starts: Starts | None = None,
) -> HiddenSequences:
    """h (B, T, H) with h_t = forget_t ∘ h_{t-1} + take_t ∘ c_t and h_0 = initial (B, H).

    forget = None means 1 - take. Padding (False in mask) leaves the state as it is; at a document's start h_{t-1} is
    first (B, H).
    """
    if mask is not None:
        padded = ~mask.unsqueeze(2)
        take = take.masked_fill(padded, 0.0)
        forget = None if forget is None else forget.masked_fill(padded, 1.0)
    if starts is not None:  # a document's first state does not depend on h_{t-1}: forget = 0 and take = 1
        begins = starts.unsqueeze(2)
        of_first = (1.0 - take if forget is None else forget) * first.unsqueeze(1)
        c = torch.where(begins, of_first + take * c, c)
        take = take.masked_fill(begins, 1.0)
        forget = None if forget is None else forget.masked_fill(begins, 0.0)
    return gated_scan(take, c, initial) if forget is None else linear_scan(forget, take * c, initial)


def min_gru_scan(
    u: ProjectedSequences,
    initial: Hidden,
    first: Hidden,
    mask: Mask | None = None,
    starts: Starts | None = None,
    linear: bool = False,
) -> HiddenSequences:
    """`minimal_scan` with take = σ(k), forget = 1 - take and the candidate g(c), from u = [k ; c] (B, T, 2H).

    g is `positive`, or the identity with `linear`. Differentiable twice and more. 16-bit inputs are computed in
    float32, and the result has the wider dtype of u and initial.
    """
    dtype = torch.promote_types(u.dtype, initial.dtype)
    wide = torch.promote_types(dtype, torch.float32)
    u, initial, first = u.to(wide), initial.to(wide), first.to(wide)
    if composed() or u.numel() == 0:
        return min_gru_composed(u, initial, first, mask, starts, linear).to(dtype)
    return _MinGRUScan.apply(u, initial, first, mask, starts, linear).to(dtype)


def min_gru_composed(
    u: ProjectedSequences, initial: Hidden, first: Hidden, mask: Mask | None, starts: Starts | None, linear: bool
) -> HiddenSequences:
    """`min_gru_scan` by single operations."""
    k, c = u.chunk(2, 2)
    return minimal_scan(None, torch.sigmoid(k), c if linear else positive(c), initial, first, mask, starts)


@final
class _MinGRUScan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, u: Tensor, initial: Tensor, first: Tensor, mask: Maybe, starts: Maybe, linear: bool
    ) -> Tensor:
        k, c = u.chunk(2, 2)
        h = empty_like(k)  # contains the gate until the state of its position is written
        g = c if linear and starts is None else empty_like(c)
        for tile in _tiles(h):
            torch.sigmoid(k[:, tile], out=h[:, tile])
            if not linear:
                write_positive(c[:, tile], g[:, tile])
        if mask is not None:
            h *= mask.unsqueeze(2)
        if starts is not None:
            if linear:
                g.copy_(c)
            at = starts.nonzero(as_tuple=True)
            g[at] = torch.lerp(first[at[0]], g[at], h[at])
            h[at] = 1.0
        fill(h, GATED, h, g, initial)
        ctx.flags = (mask, starts, linear)
        ctx.save_for_backward(u, initial, first, h)
        return h

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        u, initial, first, h = ctx.saved_tensors
        if torch.is_grad_enabled():  # for a derivative of the derivative
            h, inputs = min_gru_composed(u, initial, first, *ctx.flags), (u, initial, first)
            return *differentiable_gradients([h], inputs, grads, ctx.needs_input_grad[:3]), None, None, None
        return *_backward(u, initial, first, h, grads[0], *ctx.flags), None, None, None


def _backward(
    u: Tensor, initial: Tensor, first: Tensor, h: Tensor, grad: Tensor, mask: Maybe, starts: Maybe, linear: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of u, initial and first. With d the gradient of h_t and p the state before,

    ∂k = d ∘ (g - p) ∘ z ∘ (1 - z), ∂c = d ∘ z ∘ g', ∂p = d ∘ (1 - z).
    """
    of_u = empty_like(u)
    (k, c), (of_k, of_c) = u.chunk(2, 2), of_u.chunk(2, 2)
    keeps, d = of_k, of_c  # 1 - z and d use the memory of the gradients of k and c
    for tile in _tiles(h):
        torch.neg(k[:, tile], out=keeps[:, tile]).sigmoid_()
    one = h.new_ones(())
    real = None if mask is None else mask.unsqueeze(2).to(h.dtype)
    if real is not None:
        torch.lerp(one, keeps, real, out=keeps)
    at = None if starts is None else starts.nonzero(as_tuple=True)
    kept = None if at is None else keeps[at]
    if at is not None:
        keeps[at] = 0.0
    d[:, -1] = grad[:, -1]
    if h.shape[1] > 1:
        fill(d[:, :-1], LINEAR, keeps[:, 1:], grad[:, :-1], d[:, -1], from_end=True)
    of_initial, of_first = keeps[:, 0] * d[:, 0], torch.zeros_like(first)
    of_start = None
    if at is not None and kept is not None:
        past = d[at] * kept
        of_first.index_add_(0, at[0], past)
        g = c[at] if linear else positive(c[at])
        of_start = past * (1.0 - kept) * (g - first[at[0]])
    for tile in _tiles(h):
        z = torch.sigmoid(k[:, tile])
        if real is not None:
            z *= real[:, tile]
        g = c[:, tile] if linear else write_positive(c[:, tile], torch.empty_like(z))
        change = torch.empty_like(z)  # g - p
        torch.sub(g[:, 1:], h[:, tile.start : tile.stop - 1], out=change[:, 1:])
        torch.sub(g[:, 0], initial if tile.start == 0 else h[:, tile.start - 1], out=change[:, 0])
        of_c[:, tile] *= z
        of_k[:, tile].mul_(change).mul_(of_c[:, tile])
        if not linear:
            of_c[:, tile] *= positive_slope(g, z)
    if at is not None and of_start is not None:
        of_k[at] = of_start
    return of_u, of_initial, of_first


def _tiles(h: Tensor) -> Iterator[slice]:
    """Stretches of positions."""
    length = max(1, TILE // (h.shape[0] * h.shape[2]))
    for begin in range(0, h.shape[1], length):
        yield slice(begin, min(begin + length, h.shape[1]))
