"""A short convolution as a layer of its own."""

from __future__ import annotations

import math
from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from sightline.core.mixer import Memory, SequenceMixer, check_inputs, keep
from sightline.core.shapes import Mask, MixedSequences, Sequences, Starts
from sightline.ops.convolve import convolve
from sightline.parts.positions import advance


class ConvolutionState(NamedTuple):
    """The state of a convolution."""

    tail: Tensor  # (B, W-1, D) its last inputs
    position: Tensor  # (B,) real tokens of the current document so far


@final
class CausalConvolution(SequenceMixer[ConvolutionState]):
    """y_t = Σ_i w_i ∘ x_{t-i} over the `width` positions up to t, each channel for itself, without a nonlinearity.

    It gives a token the tokens before it, which a mechanism without positions cannot distinguish and which associative
    recall needs (Arora et al. 2023, arXiv:2312.04927).

    Raises:
        ValueError: "width must be at least 2 positions, got 1".
    """

    def __init__(self, d_model: int, width: int = 3) -> None:
        super().__init__()
        if width < 2:
            raise ValueError(f"width must be at least 2 positions, got {width}")
        self.d_model = self.d_out = d_model
        self.width = width
        bound = 1.0 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(d_model, width).uniform_(-bound, bound))

    def initial_state(self, batch: int, memory: Memory | None = None) -> ConvolutionState:
        tail = self.weight.new_zeros(batch, self.width - 1, self.d_model)
        return ConvolutionState(tail, torch.zeros(batch, dtype=torch.long, device=tail.device))

    def forward(
        self,
        x: Sequences,
        state: ConvolutionState | None = None,
        mask: Mask | None = None,
        starts: Starts | None = None,
    ) -> tuple[MixedSequences, ConvolutionState]:
        check_inputs(x, self.d_model, mask, starts)
        state = self.initial_state(x.shape[0]) if state is None else state
        positions, after = advance(state.position, x.shape[1], mask, starts)
        y, tail = convolve(keep(x, mask), self.weight, state.tail, positions, mask, starts)
        return keep(y, mask), ConvolutionState(tail, after)
