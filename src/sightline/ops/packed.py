"""Recurrences over packed rows: step by step with only the documents that still run, and no position computed twice.

The real positions of all documents stand step by step, longest document first, so that the rows of each step are the
first rows of the step before (as in torch's PackedSequence). What needs no hidden state, W x + b and every weight's
gradient, is one product over all positions; what stays in the loop is a product U h and the gates (`ops.cells`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from sightline.ops.cells import Cell, Parts, Trace
from sightline.ops.documents import Carried, Documents, states_given


class Packing(NamedTuple):
    """Where the R real positions of n documents stand, step by step."""

    position: Tensor  # (R,) in the flattened (B·T)
    sizes: list[int]  # how many documents reach each step
    order: Tensor  # (n,) the documents that have any position, longest first
    last: Tensor  # (n,) where in (R,) each of them ends


class Weights(NamedTuple):
    """Parameters of a cell, gates in the order of its columns."""

    input: Tensor  # (G·H, D) W
    hidden: Tensor  # (G·H, H) U
    bias: Tensor  # (G·H,) b
    bias_hidden: Tensor | None = None  # (H,) c, which is added to the first H of U h


def packable(*tensors: Tensor) -> bool:
    """Whether rows are packed: on the CPU, in one dtype of 32 bits or more, where no compiler or transform watches."""
    return (
        all(part.device.type == "cpu" for part in tensors)
        and {part.dtype for part in tensors} in ({torch.float32}, {torch.float64})
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
        and not torch._C._are_functorch_transforms_active()
    )


def run_packed(
    cell: Cell, weights: Weights, x: Tensor, carried: Carried, fresh: Carried, documents: Documents | None
) -> tuple[Tensor, Carried]:
    """Outputs (B, T, H) of x (B, T, D), zero at masked positions, and what each row carries on; B, T >= 1.

    `carried` is what the rows were given, `fresh` what a new document begins with, both tuples of (B, H); no documents
    are whole rows of one. Equal to the cell's `advance` step by step, and differentiable twice and more.
    """
    batch, steps, _ = x.shape
    if documents is None:
        y, *final = _Packed.apply(cell, _whole_rows(batch, steps, x.device), x, *weights, *carried)
        return y, tuple(final)
    given = states_given(documents, carried, fresh)
    if not documents.valid.shape[1]:
        return x.new_zeros(batch, steps, weights.hidden.shape[1]), tuple(part[documents.last] for part in given)
    packing = pack(documents)
    y, *final = _Packed.apply(cell, packing, x, *weights, *(part[packing.order] for part in given))
    ends = (part.index_copy(0, packing.order, end) for part, end in zip(given, final, strict=True))
    return y, tuple(part[documents.last] for part in ends)


def pack(documents: Documents) -> Packing:
    """The documents' positions, of which there must be one."""
    reached = documents.valid.sum(0)  # (L,)
    sizes = reached.tolist()
    order = documents.length.argsort(descending=True, stable=True)[: sizes[0]]
    position = documents.index[order].T[documents.valid[order].T]
    before = reached.cumsum(0) - reached  # the positions of all steps before
    last = before[documents.length[order] - 1] + torch.arange(len(order), device=order.device)
    return Packing(position, sizes, order, last)


def packed_composed(cell: Cell, packing: Packing, x: Tensor, weights: Weights, carried: Parts) -> Parts:
    """Outputs (B, T, H) and what is carried at the rows' ends (n, H), out of single operations."""
    rows = x.flatten(0, 1)[packing.position]
    offset = (
        0
        if weights.bias_hidden is None
        else torch.cat(
            [weights.bias_hidden, weights.bias_hidden.new_zeros(len(weights.hidden) - len(weights.bias_hidden))]
        )
    )
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


class _Packed(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        packing: Packing,
        x: Tensor,
        weight_input: Tensor,
        weight_hidden: Tensor,
        bias: Tensor,
        bias_hidden: Tensor | None,
        *carried: Tensor,
    ) -> Parts:
        width = weight_hidden.shape[1]
        rows = x.flatten(0, 1).index_select(0, packing.position)
        gates = rows.new_empty(len(rows), cell.columns * width)
        if bias_hidden is not None:
            gates[:, :width] = bias_hidden
        torch.addmm(bias, rows, weight_input.T, out=_columns(gates, cell.of_input, width))
        trace = cell.forward(gates, carried, weight_hidden, packing.sizes)
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
        given, after, kept = (
            ctx.saved_tensors[7 : 7 + cell.carries],
            ctx.saved_tensors[7 + cell.carries : 7 + 2 * cell.carries],
            ctx.saved_tensors[7 + 2 * cell.carries :],
        )
        if torch.is_grad_enabled():  # a derivative of the derivative is asked for
            inputs = (x, *weights, *given)
            wanted = [part for part, needed in zip(inputs, ctx.needs_input_grad[2:]) if needed]
            outputs = packed_composed(cell, packing, x, Weights(*weights), given)
            found = iter(torch.autograd.grad(outputs, wanted, grads, create_graph=True, allow_unused=True))
            return None, None, *(next(found) if needed else None for needed in ctx.needs_input_grad[2:])
        of_y, of_hidden, *of_carried = grads
        of_y = of_y.flatten(0, 1).index_select(0, packing.position)
        of_y.index_add_(0, packing.last, of_hidden)
        weight_input, weight_hidden, *_ = weights
        trace = Trace(gates, given, after, kept)
        of_gates, of_given = cell.backward(
            trace, weight_hidden, packing.sizes, of_y, tuple(part.clone() for part in of_carried)
        )
        width = weight_hidden.shape[1]
        of_input, of_hidden = _columns(of_gates, cell.of_input, width), _columns(of_gates, cell.of_hidden, width)
        needs_x, needs_input, needs_hidden, needs_bias, needs_bias_hidden = ctx.needs_input_grad[2:7]
        of_x = None
        if needs_x:
            of_x = x.new_zeros(x.shape[0] * x.shape[1], x.shape[2])
            of_x = of_x.index_copy_(0, packing.position, of_input @ weight_input).view_as(x)
        of_weight_input = of_input.T @ rows if needs_input else None
        of_weight_hidden = of_hidden.T @ _before(trace, packing.sizes) if needs_hidden else None
        of_bias = of_input.sum(0) if needs_bias else None
        of_bias_hidden = of_hidden[:, :width].sum(0) if needs_bias_hidden else None
        return None, None, of_x, of_weight_input, of_weight_hidden, of_bias, of_bias_hidden, *of_given


def _columns(buffer: Tensor, columns: slice, width: int) -> Tensor:
    return buffer[:, columns.start * width : columns.stop * width]


def _before(trace: Trace, sizes: list[int]) -> Tensor:
    """The hidden state (R, H) before each position."""
    steps = trace.after[0].split(sizes)
    return torch.cat([trace.given[0], *(part[:rows] for part, rows in zip(steps, sizes[1:]))])


def _whole_rows(batch: int, steps: int, device: torch.device) -> Packing:
    """Rows without padding."""
    position = torch.arange(batch * steps, device=device).view(batch, steps).T.flatten()
    rows = torch.arange(batch, device=device)
    return Packing(position, [batch] * steps, rows, rows + batch * (steps - 1))
