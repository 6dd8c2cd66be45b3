"""The contract that every mechanism obeys.

Alphabet of shapes, used everywhere: B batch, T query positions, S key positions, M memory positions, D model width,
H heads, K key size, V value size. Batch first. Masks are bool and `True` means real, keep.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import nn

from sightline.core.shapes import (
    AnyTensor,
    Mask,
    MemoryMask,
    MemoryValues,
    MixedPosition,
    MixedSequences,
    Position,
    Sequences,
    Starts,
    Summary,
)

S = TypeVar("S")


class Memory(NamedTuple):
    """An encoder's output as a decoder reads it. Several sources are several stretches of one memory."""

    values: MemoryValues
    mask: MemoryMask | None = None  # True = real; None = all real
    summary: Summary | None = None  # all that a decoder without attention gets


class Stateless(NamedTuple):
    """The state of a mixer that remembers nothing."""


class SequenceMixer(nn.Module, ABC, Generic[S]):
    """Mixes a sequence causally: position t sees positions <= t.

    The law: a sequence fed in any chunks gives the same as the whole (outputs, final state, gradients).
    States are values; no call changes a state it was given and none is kept on the module.

    `d_memory` and `d_summary` are the widths of the memory's values and summary that this mixer reads, `None` where it
    reads none. A mixer that reads a memory gets it once, in `initial_state`, and keeps what it needs in the state.
    """

    causal: ClassVar[bool] = True
    d_model: int  # width of the input
    d_out: int  # width of the output
    d_memory: int | None = None
    d_summary: int | None = None

    @abstractmethod
    def initial_state(self, batch: int, memory: Memory | None = None) -> S:
        """The state before the first position of `batch` rows."""

    @abstractmethod
    def forward(
        self, x: Sequences, state: S | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, S]:
        """Outputs (B, T, d_out) and the state after position T, for any T >= 0.

        x (B, T, d_model); state None means `initial_state(B)`; mask (B, T), False = padding, which changes neither
        state nor positions and whose outputs are zero; starts (B, T), True where a new document begins: nothing before
        it is visible from there on, and states and positions start again.
        """

    def step(self, x_t: Position, state: S) -> tuple[MixedPosition, S]:
        """One position: x_t (B, d_model) to (B, d_out) and the next state."""
        y, state = self(x_t.unsqueeze(1), state)
        return y.squeeze(1), state


class SequenceEncoder(nn.Module, ABC):
    """Mixes a whole sequence: every position may see every other. It has no step to misuse."""

    causal: ClassVar[bool] = False
    d_model: int
    d_out: int

    @abstractmethod
    def forward(self, x: Sequences, mask: Mask | None = None, starts: Starts | None = None) -> MixedSequences:
        """Outputs (B, T, d_out) from x (B, T, d_model); mask and starts (B, T) as in `SequenceMixer.forward`."""


def check_inputs(x: AnyTensor, d_model: int, mask: AnyTensor | None = None, starts: AnyTensor | None = None) -> None:
    """Raise `ValueError` where x is not (B, T, d_model) or a mask or starts is not a bool (B, T)."""
    if x.dim() != 3 or x.shape[2] != d_model:
        raise ValueError(f"expected x of shape (B, T, {d_model}), got {tuple(x.shape)}")
    for name, flags in (("mask", mask), ("starts", starts)):
        if flags is None:
            continue
        if flags.dtype != torch.bool:
            raise ValueError(
                f"{name} must be bool with True = {'real' if name == 'mask' else 'a new document'}, got {flags.dtype}"
            )
        if flags.shape != x.shape[:2]:
            raise ValueError(f"expected {name} of shape {tuple(x.shape[:2])}, got {tuple(flags.shape)}")


def check_memory(memory: Memory | None, batch: int, d_memory: int | None, d_summary: int | None, who: str) -> Memory:
    """The memory, or `ValueError` where it lacks what the mixer `who` reads or its shapes do not fit."""
    if memory is None:
        raise ValueError(f"{who} reads a memory: call initial_state(batch, memory)")
    values, mask, summary = memory
    if d_memory is not None and (values.dim() != 3 or values.shape[0] != batch or values.shape[2] != d_memory):
        raise ValueError(f"{who} expects memory values of shape ({batch}, M, {d_memory}), got {tuple(values.shape)}")
    if mask is not None and (mask.dtype != torch.bool or mask.shape != values.shape[:2]):
        raise ValueError(
            f"memory mask must be bool of shape {tuple(values.shape[:2])}, got {mask.dtype} {tuple(mask.shape)}"
        )
    if d_summary is not None:
        if summary is None:
            raise ValueError(f"{who} reads the memory's summary of width {d_summary}, and this memory has none")
        if summary.shape != (batch, d_summary):
            raise ValueError(f"{who} expects a summary of shape ({batch}, {d_summary}), got {tuple(summary.shape)}")
    return memory


def keep(x: Sequences, mask: Mask | None) -> Sequences:
    """x with zeros wherever the mask is False: content there, NaN too, has no effect and receives no gradient."""
    return x if mask is None else x.masked_fill(~mask.unsqueeze(-1), 0.0)
