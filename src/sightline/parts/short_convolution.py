"""Recurrences of linear attention that read their inputs through a short convolution."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.mixer import Memory, SequenceMixer, check_inputs, keep
from sightline.core.shapes import Mask, MixedSequences, ProjectedSequences, Sequences, Starts
from sightline.core.state import replaced
from sightline.ops.convolve import convolve
from sightline.ops.linear import LinearState, initial_linear_state
from sightline.parts.plain_linear import sample_of
from sightline.parts.positions import advance


class ConvolvedState(NamedTuple):
    """The state of a `ConvolvedRecurrence`."""

    memory: Tensor  # (B, H, K, V) decayed sum of kᵀ v, float32 or wider
    tail: Tensor | None = None  # (B, W-1, ·) the convolution's last inputs; None without one
    position: Tensor | None = None  # (B,) real tokens of the current document so far, for the convolution


@final
class ShortConvolution(nn.Module):
    """silu of a causal convolution over the last `width` positions, each channel for itself; width 0 is silu alone.

    Its state is its last width - 1 inputs, zeros before the first.
    """

    def __init__(self, channels: int, width: int, bias: bool = False) -> None:
        super().__init__()
        if width < 0 or width == 1:
            raise ValueError(f"width must be 0 or at least 2 positions, got {width}")
        self.width = width
        self.weight = self.bias = None
        if width:
            bound = 1.0 / math.sqrt(width)
            self.weight = nn.Parameter(torch.empty(channels, width).uniform_(-bound, bound))
            self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    @torch.no_grad()
    def be_identity(self) -> None:
        """Let each position read itself alone, so that only silu changes it."""
        if self.weight is not None:
            self.weight.zero_()[:, -1] = 1.0
            if self.bias is not None:
                self.bias.zero_()

    def initial_state(self, memory: Tensor) -> ConvolvedState:
        """The state that has seen nothing, around an initial memory (B, H, K, V)."""
        if self.weight is None:
            return ConvolvedState(memory)
        batch, (channels, width) = memory.shape[0], self.weight.shape
        tail = self.weight.new_zeros(batch, width - 1, channels)
        return ConvolvedState(memory, tail, torch.zeros(batch, dtype=torch.long, device=memory.device))

    def forward(
        self, x: Sequences, state: ConvolvedState, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[Sequences, ConvolvedState]:
        """Outputs (B, T, ·) of x (B, T, ·) and the state with a new tail and position, and the same memory."""
        memory, tail, position = state
        if self.weight is None or tail is None or position is None:
            return F.silu(x), state
        positions, position = advance(position, x.shape[1], mask, starts)
        y, tail = convolve(x, self.weight, tail, positions, mask, starts)
        return F.silu(y if self.bias is None else y + self.bias), ConvolvedState(memory, tail, position)


class ConvolvedRecurrence(SequenceMixer[ConvolvedState]):
    """A recurrence of linear attention over `read(x)`, which a short convolution has mixed: its state and its masks.

    A mechanism sets the fields below, and `d_model` and `d_out`; its equation is `recur`.
    """

    heads: int
    d_head: int  # size of a key
    d_value: int
    read: nn.Linear
    convolution: ShortConvolution

    @abstractmethod
    def recur(
        self, x: Sequences, read: ProjectedSequences, memory: LinearState, mask: Mask | None, starts: Starts | None
    ) -> tuple[MixedSequences, LinearState]:
        """Outputs (B, T, D) and the next memory, from x (B, T, D), 0 at padding, and `read` (B, T, ·)."""

    def initial_state(self, batch: int, memory: Memory | None = None) -> ConvolvedState:
        zeros = initial_linear_state(batch, self.heads, self.d_head, self.d_value, like=sample_of(self.read)).memory
        return self.convolution.initial_state(zeros)

    def forward(
        self, x: Sequences, state: ConvolvedState | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, ConvolvedState]:
        check_inputs(x, self.d_model, mask, starts)
        state = self.initial_state(x.shape[0]) if state is None else state
        x = keep(x, mask)
        read, state = self.convolution(self.read(x), state, mask, starts)
        y, after = self.recur(x, read, LinearState(state.memory), mask, starts)
        return keep(y, mask), replaced(state, memory=after.memory)
