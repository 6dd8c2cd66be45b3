"""The executor of softmax attention: runs a plan (`ops.plan`) over the kernels at hand.

Every call goes one way: documents apart, then rows, then a kernel, by pieces (`ops.piece_kernel`) or `ops.dense`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from sightline.core.probe import Probe
from sightline.core.shapes import Attended, Keys, Queries, Values
from sightline.core.transforms import transformed
from sightline.ops.block_products import attention_by_products
from sightline.ops.blocks import Piece
from sightline.ops.dense import dense_attention
from sightline.ops.documents import Documents
from sightline.ops.eager import eager
from sightline.ops.piece_kernel import attention_by_pieces
from sightline.ops.plan import Plan

BLOCK = 1024  # queries for which a mask or bias is formed at a time
CAPPED = 128  # queries for which weights are formed at a time on a CPU, so that its caches hold them


def execute(q: Queries, k: Keys, v: Values, plan: Plan, probe: Probe | None = None) -> Attended:
    """softmax(scale · q kᵀ) v over the keys that the plan shows, shape (B, H, T, V); zeros where it shows none.

    q, k and v are finite everywhere. With a listener on `probe` the weights (B, H, T, S) pass through it.
    """
    if plan.documents is not None and not (probe is not None and probe.attached):
        return _execute_documents(q, k, v, plan, plan.documents)
    return _execute_rows(q, k, v, plan, probe)


@eager  # where documents are follows from values
def _execute_documents(q: Tensor, k: Tensor, v: Tensor, plan: Plan, documents: Documents) -> Tensor:
    """Every document as a row of its own."""
    (batch, _, length, _), steps = k.shape, q.shape[2]
    q = F.pad(q, (0, 0, length - steps, 0))
    flat = [x.transpose(1, 2).flatten(0, 1) for x in (q, k, v)]  # (B·S, H, ·)
    places, outputs = [], []
    for index, valid, part in plan.groups(documents):
        rows = (x.index_select(0, index.flatten()).unflatten(0, index.shape).transpose(1, 2) for x in flat)
        places.append(index[valid])
        outputs.append(_execute_rows(*rows, plan=part).transpose(1, 2)[valid])
    if not outputs:
        return q.new_zeros(batch, q.shape[1], steps, v.shape[3]) + 0.0 * (q.sum() + k.sum() + v.sum())
    y = torch.cat(outputs)
    whole = y.new_zeros(batch * length, *y.shape[1:]).index_copy(0, torch.cat(places), y)
    return whole.unflatten(0, (batch, length))[:, length - steps :].transpose(1, 2)


def _execute_rows(q: Tensor, k: Tensor, v: Tensor, plan: Plan, probe: Probe | None = None) -> Tensor:
    """Rows of one document, or of several that a mask tells apart."""
    steps, length = q.shape[2], k.shape[2]
    listened = probe is not None and probe.attached
    kernel = plan.kernel(q, length, listened)
    if kernel == "pieces":
        return _by_pieces(q, k, v, plan)
    if kernel == "products":
        return attention_by_products(q, k, v, causal=plan.pattern.causal, scale=plan.scale)
    options = {"causal": plan.pattern.causal, "scale": plan.scale, "softcap": plan.softcap}
    if kernel == "fused":
        visible = None if plan.real is None else plan.real[:, None, None, :]
        return dense_attention(q, k, v, visible=visible, probe=probe, **options)
    block = CAPPED if plan.softcap is not None and q.device.type == "cpu" else BLOCK
    if torch.compiler.is_exporting() or steps <= block or listened:
        visible, bias = plan.relate(q, length, 0, steps)
        return dense_attention(q, k, v, visible=visible, bias=bias, probe=probe, **options)
    return _by_queries(q, k, v, plan, block, options)


def _by_queries(q: Tensor, k: Tensor, v: Tensor, plan: Plan, block: int, options: dict) -> Tensor:
    """`block` queries at a time, so that masks and biases need memory that grows with S and not with T·S.

    The weights of a soft cap do so too: in long rows the backward forms them a second time.
    """
    steps, length = q.shape[2], k.shape[2]

    def part(part_q: Tensor, k: Tensor, v: Tensor, first: int, last: int) -> Tensor:
        visible, bias = (x if x is None else x[..., : k.shape[2]] for x in plan.relate(q, length, first, last))
        return dense_attention(part_q, k, v, visible=visible, bias=bias, **options)

    call = part
    if plan.softcap is not None and steps > BLOCK and torch.is_grad_enabled() and not transformed():
        call = partial(checkpoint, part, use_reentrant=False, preserve_rng_state=False)
    outputs = []
    for first in range(0, steps, block):
        last = min(first + block, steps)
        reach = length - steps + last if plan.pattern.causal else length  # no query of the block sees later keys
        outputs.append(call(q[:, :, first:last], k[:, :, :reach], v[:, :, :reach], first, last))
    return torch.cat(outputs, 2)


@eager  # which pieces there are follows from values, on which a graph would have to be cut
def _by_pieces(q: Tensor, k: Tensor, v: Tensor, plan: Plan) -> Tensor:
    """By pieces: row by row where keys are hidden, and head by head where slopes differ.

    16-bit inputs are computed in float32 (`ops.dense` says why); keys and values of different widths are padded.
    """
    scale = 1.0 / math.sqrt(q.shape[3]) if plan.scale is None else plan.scale
    steps, length, width, dtype = q.shape[2], k.shape[2], v.shape[3], q.dtype
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    wide, widest = torch.promote_types(dtype, torch.float32), max(q.shape[3], width)
    inputs = [F.pad(x, (0, widest - x.shape[3])) if x.shape[3] < widest else x for x in (q, k, v)]
    inputs = [x.to(wide) for x in inputs]
    pieces = plan.pattern.reduced(steps, length).pieces(steps, length, wide)

    def heads(part: Sequence[Tensor], pieces: list[Piece]) -> Tensor:
        q, k, v = part
        if plan.slopes is None:
            return attention_by_pieces(q, k, v, pieces, scale)
        outputs = []
        for q, k, v, slope in zip(*(x.split(1, 1) for x in part), plan.slopes.tolist(), strict=True):
            outputs.append(attention_by_pieces(q, k, v, [p.with_slope(length - steps, slope) for p in pieces], scale))
        return torch.cat(outputs, 1)

    if plan.real is None:
        y = heads(inputs, pieces)
    else:
        rows = zip(*(x.split(1) for x in inputs), plan.real, strict=True)
        y = torch.cat([heads(row, [p.without_hidden(real) for p in pieces]) for *row, real in rows])
    return y[..., :width].to(dtype)
