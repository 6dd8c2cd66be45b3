"""The delta rule with decay, Gated DeltaNet (Yang, Kautz & Hatamizadeh 2025, arXiv:2412.06464), and DeltaNet without.

A key does not add its value to what the state holds for it, as in linear attention, but replaces it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.mixer import Memory, SequenceMixer, check_inputs, keep
from sightline.ops.linear import LinearState, initial_linear_state, linear_attention
from sightline.parts.attention_heads import head_size, hide, join_heads, split_heads
from sightline.parts.decay import HeadDecay
from sightline.parts.short_convolution import ConvolvedState, ShortConvolution


@dataclass(frozen=True)
class GatedDeltaConfig:
    """Options of `GatedDelta`: d_head (keys) None = D/H, d_value None = d_head, convolution 0 = none.

    `decay=False, gate=False` is DeltaNet (Yang, Wang, Zhang et al. 2024, arXiv:2406.06484).
    """

    heads: int = 4
    d_head: int | None = None
    d_value: int | None = None
    decay: bool = True
    gate: bool = True
    convolution: int = 4

    def build(self, d_model: int) -> GatedDelta:
        return GatedDelta(d_model, self.heads, self.d_head, self.d_value, self.decay, self.gate, self.convolution)

    @classmethod
    def examples(cls) -> tuple[GatedDeltaConfig, ...]:
        return (
            cls(heads=2),
            cls(heads=3, d_head=5, d_value=3, convolution=0),
            cls(heads=2, decay=False, gate=False),
            cls(heads=3, d_head=7, decay=False, convolution=3),
        )


class GatedDelta(SequenceMixer[ConvolvedState]):
    """W_O (RMSNorm(o) ∘ silu(W_g x)), o_t = q_t S_t, S_t = α_t (I - β_t k_tᵀ k_t) S_{t-1} + β_t k_tᵀ v_t (eq. 10).

    q, k and v are read through a short convolution over `convolution` positions and silu (0 = silu alone); q and k are
    then of length 1 for each head, so that with β_t = σ(w_β · x_t) a key takes the part β_t of what is held for it
    away. α_t = exp(-A Δ_t) is `parts.decay.HeadDecay`'s, 1 without `decay`; without `gate` the norm's output is used as
    it is. The norm is taken over each head's values; its scale is shared by the heads. No projection has a bias.
    """

    def __init__(
        self,
        d_model: int,
        heads: int = 4,
        d_head: int | None = None,
        d_value: int | None = None,
        decay: bool = True,
        gate: bool = True,
        convolution: int = 4,
    ) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.heads = heads
        self.d_head = head_size(d_model, heads, d_head)
        self.d_value = d_value or self.d_head
        self.sizes = [heads * self.d_head, heads * self.d_head, heads * self.d_value]
        self.read = nn.Linear(d_model, sum(self.sizes), bias=False)  # q, k, v
        self.convolution = ShortConvolution(sum(self.sizes), convolution)
        self.rate = nn.Linear(d_model, heads, bias=False)
        self.decay = HeadDecay(d_model, heads) if decay else None
        self.norm = nn.RMSNorm(self.d_value, eps=1e-5)
        self.gate = nn.Linear(d_model, self.sizes[2], bias=False) if gate else None
        self.out = nn.Linear(self.sizes[2], d_model, bias=False)
        for linear in (self.read, self.rate, self.gate, self.out):
            if linear is not None:
                nn.init.xavier_uniform_(linear.weight)

    def initial_state(self, batch: int, memory: Memory | None = None) -> ConvolvedState:
        zeros = initial_linear_state(batch, self.heads, self.d_head, self.d_value, like=self.out.weight).memory
        return self.convolution.initial_state(zeros)

    def forward(
        self, x: Tensor, state: ConvolvedState | None = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, ConvolvedState]:
        check_inputs(x, self.d_model, mask, starts)
        if state is None:
            state = self.initial_state(x.shape[0])
        x = keep(x, mask)
        read, state = self.convolution(self.read(x), state, mask, starts)
        q, k, v = (split_heads(part, self.heads) for part in read.split(self.sizes, 2))
        wide = state.memory.dtype
        decay = None if self.decay is None else hide(self.decay(x)[0], mask)
        y, carried = linear_attention(
            unit(q.to(wide)),
            hide(unit(k.to(wide)), mask),
            v,
            decay=decay,
            beta=hide(torch.sigmoid(self.rate(x).to(wide)).transpose(1, 2), mask),
            state=LinearState(state.memory),
            starts=starts,
        )
        y = join_heads(self.norm(y))
        if self.gate is not None:
            y = y * F.silu(self.gate(x))
        return keep(self.out(y), mask), state._replace(memory=carried.memory)


def unit(x: Tensor) -> Tensor:
    """x over its length along the last axis, 0 and finite gradients for 0."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)
