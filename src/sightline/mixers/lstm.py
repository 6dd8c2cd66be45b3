"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import torch
from torch import Tensor, nn

from sightline.core.shapes import Counts, Hidden, HiddenSequences, MixedPosition, Position, Sequences
from sightline.core.state import replaced
from sightline.ops.cells import Cell, LSTMCell
from sightline.ops.documents import Carried, Documents, at_length
from sightline.ops.packed import CellWeights
from sightline.parts.recurrent import Recurrent, RecurrentState, input_weight, recurrent_weight

Initial = Literal["orthogonal", "uniform"]
SHUT = 1e4  # a gate's pre-activation at which the sigmoid is exactly 0 (negative) or 1 in every dtype
ROWS, WORK = 64, 8192  # rows, and numbers per step, from which packed rows train faster than oneDNN's kernel
PADDED = 1.2  # positions per real position from which they do


@final
@dataclass(frozen=True)
class LSTMConfig:
    """Options of `LSTM`; `None` widths mean `d_model` (d_hidden) and no summary (d_summary)."""

    d_hidden: int | None = None
    d_summary: int | None = None
    forget_gate: bool = True
    heads: int = 1
    initial: Initial = "orthogonal"

    def build(self, d_model: int) -> LSTM:
        return LSTM(d_model, self.d_hidden, self.d_summary, self.forget_gate, self.heads, self.initial)

    @classmethod
    def examples(cls) -> tuple[LSTMConfig, ...]:
        return (
            cls(),
            cls(d_hidden=5, d_summary=7),
            cls(forget_gate=False),
            cls(heads=4),
            cls(d_hidden=6, d_summary=7, forget_gate=False, heads=3, initial="uniform"),
        )


