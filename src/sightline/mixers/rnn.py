"""The simple recurrent network (Elman 1990, "Finding Structure in Time")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from sightline.core.shapes import Counts, Hidden, HiddenSequences, MixedPosition, Position, Sequences
from sightline.core.state import replaced
from sightline.ops.cells import Cell, ElmanCell
from sightline.ops.documents import Carried, Documents, at_length
from sightline.ops.packed import CellWeights
from sightline.parts.recurrent import Recurrent, RecurrentState, input_weight, recurrent_weight


@final
@dataclass(frozen=True)
class RNNConfig:
    """Options of `RNN`; `None` widths mean `d_model` (d_hidden) and no summary (d_summary)."""

    d_hidden: int | None = None
    d_summary: int | None = None

    def build(self, d_model: int) -> RNN:
        return RNN(d_model, self.d_hidden, self.d_summary)

    @classmethod
    def examples(cls) -> tuple[RNNConfig, ...]:
        return (cls(), cls(d_hidden=5, d_summary=7))


@final
class RNN(Recurrent):
    """h_t = tanh(W x_t + U h_{t-1} + b), the output is h_t (Elman 1990; Pascanu et al. 2013, eq. 1 with tanh outside).

    One bias: torch.nn.RNN has two that only ever appear as a sum. Parameters: `weight_input` W (H, D),
    `weight_hidden` U (H, H), `bias` b (H,).
    """

    gate_order = ("hidden",)

    def __init__(self, d_model: int, d_hidden: int | None = None, d_summary: int | None = None) -> None:
        super().__init__(d_model, d_hidden, d_summary)
        self.weight_input = input_weight(1, self.d_hidden, d_model)
        self.weight_hidden = recurrent_weight(1, self.d_hidden)
        self.bias = nn.Parameter(torch.zeros(self.d_hidden))

    def gates(self, x: Position, hidden: Hidden) -> Mapping[str, Hidden]:
        """The new hidden state, moved from (-1, 1) to (0, 1)."""
        h = torch.tanh(x @ self.weight_input.T + hidden @ self.weight_hidden.T + self.bias)
        return {"hidden": (1 + h) / 2}

    def packed(self, x: Sequences, documents: Documents | None) -> tuple[Cell, CellWeights] | None:
        if documents is None and not self.differentiated(x):
            return None
        return ElmanCell(), CellWeights(self.weight_input, self.weight_hidden, self.bias)

    def run(self, x: Sequences, carried: Carried, length: Counts | None) -> tuple[HiddenSequences, Carried]:
        (hidden,) = carried
        weights = (self.weight_input, self.weight_hidden, self.bias, torch.zeros_like(self.bias))
        y, final = torch.rnn_tanh(x, hidden.unsqueeze(0).contiguous(), weights, True, 1, 0.0, False, False, True)
        return y, (final.squeeze(0) if length is None else at_length(hidden, y, length),)

    def step(self, x_t: Position, state: RecurrentState) -> tuple[MixedPosition, RecurrentState]:
        (hidden,) = state.carried
        hidden = torch.tanh(x_t @ self.weight_input.T + hidden @ self.weight_hidden.T + self.bias)
        return hidden, replaced(state, carried=(hidden,))
