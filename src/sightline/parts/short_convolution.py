"""The short convolution that recurrences of linear attention read their inputs through."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.ops.convolve import convolve


class ShortConvolution(nn.Module):
    """silu of a causal convolution over the last `width` positions, each channel for itself (B, T, D).

    What it remembers is its last width - 1 inputs: a tail (B, width - 1, D), zeros before the first.
    """

    def __init__(self, channels: int, width: int, bias: bool = False) -> None:
        super().__init__()
        if width < 2:
            raise ValueError(f"a convolution is at least 2 positions wide, got {width}")
        self.width = width
        bound = 1.0 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(channels, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(channels)) if bias else None

    def initial_tail(self, batch: int) -> Tensor:
        """Zeros (B, width - 1, D)."""
        return self.weight.new_zeros(batch, self.width - 1, self.weight.shape[0])

    def forward(
        self, x: Tensor, tail: Tensor, positions: Tensor, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Outputs (B, T, D) and the next tail; arguments as in `ops.convolve`."""
        y, tail = convolve(x, self.weight, tail, positions, mask, starts)
        return F.silu(y if self.bias is None else y + self.bias), tail
