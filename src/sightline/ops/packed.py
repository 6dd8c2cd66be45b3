"""Recurrences over packed rows: each step computes only the documents that reach it.

The real positions of all documents are sorted by step, the longest document first, so that the rows of each step are
the first rows of the step before (as in torch's PackedSequence): [a b c] and [d e] become [a d] [b e] [c]. One product
over all positions computes all that needs no hidden state: W x + b, and each weight's gradient. Only a product U h and
the gates remain in the loop (`ops.cells`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.modes import without_autocast
from sightline.core.shapes import AnyFloat, AnyTensor, HiddenSequences, Sequences
from sightline.core.transforms import composed
from sightline.ops.affine import product_dtype
from sightline.ops.cells import Cell, CellState, Trace
from sightline.ops.derivatives import connected_zeros, differentiable_gradients
from sightline.ops.documents import Carried, Documents, first_states


class Packing(NamedTuple):
    """The R real positions of n documents, step by step."""

    position: Tensor  # (R,) in the flattened (B·T)
    sizes: list[int]  # how many documents reach each step
    order: Tensor  # (n,) the documents that have any position, longest first
    last: Tensor  # (n,) the index in (R,) of each document's last position


class CellWeights(NamedTuple):
    """Parameters of a cell, gates in the order of its columns."""

    input: Tensor  # (G·H, D) W
    hidden: Tensor  # (G·H, H) U
    bias: Tensor  # (G·H,) b
    bias_hidden: Tensor | None = None  # (H,) c, added to the first H of U h


def packable(like: AnyTensor, *tensors: AnyTensor) -> bool:
    """Whether rows are packed: on the CPU, without transforms, all in the dtype of `like`, a parameter.

    That is float32 or float64; under autocast others may be narrower than a parameter in float32.
    """
    if not all(part.device.type == "cpu" for part in (like, *tensors)) or composed():
        return False
    if torch.is_autocast_enabled("cpu"):
        return like.dtype == torch.float32 and all(part.dtype != torch.float64 for part in tensors)
    return {part.dtype for part in (like, *tensors)} in ({torch.float32}, {torch.float64})


def run_packed(
    cell: Cell, weights: CellWeights, x: Sequences, carried: Carried, fresh: Carried, documents: Documents | None
) -> tuple[HiddenSequences, Carried]:
    """Outputs (B, T, H) of x (B, T, D), zero at masked positions, and the state after each row; B, T >= 1.

    `carried` is the state before the rows, `fresh` that of a new document, both tuples of (B, H); without documents
    each row is one. Equal to the cell's `advance` step by step, and differentiable twice and more. Products are in
    autocast's dtype, states and gates in that of the weights.
    """
    wide, product = weights.hidden.dtype, product_dtype(weights.hidden)
    x, carried, fresh = x.to(wide), tuple(part.to(wide) for part in carried), tuple(part.to(wide) for part in fresh)
    batch, steps, _ = x.shape
    if documents is None:
        y, *final = _Packed.apply(cell, _whole_rows(batch, steps, x.device), product, x, *weights, *carried)
        return y, tuple(final)
    first = first_states(documents, carried, fresh)
    if not documents.valid.shape[1]:
        return connected_zeros((batch, steps, weights.hidden.shape[1]), x, *weights, *carried), tuple(
            part[documents.last] for part in first
        )
    packing = pack(documents)
    y, *final = _Packed.apply(cell, packing, product, x, *weights, *(part[packing.order] for part in first))
    ends = (part.index_copy(0, packing.order, end) for part, end in zip(first, final, strict=True))
    return y, tuple(part[documents.last] for part in ends)


def pack(documents: Documents) -> Packing:
    """The documents' positions step by step; there must be at least one."""
    reached = documents.valid.sum(0)  # (L,)
    sizes = reached.tolist()
    order = documents.length.argsort(descending=True, stable=True)[: sizes[0]]
    position = documents.index[order].T[documents.valid[order].T]
    before = reached.cumsum(0) - reached  # the positions of all steps before
    last = before[documents.length[order] - 1] + torch.arange(len(order), device=order.device)
    return Packing(position, sizes, order, last)


def packed_composed(
    cell: Cell, packing: Packing, x: Sequences, weights: CellWeights, carried: CellState
) -> tuple[AnyFloat, ...]:
    """Outputs (B, T, H) and the states (n, H) after the documents, by plain operations."""
    rows = x.flatten(0, 1)[packing.position]
    bias = weights.bias_hidden
    offset = 0 if bias is None else F.pad(bias, (0, len(weights.hidden) - len(bias)))
    outputs, ends = [], []
    for from_input in torch.addmm(weights.bias, rows, weights.input.T).split(packing.sizes):
        ends.append(tuple(part[len(from_input) :] for part in carried))
        carried = tuple(part[: len(from_input)] for part in carried)
        carried = cell.advance(from_input, carried[0] @ weights.hidden.T + offset, carried)
        outputs.append(carried[0])
    ends.append(carried)
    y = x.new_zeros(x.shape[0] * x.shape[1], weights.hidden.shape[1])
    y = y.index_copy(0, packing.position, torch.cat(outputs)).unflatten(0, x.shape[:2])
    return y, *(torch.cat(part) for part in zip(*reversed(ends)))


