"""The short convolution that recurrences of linear attention read their inputs through."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.ops.convolve import convolve
from sightline.parts.positions import advance


class ConvolvedState(NamedTuple):
    """What linear attention remembers whose inputs are read through a short convolution."""

    memory: Tensor  # (B, H, K, V) decayed sum of kᵀ v, float32 or wider
    tail: Tensor | None = None  # (B, W-1, ·) the convolution's last inputs; None without one
    position: Tensor | None = None  # (B,) real tokens of the current document so far, for the convolution


class ShortConvolution(nn.Module):
    """silu of a causal convolution over the last `width` positions, each channel for itself; width 0 is silu alone.

    What it remembers is its last width - 1 inputs, zeros before the first.
    """

    def __init__(self, channels: int, width: int, bias: bool = False) -> None:
        super().__init__()
        if width < 0 or width == 1:
            raise ValueError(f"a convolution is at least 2 positions wide, got {width}")
        self.width = width
        self.weight = self.bias = None
        if width:
            bound = 1.0 / math.sqrt(width)
            self.weight = nn.Parameter(torch.empty(channels, width).uniform_(-bound, bound))
            self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def initial_state(self, memory: Tensor) -> ConvolvedState:
        """The state that has seen nothing, around an initial memory (B, H, K, V)."""
        if self.weight is None:
            return ConvolvedState(memory)
        batch, (channels, width) = len(memory), self.weight.shape
        tail = self.weight.new_zeros(batch, width - 1, channels)
        return ConvolvedState(memory, tail, torch.zeros(batch, dtype=torch.long, device=memory.device))

    def forward(
        self, x: Tensor, state: ConvolvedState, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, ConvolvedState]:
        """Outputs (B, T, ·) of x (B, T, ·) and the state with its tail and position moved on, the memory as it was."""
        memory, tail, position = state
        if self.weight is None or tail is None or position is None:
            return F.silu(x), state
        positions, position = advance(position, x.shape[1], mask, starts)
        y, tail = convolve(x, self.weight, tail, positions, mask, starts)
        return F.silu(y if self.bias is None else y + self.bias), ConvolvedState(memory, tail, position)
