"""The base of minGRU and minLSTM: gates depend on the input alone, so that all positions are computed at once."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.mixer import Memory, SequenceMixer, check_inputs, check_memory, keep
from sightline.core.shapes import (
    Hidden,
    HiddenSequences,
    Mask,
    MixedPosition,
    MixedSequences,
    Position,
    ProjectedPosition,
    ProjectedSequences,
    Sequences,
    Starts,
)
from sightline.core.state import replaced
from sightline.ops.derivatives import connected_zeros
from sightline.ops.scan import positive
from sightline.parts.recurrent import RecurrentState, input_weight

Candidate = Literal["positive", "linear"]


class MinimalRecurrence(SequenceMixer[RecurrentState]):
    """h_t = forget_t ∘ h_{t-1} + take_t ∘ g(c_t); gates and candidate c_t = W_h x_t + b_h see x_t, never h_{t-1}.

    `candidate="positive"`: g(x) = x + 1/2 for x >= 0, σ(x) below, as in the log-space form of Feng et al. 2024
    (arXiv:2410.01201); the recurrence itself needs no logarithms here (`ops.scan`). `"linear"`: g(x) = x. The state
    before the first position is g(0), and g(W s) of the memory's summary s with `d_summary`.
    Parameters: `weight_input` (G·H, D) and `bias` (G·H,), the gates first, the candidate last. The output is h_t.

    Raises:
        ValueError: "candidate must be positive or linear, got 'tanh'".
    """

    def __init__(
        self, d_model: int, d_hidden: int | None, d_summary: int | None, candidate: Candidate, gates: int
    ) -> None:
        super().__init__()
        if candidate not in ("positive", "linear"):
            raise ValueError(f"candidate must be positive or linear, got {candidate!r}")
        self.candidate = candidate
        self.d_model = d_model
        self.d_hidden = self.d_out = d_model if d_hidden is None else d_hidden
        self.d_summary = d_summary
        if d_summary is not None:
            self.from_summary = nn.Linear(d_summary, self.d_hidden)
        self.weight_input = input_weight(gates + 1, self.d_hidden, d_model)
        self.bias = nn.Parameter(torch.zeros((gates + 1) * self.d_hidden))

    @abstractmethod
    def scan(
        self, u: ProjectedSequences, initial: Hidden, first: Hidden, mask: Mask | None, starts: Starts | None
    ) -> HiddenSequences:
        """All states (B, T, H) from u = W x + b (B, T, G·H), flags as in `ops.minimal.minimal_scan`."""

    @abstractmethod
    def advance(self, u_t: ProjectedPosition, hidden: Hidden) -> Hidden:
        """The next state (B, H) from u_t (B, G·H) and the last one."""

    def initial_state(self, batch: int, memory: Memory | None = None) -> RecurrentState:
        if self.d_summary is None:
            return RecurrentState((self._first(batch),))
        memory = check_memory(memory, batch, None, self.d_summary, type(self).__name__)
        first = (self.activate(self.from_summary(memory.summary)),)
        return RecurrentState(first, first)

    def forward(
        self, x: Sequences, state: RecurrentState | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, RecurrentState]:
        check_inputs(x, self.d_model, mask, starts)
        state = self.initial_state(x.shape[0]) if state is None else state
        if x.shape[0] == 0 or x.shape[1] == 0:
            return connected_zeros((*x.shape[:2], self.d_out), x, *self.parameters(), *state.carried), state
        (hidden,) = state.carried
        first = self._first(x.shape[0]) if state.first is None else state.first[0]
        u = F.linear(keep(x, mask), self.weight_input, self.bias)
        h = self.scan(u, hidden, first, mask, starts)
        return keep(h.to(u.dtype), mask), replaced(state, carried=(h[:, -1].to(hidden.dtype),))

    def step(self, x_t: Position, state: RecurrentState) -> tuple[MixedPosition, RecurrentState]:
        (hidden,) = state.carried
        u_t = F.linear(x_t, self.weight_input, self.bias)  # under autocast narrower than the state
        h = self.advance(u_t.to(hidden.dtype), hidden)
        return h.to(u_t.dtype), replaced(state, carried=(h,))

    def activate(self, x: Tensor) -> Tensor:
        """The candidate's g."""
        return positive(x) if self.candidate == "positive" else x

    def _first(self, batch: int) -> Tensor:
        value = 0.5 if self.candidate == "positive" else 0.0
        return self.bias.new_full((batch, self.d_hidden), value)