@final
class LSTM(Recurrent):
    """c_t = f ∘ c_{t-1} + i ∘ g, h_t = o ∘ tanh(c_t); i, f, o = σ(W x_t + U h_{t-1} + b), g = tanh of the same form.

    No peepholes. One bias, whose forget part starts at 1 (Jozefowicz et al. 2015); torch.nn.LSTM has two that add up.
    `initial="uniform"` starts as torch.nn.LSTM does: all weights from U(-1/√H, 1/√H), the bias the sum of two such, so
    that a unit forgets half of its cell at every step.
    `forget_gate=False` is the cell of 1997, c_t = c_{t-1} + i ∘ g. `heads` > 1 makes U block-diagonal: the H units form
    heads of K = H / heads, and a unit's gates see the hidden state of its own head alone (the memory mixing of Beck et
    al. 2024, arXiv:2405.04517, § 2.2, and of Pöppel et al. 2024, arXiv:2412.07752); W stays dense. Parameters, gates in
    the order i, f, g, o (i, g, o without forget gate): `weight_input` (4H, D), `weight_hidden` (4H, K), `bias` (4H,);
    row n of a gate's H rows belongs to head n // K. The output is h_t.

    Runs on torch's fused kernel (on the CPU oneDNN's in float32, forwards and backwards, lengths or not; cuDNN on
    CUDA), which knows no padding: past a row's end an extra input feature shuts the input gate and opens the forget
    gate, so that c passes over the padding bit by bit. Heads are LSTMs of their own over the same input, so that each
    is a call of the same kernel. Many wide rows of which much is padding run without it on the CPU (`ops.packed`), but
    not under autocast, where oneDNN's kernel is in 16 bits.

    Raises:
        ValueError: "d_hidden = 10 is not a multiple of heads = 4"; "initial must be 'orthogonal' or 'uniform', got
            'zeros'".
    """

    carries: ClassVar[int] = 2

    def __init__(
        self,
        d_model: int,
        d_hidden: int | None = None,
        d_summary: int | None = None,
        forget_gate: bool = True,
        heads: int = 1,
        initial: Initial = "orthogonal",
    ) -> None:
        super().__init__(d_model, d_hidden, d_summary)
        if heads < 1 or self.d_hidden % heads:
            raise ValueError(f"d_hidden = {self.d_hidden} is not a multiple of heads = {heads}")
        self.gate_order = ("input", *(["forget"] if forget_gate else []), "candidate", "output")
        self.forget_gate, self.heads, self.d_head = forget_gate, heads, self.d_hidden // heads
        gates = 4 if forget_gate else 3
        self.weight_input = input_weight(gates, self.d_hidden, d_model)
        self.weight_hidden = recurrent_weight(gates * heads, self.d_head)
        self.bias = nn.Parameter(torch.zeros(gates * self.d_hidden))
        if initial not in ("orthogonal", "uniform"):
            raise ValueError(f"initial must be 'orthogonal' or 'uniform', got {initial!r}")
        if initial == "uniform":
            self._draw_uniformly()
        elif forget_gate:
            nn.init.ones_(self.bias[self.d_hidden : 2 * self.d_hidden])

    @torch.no_grad()
    def _draw_uniformly(self) -> None:
        bound = self.d_hidden**-0.5
        for parameter in (self.weight_input, self.weight_hidden, self.bias):
            parameter.uniform_(-bound, bound)
        self.bias.add_(torch.empty_like(self.bias).uniform_(-bound, bound))

    def gates(self, x: Position, hidden: Hidden) -> Mapping[str, Hidden]:
        gates = x @ self.weight_input.T + self._mixed(hidden) + self.bias
        named = zip(self.gate_order, gates.chunk(len(self.gate_order), 1), strict=True)
        return {name: torch.sigmoid(gate) for name, gate in named if name != "candidate"}

    def packed(self, x: Sequences, documents: Documents | None) -> tuple[Cell, CellWeights] | None:
        if documents is None or self.heads > 1 or not self.differentiated(x) or torch.is_autocast_enabled("cpu"):
            return None
        rows, longest = documents.valid.shape
        if rows < ROWS or rows * self.d_hidden < WORK or PADDED * int(documents.length.sum()) >= rows * longest:
            return None
        return LSTMCell(self.forget_gate), CellWeights(self.weight_input, self.weight_hidden, self.bias)

    def run(self, x: Sequences, carried: Carried, length: Counts | None) -> tuple[HiddenSequences, Carried]:
        weight_input, weight_hidden, bias = self._four_gates()
        if length is not None:
            past = torch.arange(x.shape[1], device=x.device) >= length.unsqueeze(1)  # (B, T)
            x = torch.cat([x, past.unsqueeze(-1).to(x.dtype)], 2)
            weight_input = torch.cat([weight_input, self._holding(weight_input)], 1)
        weights = (weight_input, weight_hidden, bias, torch.zeros_like(bias))
        if self.heads == 1:
            y, hidden, cell = _fused(x, carried, weights)
        else:
            heads = zip(zip(*(part.chunk(self.heads, 1) for part in carried)), zip(*map(self._by_head, weights)))
            y, hidden, cell = (torch.cat(part, -1) for part in zip(*(_fused(x, *of_head) for of_head in heads)))
        return y, (hidden if length is None else at_length(carried[0], y, length), cell)

    def _by_head(self, weights: Tensor) -> list[Tensor]:
        """The rows (4K, ·) of every head out of (4H, ·)."""
        return [part.flatten(0, 1) for part in weights.unflatten(0, (4, self.heads, self.d_head)).unbind(1)]

    def _four_gates(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights for the four-gate kernel; a missing forget gate is one that is always open."""
        if self.forget_gate:
            return self.weight_input, self.weight_hidden, self.bias
        widened = []
        for tensor, value in ((self.weight_input, 0.0), (self.weight_hidden, 0.0), (self.bias, SHUT)):
            i, g, o = tensor.chunk(3)
            widened.append(torch.cat([i, torch.full_like(i, value), g, o]))
        return widened[0], widened[1], widened[2]

    def _holding(self, like: Tensor) -> Tensor:
        """The extra feature's weights (4H, 1): input gate shut, forget gate open."""
        column = like.new_zeros(4, self.d_hidden)
        column[0], column[1] = -SHUT, SHUT
        return column.view(-1, 1)

    def step(self, x_t: Position, state: RecurrentState) -> tuple[MixedPosition, RecurrentState]:
        hidden, cell = state.carried
        gates = x_t @ self.weight_input.T + self._mixed(hidden) + self.bias
        if self.forget_gate:
            i, f, g, o = gates.chunk(4, 1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        else:
            i, g, o = gates.chunk(3, 1)
            cell = cell + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(cell)
        return hidden, replaced(state, carried=(hidden, cell))

    def _mixed(self, hidden: Tensor) -> Tensor:
        """U h (B, gates·H), all heads' blocks in one batched product."""
        if self.heads == 1:
            return hidden @ self.weight_hidden.T
        blocks = self.weight_hidden.unflatten(0, (-1, self.heads, self.d_head))  # (gates, heads, K, K)
        blocks = blocks.permute(1, 3, 0, 2).flatten(2)  # (heads, K, gates·K)
        by_head = hidden.unflatten(1, (self.heads, self.d_head)).transpose(0, 1) @ blocks  # (heads, B, gates·K)
        return by_head.unflatten(2, (-1, self.d_head)).permute(1, 2, 0, 3).flatten(1)


def _fused(x: Tensor, carried: Carried, weights: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs (B, T, H) and the last hidden and cell state (B, H) of torch's kernel."""
    hidden, cell = (part.unsqueeze(0).contiguous() for part in carried)
    y, hidden, cell = torch.lstm(x, (hidden, cell), weights, True, 1, 0.0, False, False, True)
    return y, hidden.squeeze(0), cell.squeeze(0)
