"""The base of all recurrences: the state, its first value from a summary, documents and padding."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from sightline.core.mixer import Memory, SequenceMixer, check_inputs, check_memory, keep
from sightline.core.shapes import (
    Counts,
    Hidden,
    HiddenSequences,
    Mask,
    MixedSequences,
    Position,
    Sequences,
    Starts,
)
from sightline.core.state import replaced
from sightline.core.transforms import transformed
from sightline.ops.cells import Cell
from sightline.ops.derivatives import connected_zeros
from sightline.ops.documents import Carried, Documents, run_documents, split_documents
from sightline.ops.eager import eager
from sightline.ops.packed import CellWeights, packable, run_packed
from sightline.ops.traced import any_length
from sightline.parts.traced_steps import step_by_step


class RecurrentState(NamedTuple):
    """The state of a recurrence."""

    carried: Carried  # hidden state (B, H), and for an LSTM the cell state (B, H)
    first: Carried | None = None  # the same before a document, where a memory's summary set it; None = zeros


class Recurrent(SequenceMixer[RecurrentState]):
    """A recurrence with `carries` vectors of width `d_hidden` per row, of which the first is the output.

    With `d_summary` the state before the first position is projected from the memory's summary: tanh(W s) for the
    hidden state (Cho et al. 2014, appendix A.1), W s for a cell state. Without it, zeros.
    """

    carries: ClassVar[int] = 1

    gate_order: tuple[str, ...] = ()  # what the blocks of `weight_hidden` compute

    def __init__(self, d_model: int, d_hidden: int | None, d_summary: int | None) -> None:
        super().__init__()
        self.d_model = d_model
        self.d_hidden = self.d_out = d_model if d_hidden is None else d_hidden
        self.d_summary = d_summary
        if d_summary is not None:
            self.from_summary = nn.Linear(d_summary, self.carries * self.d_hidden)

    @abstractmethod
    def run(self, x: Sequences, carried: Carried, length: Counts | None) -> tuple[HiddenSequences, Carried]:
        """Outputs (B, T, H), T >= 1, and the state after `length` (B,) positions, None = T."""

    def gates(self, x: Position, hidden: Hidden) -> Mapping[str, Hidden]:
        """Values of the squashing functions of a step, by name, in (0, 1): x (N, D), hidden state before it (N, H)."""
        return {}

    def packed(self, x: Sequences, documents: Documents | None) -> tuple[Cell, CellWeights] | None:
        """The cell and weights for packed rows, None where `run` is as fast; documents None = one document per row."""
        return None

    def differentiated(self, x: Tensor) -> bool:
        """Whether gradients are recorded."""
        return torch.is_grad_enabled() and (x.requires_grad or self.like.requires_grad)

    @property
    def like(self) -> Tensor:
        """A parameter, for its device and dtype."""
        return next(self.parameters())

    def initial_state(self, batch: int, memory: Memory | None = None) -> RecurrentState:
        if self.d_summary is None:
            return RecurrentState(self._zeros(batch))
        memory = check_memory(memory, batch, None, self.d_summary, type(self).__name__)
        hidden, *rest = self.from_summary(memory.summary).chunk(self.carries, 1)
        first = (torch.tanh(hidden), *rest)
        return RecurrentState(first, first)

    def forward(
        self, x: Sequences, state: RecurrentState | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, RecurrentState]:
        check_inputs(x, self.d_model, mask, starts)
        batch, steps, _ = x.shape
        state = self.initial_state(batch) if state is None else state
        if batch == 0 or steps == 0:
            y = connected_zeros((batch, steps, self.d_out), x, *self.parameters(), *state.carried)
            if batch == 0:  # the state is all that a decoder without attention reads
                state = replaced(state, carried=tuple(connected_zeros(part.shape, part, y) for part in state.carried))
            return y, state
        fresh = self._zeros(batch) if state.first is None else state.first
        if any_length(steps):
            return step_by_step(self, x, state, mask, starts, fixed=("first",))
        recur = self._recur_by_steps if transformed() or torch.compiler.is_exporting() else self._recur
        y, carried = recur(x, state.carried, fresh, mask, starts)
        return y, replaced(state, carried=carried)

    @eager  # a graph would repeat the step for every position; torch.compile leaves nn.LSTM and nn.GRU alone too
    def _recur(
        self, x: Tensor, carried: Carried, fresh: Carried, mask: Tensor | None, starts: Tensor | None
    ) -> tuple[Tensor, Carried]:
        """Outputs (B, T, H) and the state after the rows, by the fastest way at hand; B, T >= 1."""
        documents = None if mask is None and starts is None else split_documents(mask, starts)
        packed = self.packed(x, documents) if packable(self.like, x, *carried, *fresh) else None
        if packed is not None:
            return run_packed(*packed, x, carried, fresh, documents)
        if documents is None:
            return self.run(x, carried, None)
        return run_documents(self._run_any, x, carried, fresh, documents)

    def _recur_by_steps(
        self, x: Tensor, carried: Carried, fresh: Carried, mask: Tensor | None, starts: Tensor | None
    ) -> tuple[Tensor, Carried]:
        """`_recur` by `step`, without a look at values, for torch's transforms, which cannot read fused kernels."""
        outputs = []
        for t, x_t in enumerate(keep(x, mask).unbind(1)):
            before = carried if starts is None else _chosen(starts[:, t], fresh, carried)
            y, (after, _) = self.step(x_t, RecurrentState(before))
            carried = after if mask is None else _chosen(mask[:, t], after, before)
            outputs.append(y)
        return keep(torch.stack(outputs, 1), mask), carried

    def _run_any(self, x: Tensor, carried: Carried, length: Tensor) -> tuple[Tensor, Carried]:
        if x.shape[1] == 0:
            return connected_zeros((x.shape[0], 0, self.d_out), x, *self.parameters(), *carried), carried
        return self.run(x, carried, length)

    def _zeros(self, batch: int) -> Carried:
        return tuple(self.like.new_zeros(batch, self.d_hidden) for _ in range(self.carries))


def _chosen(flag: Tensor, first: Carried, second: Carried) -> Carried:
    """`first` where the flag (B,) is True, `second` elsewhere, both (B, H)."""
    return tuple(torch.where(flag.unsqueeze(1), *pair) for pair in zip(first, second, strict=True))


def recurrent_weight(gates: int, d_hidden: int) -> nn.Parameter:
    """Hidden-to-hidden weights (gates·H, H), each gate's block orthogonal, so that no direction starts by vanishing."""
    return _by_gate(nn.init.orthogonal_, gates, d_hidden, d_hidden)


def input_weight(gates: int, d_hidden: int, d_model: int) -> nn.Parameter:
    """Input-to-hidden weights (gates·H, D), Glorot-uniform for each gate."""
    return _by_gate(nn.init.xavier_uniform_, gates, d_hidden, d_model)


def _by_gate(initialise: Callable[[Tensor], Tensor], gates: int, rows: int, columns: int) -> nn.Parameter:
    # In place: on the meta device, on which sizes are counted, torch.cat would import torch's compiler.
    whole = torch.empty(gates * rows, columns)
    for block in whole.split(rows):
        initialise(block)
    return nn.Parameter(whole)
