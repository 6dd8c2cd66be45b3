"""The gated recurrent unit (Cho et al. 2014, arXiv:1406.1078)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn

from sightline.core.shapes import Counts, Hidden, HiddenSequences, MixedPosition, Position, Sequences
from sightline.core.state import replaced
from sightline.core.transforms import transformed
from sightline.ops.cells import Cell, GRUCell
from sightline.ops.documents import Carried, Documents, at_length
from sightline.ops.gates import gate_and_candidate, transposed_parts
from sightline.ops.packed import CellWeights
from sightline.parts.recurrent import Recurrent, RecurrentState, input_weight, recurrent_weight


@final
@dataclass(frozen=True)
class GRUConfig:
    """Options of `GRU`; `None` widths mean `d_model` (d_hidden) and no summary (d_summary)."""

    d_hidden: int | None = None
    d_summary: int | None = None
    reset: Literal["before", "after"] = "after"

    def build(self, d_model: int) -> GRU:
        return GRU(d_model, self.d_hidden, self.d_summary, self.reset)

    @classmethod
    def examples(cls) -> tuple[GRUConfig, ...]:
        return (cls(), cls(d_hidden=5, d_summary=7), cls(reset="before"))


@final
class GRU(Recurrent):
    """h_t = z ∘ h_{t-1} + (1 - z) ∘ n with reset and update gates r, z = σ(W x_t + U h_{t-1} + b).

    The candidate is n = tanh(W_n x_t + b_n + r ∘ (U_n h_{t-1} + c_n)) with `reset="after"` (cuDNN and torch: one
    product per step) and n = tanh(W_n x_t + b_n + U_n (r ∘ h_{t-1})) with `reset="before"` (Cho et al. 2014, eqs. 5-8).
    Parameters, gates in the order r, z, n: `weight_input` (3H, D), `weight_hidden` (3H, H), `bias` (3H,), and with
    `reset="after"` `bias_candidate` c_n (H,), which the reset gate keeps from being redundant. The output is h_t.
    """

    gate_order = ("reset", "update", "candidate")

    def __init__(
        self,
        d_model: int,
        d_hidden: int | None = None,
        d_summary: int | None = None,
        reset: Literal["before", "after"] = "after",
    ) -> None:
        super().__init__(d_model, d_hidden, d_summary)
        if reset not in ("before", "after"):
            raise ValueError(f"reset must be 'before' or 'after', got {reset!r}")
        self.reset = reset
        self.weight_input = input_weight(3, self.d_hidden, d_model)
        self.weight_hidden = recurrent_weight(3, self.d_hidden)
        self.bias = nn.Parameter(torch.zeros(3 * self.d_hidden))
        if reset == "after":
            self.bias_candidate = nn.Parameter(torch.zeros(self.d_hidden))

    def gates(self, x: Position, hidden: Hidden) -> Mapping[str, Hidden]:
        both = slice(2 * self.d_hidden)
        gates = x @ self.weight_input[both].T + hidden @ self.weight_hidden[both].T + self.bias[both]
        reset, update = torch.sigmoid(gates).chunk(2, 1)
        return {"reset": reset, "update": update}

    def packed(self, x: Sequences, documents: Documents | None) -> tuple[Cell, CellWeights] | None:
        if self.reset == "before" or (documents is None and not self.differentiated(x)):
            return None
        hidden = self.weight_hidden.roll(self.d_hidden, 0)  # the candidate first
        return GRUCell(), CellWeights(self.weight_input, hidden, self.bias, self.bias_candidate)

    def run(self, x: Sequences, carried: Carried, length: Counts | None) -> tuple[HiddenSequences, Carried]:
        (hidden,) = carried
        y = self._run_after(x, hidden) if self.reset == "after" else self._run_before(x, hidden)
        return y, (y[:, -1] if length is None else at_length(hidden, y, length),)

    def _run_after(self, x: Tensor, hidden: Tensor) -> Tensor:
        weights = (self.weight_input, self.weight_hidden, self.bias, self._bias_hidden())
        y, _ = torch.gru(x, hidden.unsqueeze(0).contiguous(), weights, True, 1, 0.0, False, False, True)
        return y

    def _run_before(self, x: Tensor, hidden: Tensor) -> Tensor:
        weights = transposed_parts(self.weight_hidden)
        outputs = []
        for from_input in (x @ self.weight_input.T + self.bias).unbind(1):  # (B, 3H): the products that need no h
            z, n = gate_and_candidate(from_input, hidden, *weights)
            hidden = torch.lerp(n, hidden, z)
            outputs.append(hidden)
        return torch.stack(outputs, 1)

    def _bias_hidden(self) -> Tensor:
        zeros = self.bias.new_zeros(2 * self.d_hidden)
        return torch.cat([zeros, self.bias_candidate])

    def step(self, x_t: Position, state: RecurrentState) -> tuple[MixedPosition, RecurrentState]:
        (hidden,) = state.carried
        if self.reset == "after" and transformed():  # torch's cell writes in place, which vmap cannot follow
            from_hidden = hidden @ self.weight_hidden.T + self._bias_hidden()
            (hidden,) = GRUCell().advance(
                x_t @ self.weight_input.T + self.bias, from_hidden.roll(self.d_hidden, 1), (hidden,)
            )
        elif self.reset == "after":
            hidden = torch.gru_cell(x_t, hidden, self.weight_input, self.weight_hidden, self.bias, self._bias_hidden())
        else:
            from_input = x_t @ self.weight_input.T + self.bias
            z, n = gate_and_candidate(from_input, hidden, *transposed_parts(self.weight_hidden))
            hidden = torch.lerp(n, hidden, z)
        return hidden, replaced(state, carried=(hidden,))
