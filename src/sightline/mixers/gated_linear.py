"""Linear attention whose decay depends on the input: GLA (Yang et al. 2024, arXiv:2312.06635) and Mamba-2's SSD.

`gla` decays each channel of the state by its own gate; `ssd` (Dao & Gu 2024, arXiv:2405.21060) has one decay per head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.mixer import Memory, SequenceMixer, check_inputs, keep
from sightline.core.probe import Probe
from sightline.core.shapes import Mask, MixedPosition, MixedSequences, Position, ProjectedSequences, Sequences, Starts
from sightline.ops.linear import LinearState, initial_linear_state, linear_attention, linear_attention_step
from sightline.parts.attention_heads import head_size, hide, join_heads, split_heads
from sightline.parts.decay import HeadDecay
from sightline.parts.plain_linear import sample_of
from sightline.parts.projections import Projections, fill_projections
from sightline.parts.short_convolution import ConvolvedRecurrence, ShortConvolution


@final
@dataclass(frozen=True)
class GatedLinearConfig:
    """Options of `GatedLinearAttention` (gla) and `StateSpaceDual` (ssd).

    d_head is the size of keys, None = D/2H (gla) and D/H (ssd), d_value that of values, None = D/H (gla) and 2D/H
    (ssd). `gate_rank` is for gla, `convolution`, 0 = none, for ssd.
    """

    variant: Literal["gla", "ssd"] = "gla"
    heads: int = 4
    d_head: int | None = None
    d_value: int | None = None
    gate_rank: int = 16
    convolution: int = 4

    def build(self, d_model: int) -> GatedLinearAttention | StateSpaceDual:
        if self.variant == "gla":
            return GatedLinearAttention(d_model, self.heads, self.d_head, self.d_value, self.gate_rank)
        return StateSpaceDual(d_model, self.heads, self.d_head, self.d_value, self.convolution)

    @classmethod
    def examples(cls) -> tuple[GatedLinearConfig, ...]:
        return (
            cls(heads=2),
            cls(heads=3, d_head=5, d_value=3, gate_rank=2),
            cls("ssd", heads=2),
            cls("ssd", heads=3, d_head=5, d_value=3, convolution=2),
            cls("ssd", heads=2, d_head=3, convolution=0),
        )


@final
class GatedLinearAttention(SequenceMixer[LinearState]):
    """W_O (swish(W_r x + b_r) ∘ LN(o)), o_t = q_t S_t, S_t = diag(α_t) S_{t-1} + k_tᵀ v_t for each head (§ 4.1, 4.4).

    α_t = σ(W_2 W_1 x_t + b)^{1/16} with W_1 of `gate_rank` rows. LN is over each head's values; all heads share its
    scale and offset. Queries are not scaled, and q, k and v have no bias, as in the paper. The matrix A of o = A v over
    the positions of a call is formed only for a hook on `self.weights`, shape (B, H, T, S).
    """

    TEMPERATURE = 16.0

    def __init__(
        self, d_model: int, heads: int = 4, d_head: int | None = None, d_value: int | None = None, gate_rank: int = 16
    ) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.heads = heads
        self.d_head = head_size(d_model, heads, d_head, 0.5)
        self.d_value = head_size(d_model, heads, d_value, name="d_value")
        self.query = nn.Linear(d_model, heads * self.d_head, bias=False)
        self.key = nn.Linear(d_model, heads * self.d_head, bias=False)
        self.value = nn.Linear(d_model, heads * self.d_value, bias=False)
        self.decay_in = nn.Linear(d_model, gate_rank, bias=False)
        self.decay_out = nn.Linear(gate_rank, heads * self.d_head)
        self.norm = nn.LayerNorm(self.d_value)
        self.gate = nn.Linear(d_model, heads * self.d_value)
        self.out = nn.Linear(heads * self.d_value, d_model, bias=False)
        for linear in (self.query, self.key, self.value, self.decay_in, self.decay_out, self.gate, self.out):
            nn.init.xavier_uniform_(linear.weight)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
        self.weights = Probe("B H T S", implicit=True, signed=True)

    def initial_state(self, batch: int, memory: Memory | None = None) -> LinearState:
        return initial_linear_state(batch, self.heads, self.d_head, self.d_value, like=sample_of(self.key))

    def forward(
        self, x: Sequences, state: LinearState | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, LinearState]:
        check_inputs(x, self.d_model, mask, starts)
        state = self.initial_state(x.shape[0]) if state is None else state
        x = keep(x, mask)
        q, k, v, decay = self._read(x)
        decay = hide(decay, mask)
        y, state = linear_attention(q, hide(k, mask), v, decay=decay, state=state, starts=starts, probe=self.weights)
        return keep(self._write(x, join_heads(self.norm(y))), mask), state

    def step(self, x_t: Position, state: LinearState) -> tuple[MixedPosition, LinearState]:
        if self.weights.attached:
            return super().step(x_t, state)
        q, k, v, decay = (part.squeeze(2) for part in self._read(x_t.unsqueeze(1)))
        y, state = linear_attention_step(q, k, v, decay=decay, state=state)
        return self._write(x_t, self.norm(y).flatten(1)), state

    def start_from(self, trained: Projections) -> list[str]:
        """See `parts.projections.StartsFrom`."""
        return fill_projections(trained, self.query, self.key, self.value, self.out)

    def _read(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """q, k, v and ln α (B, H, T, ·), the last in float32 or wider."""
        gate = self.decay_out(self.decay_in(x))
        decay = F.logsigmoid(gate.to(torch.promote_types(gate.dtype, torch.float32))) / self.TEMPERATURE
        parts = (self.query(x), self.key(x), self.value(x), decay)
        q, k, v, decay = (split_heads(part, self.heads) for part in parts)
        return q, k, v, decay

    def _write(self, x: Tensor, y: Tensor) -> Tensor:
        return self.out(F.silu(self.gate(x)) * y)


@final
class StateSpaceDual(ConvolvedRecurrence):
    """Mamba-2's block (Dao & Gu 2024, § 7): W_O RMSNorm((y + d ∘ u) ∘ silu(W_z x)) with the state space model

    h_t = exp(-A Δ_t) h_{t-1} + Δ_t B_tᵀ u_t and y_t = C_t h_t for each head: linear attention with q = C, k = B and
    v = Δ u. B and C (B, T, K) are shared by all heads, u (B, H, T, V) is each head's own; u, B and C are read through
    one short convolution over `convolution` positions and silu (0 = silu alone). A and Δ are those of
    `parts.decay.HeadDecay`; d is one number per head, initially 1; the norm is over all heads together. The matrix A of
    y = A v over the positions of a call is formed only for a hook on `self.weights`, shape (B, H, T, S).
    """

    def __init__(
        self, d_model: int, heads: int = 4, d_head: int | None = None, d_value: int | None = None, convolution: int = 4
    ) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.heads = heads
        self.d_head = head_size(d_model, heads, d_head)
        self.d_value = head_size(d_model, heads, d_value, 2.0, "d_value")
        inner = heads * self.d_value
        self.gate = nn.Linear(d_model, inner, bias=False)
        self.read = nn.Linear(d_model, inner + 2 * self.d_head, bias=False)  # u, B, C
        self.convolution = ShortConvolution(inner + 2 * self.d_head, convolution, bias=True)
        self.decay = HeadDecay(d_model, heads)
        self.skip = nn.Parameter(torch.ones(heads))
        self.norm = nn.RMSNorm(inner, eps=1e-5)
        self.out = nn.Linear(inner, d_model, bias=False)
        for linear in (self.gate, self.read, self.out):
            nn.init.xavier_uniform_(linear.weight)
        self.weights = Probe("B H T S", implicit=True, signed=True)

    def recur(
        self, x: Sequences, read: ProjectedSequences, memory: LinearState, mask: Mask | None, starts: Starts | None
    ) -> tuple[MixedSequences, LinearState]:
        u, k, q = read.split([self.heads * self.d_value, self.d_head, self.d_head], 2)
        u, k, q = split_heads(u, self.heads), hide(k.unsqueeze(1), mask), q.unsqueeze(1)
        decay, step = self.decay(x)
        v = step.unsqueeze(3) * u
        decay = hide(decay, mask)
        y, memory = linear_attention(q, k, v, decay=decay, state=memory, starts=starts, probe=self.weights)
        y = join_heads(y + self.skip[:, None, None] * u).to(x.dtype)
        return self.out(self.norm(y * F.silu(self.gate(x)))), memory
