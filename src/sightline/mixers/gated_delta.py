"""The delta rule with decay, Gated DeltaNet (Yang, Kautz & Hatamizadeh 2025, arXiv:2412.06464), and DeltaNet without.

A key replaces the value that the state contains for it, where linear attention adds to that value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import nn
from torch.nn import functional as F

from sightline.core.probe import Probe
from sightline.core.shapes import Elementwise, Mask, MixedSequences, ProjectedSequences, Sequences, Starts
from sightline.ops.linear import LinearState, linear_attention
from sightline.parts.attention_heads import head_size, hide, join_heads, split_heads
from sightline.parts.decay import HeadDecay
from sightline.parts.projections import Projections
from sightline.parts.short_convolution import ConvolvedRecurrence, ShortConvolution


@final
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


@final
class GatedDelta(ConvolvedRecurrence):
    """W_O (RMSNorm(o) ∘ silu(W_g x)), o_t = q_t S_t, S_t = α_t (I - β_t k_tᵀ k_t) S_{t-1} + β_t k_tᵀ v_t (eq. 10).

    q, k and v are read through a short convolution over `convolution` positions and silu (0 = silu alone). q and k then
    have length 1 in each head, so that a key removes the share β_t = σ(w_β · x_t) of the value stored for it.
    α_t = exp(-A Δ_t) is `parts.decay.HeadDecay`'s, 1 without `decay`; without `gate` the norm's output is the result.
    The norm is over each head's values; all heads share its scale. No projection has a bias. The matrix A of o = A v
    over the positions of a call is formed only for a hook on `self.weights`, shape (B, H, T, S).
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
        self.weights = Probe("B H T S", implicit=True, signed=True)

    def start_from(self, trained: Projections) -> list[str]:
        """See `parts.projections.StartsFrom`; the short convolution then begins as the identity."""
        weights = {"query": trained.query, "key": trained.key, "value": trained.value}
        parts = self.read.weight.split(self.sizes)
        places = [(name, own, weights[name]) for name, own in zip(weights, parts, strict=True)]
        places.append(("out", self.out.weight, trained.out))
        copied = [(name, own, weight) for name, own, weight in places if own.shape == weight.shape]
        with torch.no_grad():
            for _, own, weight in copied:
                own.copy_(weight)
        if copied:
            self.convolution.be_identity()
        return [name for name, _, _ in copied]

    def recur(
        self, x: Sequences, read: ProjectedSequences, memory: LinearState, mask: Mask | None, starts: Starts | None
    ) -> tuple[MixedSequences, LinearState]:
        q, k, v = (split_heads(part, self.heads) for part in read.split(self.sizes, 2))
        wide = memory.memory.dtype
        y, memory = linear_attention(
            unit(q.to(wide)),
            hide(unit(k.to(wide)), mask),
            v,
            decay=None if self.decay is None else hide(self.decay(x)[0], mask),
            beta=hide(torch.sigmoid(self.rate(x).to(wide)).transpose(1, 2), mask),
            state=memory,
            starts=starts,
            probe=self.weights,
        )
        y = join_heads(self.norm(y))
        if self.gate is not None:
            y = y * F.silu(self.gate(x))
        return self.out(y), memory


def unit(x: Elementwise) -> Elementwise:
    """x over its length along the last axis, 0 and finite gradients for 0."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)