@final
class _Packed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, cell: Cell, packing: Packing, product: torch.dtype, x: Tensor, *weights_and_carried: Any
    ) -> tuple[AnyFloat, ...]:
        weight_input, weight_hidden, bias, bias_hidden, *carried = weights_and_carried
        width = weight_hidden.shape[1]
        rows = x.flatten(0, 1).index_select(0, packing.position).to(product)
        gates = x.new_empty(len(rows), cell.columns * width)
        if bias_hidden is not None:
            gates[:, :width] = bias_hidden
        from_input = _columns(gates, cell.of_input, width)
        with without_autocast(x.device):
            if product == x.dtype:
                torch.addmm(bias, rows, weight_input.T, out=from_input)
            else:
                torch.add(rows @ weight_input.to(product).T, bias, out=from_input)
            trace = cell.forward(gates, tuple(carried), weight_hidden.to(product), packing.sizes)
        y = x.new_zeros(x.shape[0] * x.shape[1], width).index_copy_(0, packing.position, trace.after[0])
        ctx.cell, ctx.packing = cell, packing
        ctx.save_for_backward(
            x, weight_input, weight_hidden, bias, bias_hidden, rows, gates, *carried, *trace.after, *trace.kept
        )
        return y.unflatten(0, x.shape[:2]), *(part.index_select(0, packing.last) for part in trace.after)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        cell, packing = ctx.cell, ctx.packing
        x, *weights, rows, gates = ctx.saved_tensors[:7]
        states, carries = ctx.saved_tensors[7:], cell.carries
        first, after, kept = states[:carries], states[carries : 2 * carries], states[2 * carries :]
        if torch.is_grad_enabled():  # for a derivative of the derivative
            inputs = (x, *weights, *first)
            outputs = packed_composed(cell, packing, x, CellWeights(*weights), first)
            return None, None, None, *differentiable_gradients(outputs, inputs, grads, ctx.needs_input_grad[3:])
        of_y, of_hidden, *of_carried = grads
        of_y = of_y.flatten(0, 1).index_select(0, packing.position)
        of_y.index_add_(0, packing.last, of_hidden)
        trace, carried = Trace(gates, first, after, kept), tuple(part.clone() for part in of_carried)
        with without_autocast(x.device):
            of_gates, of_first = cell.backward(trace, weights[1].to(rows.dtype), packing.sizes, of_y, carried)
            of_weights = _of_weights(cell, packing, of_gates, trace, rows, ctx.needs_input_grad[4:8])
            of_x = None
            if ctx.needs_input_grad[3]:
                of_rows = _columns(of_gates, cell.of_input, weights[1].shape[1]).to(rows.dtype)
                of_rows = (of_rows @ weights[0].to(rows.dtype)).to(x.dtype)
                of_x = x.new_zeros(x.shape[0] * x.shape[1], x.shape[2])
                of_x = of_x.index_copy_(0, packing.position, of_rows).view_as(x)
        return None, None, None, of_x, *of_weights, *of_first


def _of_weights(
    cell: Cell, packing: Packing, of_gates: Tensor, trace: Trace, rows: Tensor, needs: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """The derivatives by the weights, in the order of `CellWeights`, of those that are needed."""
    width, product = trace.after[0].shape[1], rows.dtype
    of_input, of_hidden = (_columns(of_gates, part, width) for part in (cell.of_input, cell.of_hidden))
    needs_input, needs_hidden, needs_bias, needs_bias_hidden = needs
    by_input = (of_input.to(product).T @ rows).to(of_gates.dtype) if needs_input else None
    by_hidden = None
    if needs_hidden:
        before = _before(trace, packing.sizes).to(product)
        by_hidden = (of_hidden.to(product).T @ before).to(of_gates.dtype)
    by_bias = of_input.sum(0) if needs_bias else None
    return by_input, by_hidden, by_bias, of_hidden[:, :width].sum(0) if needs_bias_hidden else None


def _columns(buffer: Tensor, columns: slice, width: int) -> Tensor:
    return buffer[:, columns.start * width : columns.stop * width]


def _before(trace: Trace, sizes: list[int]) -> Tensor:
    """The hidden state (R, H) before each position."""
    steps = trace.after[0].split(sizes)
    return torch.cat([trace.first[0], *(part[:rows] for part, rows in zip(steps, sizes[1:]))])


def _whole_rows(batch: int, steps: int, device: torch.device) -> Packing:
    """Rows without padding."""
    position = torch.arange(batch * steps, device=device).view(batch, steps).T.flatten()
    rows = torch.arange(batch, device=device)
    return Packing(position, [batch] * steps, rows, rows + batch * (steps - 1))
