"""Recurrent cells over packed rows (`ops.packed`), forwards and backwards, in buffers for all steps.

A buffer (R, columns · H) has the R positions of all rows, sorted by step. When a cell begins, the columns `of_input`
contain W x + b; the cell adds U h of the step before to the columns `of_hidden` and turns them into gates. No step
allocates memory, extends a graph or multiplies for a weight's gradient: the derivatives go into a buffer of the same
form, from which one product for each weight computes its gradient in the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, final

import torch
from torch import Tensor

from sightline.core.shapes import AnyFloat, Float

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input  # (gradient, σ, grad_input=out)
tanh_backward = torch.ops.aten.tanh_backward.grad_input

InputProducts = Float[Tensor, "N I"]
HiddenProducts = Float[Tensor, "N U"]
HiddenWeights = Float[Tensor, "U H"]
GateRows = Float[Tensor, "R G"]
CellOutputs = Float[Tensor, "R H"]
CarriedVectors = Float[Tensor, "N H"]
CellState = tuple[CarriedVectors, ...]
CellTrace = tuple[CellOutputs, ...]


class Trace(NamedTuple):
    """The tensors of a cell's run over rows."""

    gates: GateRows  # (R, columns · H)
    first: CellState  # (N, H) the state before the rows
    after: CellTrace  # (R, H) the state after each position
    kept: CellTrace = ()  # (R, H) other tensors that the derivatives need


def add_product(out: AnyFloat, x: AnyFloat, weight: AnyFloat) -> AnyFloat:
    """out (N, O) plus x (N, D) W (D, O), in place; the product is in W's dtype, the sum in that of `out`."""
    if weight.dtype == out.dtype:
        return torch.addmm(out, x, weight, out=out)
    return out.add_(x.to(weight.dtype) @ weight)


class Cell(ABC):
    """One step of a recurrence that carries `carries` vectors (N, H), of which the first is its output."""

    carries = 1
    columns: int  # of the buffer, in units of H, as are:
    of_input: slice  # the columns of W x + b
    of_hidden: slice  # the columns that U h is added to

    @abstractmethod
    def advance(self, from_input: InputProducts, from_hidden: HiddenProducts, carried: CellState) -> CellState:
        """The next state (N, H) from W x + b and U h (N, ·), by plain operations."""

    @abstractmethod
    def forward(self, gates: GateRows, first: CellState, weight: HiddenWeights, sizes: list[int]) -> Trace:
        """All steps; weight (·, H) is U in the dtype of products, `sizes` counts the rows that reach each step."""

    @abstractmethod
    def backward(
        self, trace: Trace, weight: HiddenWeights, sizes: list[int], of_output: CellOutputs, of_carried: CellState
    ) -> tuple[GateRows, CellState]:
        """The derivatives (R, columns · H) by the buffer's columns, and those (N, H) by the first state.

        of_output (R, H) is the gradient of the outputs and of_carried (N, H) that of the rest of the last state; both
        are overwritten.
        """


@final
class ElmanCell(Cell):
    """h = tanh(W x + b + U h)."""

    columns, of_input, of_hidden = 1, slice(0, 1), slice(0, 1)

    def advance(self, from_input: InputProducts, from_hidden: HiddenProducts, carried: CellState) -> CellState:
        return (torch.tanh(from_input + from_hidden),)

    def forward(self, gates: GateRows, first: CellState, weight: HiddenWeights, sizes: list[int]) -> Trace:
        (hidden,), transposed = first, weight.T
        for y in gates.split(sizes):
            hidden = add_product(y, hidden[: len(y)], transposed).tanh_()
        return Trace(gates, first, (gates,))

    def backward(
        self, trace: Trace, weight: HiddenWeights, sizes: list[int], of_output: CellOutputs, of_carried: CellState
    ) -> tuple[GateRows, CellState]:
        y, d = trace.gates.split(sizes), of_output.split(sizes)
        for t in reversed(range(len(sizes))):
            tanh_backward(d[t], y[t], grad_input=d[t])
            if t:
                before = d[t - 1][: sizes[t]]
                add_product(before, d[t], weight)
        return of_output, (add_product(torch.zeros_like(d[0]), d[0], weight),)


@final
class LSTMCell(Cell):
    """c = f ∘ c + i ∘ g, h = o ∘ tanh(c); columns i, f, g, o, without forget gate i, g, o and c = c + i ∘ g."""

    carries = 2

    def __init__(self, forget_gate: bool = True) -> None:
        self.forget_gate = forget_gate
        self.columns = 4 if forget_gate else 3
        self.of_input = self.of_hidden = slice(0, self.columns)

    def advance(self, from_input: InputProducts, from_hidden: HiddenProducts, carried: CellState) -> CellState:
        i, *f, g, o = (from_input + from_hidden).chunk(self.columns, 1)
        cell = carried[1] if not f else torch.sigmoid(f[0]) * carried[1]
        cell = cell + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(cell), cell

    def forward(self, gates: GateRows, first: CellState, weight: HiddenWeights, sizes: list[int]) -> Trace:
        (hidden, cell), transposed, width = first, weight.T, weight.shape[1]
        outputs, cells, bounded = (gates.new_empty(len(gates), width) for _ in range(3))
        i, *f, g, o = (part.split(sizes) for part in gates.split(width, 1))
        opened = gates[:, : -2 * width].split(sizes)  # i and f
        whole, y, c, tanh_c = (part.split(sizes) for part in (gates, outputs, cells, bounded))
        for t, rows in enumerate(sizes):
            add_product(whole[t], hidden[:rows], transposed)
            opened[t].sigmoid_()
            g[t].tanh_()
            o[t].sigmoid_()
            if f:
                torch.mul(i[t], g[t], out=c[t]).addcmul_(f[0][t], cell[:rows])
            else:
                torch.addcmul(cell[:rows], i[t], g[t], out=c[t])
            torch.tanh(c[t], out=tanh_c[t])
            hidden, cell = torch.mul(o[t], tanh_c[t], out=y[t]), c[t]
        return Trace(gates, first, (outputs, cells), (bounded,))

    def backward(
        self, trace: Trace, weight: HiddenWeights, sizes: list[int], of_output: CellOutputs, of_carried: CellState
    ) -> tuple[GateRows, CellState]:
        (of_cell,), width = of_carried, weight.shape[1]
        room, of_gates = torch.empty_like(of_cell), torch.empty_like(trace.gates)
        i, *f, g, o = (part.split(sizes) for part in trace.gates.split(width, 1))
        of_i, *of_f, of_g, of_o = (part.split(sizes) for part in of_gates.split(width, 1))
        opened, of_opened = (part[:, : -2 * width].split(sizes) for part in (trace.gates, of_gates))
        whole, d, c, tanh_c = (part.split(sizes) for part in (of_gates, of_output, trace.after[1], trace.kept[0]))
        for t in reversed(range(len(sizes))):
            rows = sizes[t]
            d_cell, through = of_cell[:rows], room[:rows]
            torch.mul(d[t], o[t], out=through)
            d_cell += tanh_backward(through, tanh_c[t], grad_input=through)
            torch.mul(d[t], tanh_c[t], out=of_o[t])
            torch.mul(d_cell, i[t], out=of_g[t])
            torch.mul(d_cell, g[t], out=of_i[t])
            if f:
                torch.mul(d_cell, c[t - 1][:rows] if t else trace.first[1], out=of_f[0][t])
                d_cell *= f[0][t]
            sigmoid_backward(of_opened[t], opened[t], grad_input=of_opened[t])
            tanh_backward(of_g[t], g[t], grad_input=of_g[t])
            sigmoid_backward(of_o[t], o[t], grad_input=of_o[t])
            if t:
                before = d[t - 1][:rows]
                add_product(before, whole[t], weight)
        return of_gates, (add_product(torch.zeros_like(d[0]), whole[0], weight), of_cell)


@final
class GRUCell(Cell):
    """h = z ∘ h + (1 - z) ∘ n, n = tanh(W x + b + r ∘ a), a = U h + c; columns a, r, z, n.

    U's rows are in the order a, r, z. The column a contains the bias c of U h when the cell begins.
    """

    columns, of_input, of_hidden = 4, slice(1, 4), slice(0, 3)

    def advance(self, from_input: InputProducts, from_hidden: HiddenProducts, carried: CellState) -> CellState:
        (of_r, of_z, of_n), (a, r, z) = from_input.chunk(3, 1), from_hidden.chunk(3, 1)
        n = torch.tanh(of_n + torch.sigmoid(of_r + r) * a)
        return (torch.lerp(n, carried[0], torch.sigmoid(of_z + z)),)

    def forward(self, gates: GateRows, first: CellState, weight: HiddenWeights, sizes: list[int]) -> Trace:
        (hidden,), transposed, width = first, weight.T, weight.shape[1]
        outputs = gates.new_empty(len(gates), width)
        a, r, z, n = (part.split(sizes) for part in gates.split(width, 1))
        from_hidden, opened = gates[:, : 3 * width].split(sizes), gates[:, width : 3 * width].split(sizes)
        for t, (rows, y) in enumerate(zip(sizes, outputs.split(sizes))):
            before = hidden[:rows]
            add_product(from_hidden[t], before, transposed)
            opened[t].sigmoid_()
            n[t].addcmul_(r[t], a[t]).tanh_()
            hidden = torch.lerp(n[t], before, z[t], out=y)
        return Trace(gates, first, (outputs,))

    def backward(
        self, trace: Trace, weight: HiddenWeights, sizes: list[int], of_output: CellOutputs, of_carried: CellState
    ) -> tuple[GateRows, CellState]:
        width, of_gates = weight.shape[1], torch.empty_like(trace.gates)
        a, r, z, n = (part.split(sizes) for part in trace.gates.split(width, 1))
        of_a, of_r, of_z, of_n = (part.split(sizes) for part in of_gates.split(width, 1))
        opened, of_opened = (part[:, width : 3 * width].split(sizes) for part in (trace.gates, of_gates))
        to_hidden = of_gates[:, : 3 * width].split(sizes)
        d, y = of_output.split(sizes), trace.after[0].split(sizes)
        for t in reversed(range(len(sizes))):
            rows = sizes[t]
            torch.sub(y[t - 1][:rows] if t else trace.first[0], n[t], out=of_z[t]).mul_(d[t])
            torch.addcmul(d[t], d[t], z[t], value=-1.0, out=of_n[t])
            tanh_backward(of_n[t], n[t], grad_input=of_n[t])
            torch.mul(of_n[t], a[t], out=of_r[t])
            torch.mul(of_n[t], r[t], out=of_a[t])
            sigmoid_backward(of_opened[t], opened[t], grad_input=of_opened[t])
            if t:
                before = d[t - 1][:rows].addcmul_(d[t], z[t])
                add_product(before, to_hidden[t], weight)
        return of_gates, (add_product(d[0] * z[0], to_hidden[0], weight),)
