"""Multi-scale retention, linear attention that forgets at a constant rate (Sun et al. 2023, arXiv:2307.08621)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.doubles import precise
from sightline.core.mixer import Memory, SequenceMixer, check_inputs, keep
from sightline.core.probe import Probe
from sightline.core.shapes import HeadRates, Mask, MixedPosition, MixedSequences, Position, Sequences, Starts
from sightline.ops.linear import LinearState, initial_linear_state, linear_attention, linear_attention_step
from sightline.parts.attention_heads import head_size, hide, join_heads, split_heads
from sightline.parts.plain_linear import sample_of
from sightline.parts.positions import advance, rotate
from sightline.parts.projections import Projections, fill_projections


@final
@dataclass(frozen=True)
class RetentionConfig:
    """Options of `Retention`: d_head None = D/H (keys), d_value None = 2 · d_head."""

    heads: int = 4
    d_head: int | None = None
    d_value: int | None = None

    def build(self, d_model: int) -> Retention:
        return Retention(d_model, self.heads, self.d_head, self.d_value)

    @classmethod
    def examples(cls) -> tuple[RetentionConfig, ...]:
        return (cls(heads=2), cls(heads=3, d_head=5, d_value=3))


class RetentionState(NamedTuple):
    """The state of retention."""

    memory: Tensor  # (B, H, K, V) decayed sum of kᵀ v, float32 or wider
    position: Tensor  # (B,) real tokens of the current document so far


@final
class Retention(SequenceMixer[RetentionState]):
    """W_O (swish(W_G x) ∘ GroupNorm(Y)) with Y_t = q_t S_t, S_t = γ S_{t-1} + k_tᵀ v_t for each head.

    Queries and keys are rotated by rotary positions (the paper's e^{inθ}), keys divided by √d_head. γ = 1 - 2^(-5-h) of
    head h = 0, 1, … is fixed, not trained. The norm is over each head's values, without scale and offset, as in the
    authors' code; no projection has a bias; values are twice as wide as keys. The matrix A of Y = A v over the
    positions of a call is formed only for a hook on `self.weights`, shape (B, H, T, S).

    Deviations: scores are not divided by √Σγ^(n-m) and max(|Σ|, 1), factors that the norm cancels; rotary pairs are
    (i, i + K/2), not neighbours, which is another order of the same weights.
    """

    def __init__(self, d_model: int, heads: int = 4, d_head: int | None = None, d_value: int | None = None) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.heads = heads
        self.d_head = head_size(d_model, heads, d_head)
        self.d_value = d_value or 2 * self.d_head
        self.query = nn.Linear(d_model, heads * self.d_head, bias=False)
        self.key = nn.Linear(d_model, heads * self.d_head, bias=False)
        self.value = nn.Linear(d_model, heads * self.d_value, bias=False)
        self.gate = nn.Linear(d_model, heads * self.d_value, bias=False)
        self.out = nn.Linear(heads * self.d_value, d_model, bias=False)
        for linear in (self.query, self.key, self.value, self.gate, self.out):
            nn.init.xavier_uniform_(linear.weight)
        self.weights = Probe("B H T S", implicit=True, signed=True)

    def initial_state(self, batch: int, memory: Memory | None = None) -> RetentionState:
        like = sample_of(self.key)
        zeros = initial_linear_state(batch, self.heads, self.d_head, self.d_value, like=like).memory
        return RetentionState(zeros, torch.zeros(batch, dtype=torch.long, device=like.device))

    def forward(
        self, x: Sequences, state: RetentionState | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, RetentionState]:
        check_inputs(x, self.d_model, mask, starts)
        state = self.initial_state(x.shape[0]) if state is None else state
        x = keep(x, mask)
        positions, after = advance(state.position, x.shape[1], mask, starts)
        q, k, v = self._read(x, positions, state.memory.dtype)
        decay = self.log_decay(x.device)
        if mask is not None:  # padding forgets nothing
            decay = hide(decay[:, None].expand(x.shape[0], -1, x.shape[1]), mask)
        k, memory = hide(k, mask), LinearState(state.memory)
        y, carried = linear_attention(q, k, v, decay=decay, state=memory, starts=starts, probe=self.weights)
        return keep(self._write(x, join_heads(self._norm(y))), mask), RetentionState(carried.memory, after)

    def step(self, x_t: Position, state: RetentionState) -> tuple[MixedPosition, RetentionState]:
        if self.weights.attached:
            return super().step(x_t, state)
        q, k, v = self._read(x_t.unsqueeze(1), state.position.unsqueeze(1), state.memory.dtype)
        y, carried = linear_attention_step(
            q.squeeze(2), k.squeeze(2), v.squeeze(2), decay=self.log_decay(x_t.device), state=LinearState(state.memory)
        )
        return self._write(x_t, self._norm(y).flatten(1)), RetentionState(carried.memory, state.position + 1)

    def start_from(self, trained: Projections) -> list[str]:
        """See `parts.projections.StartsFrom`."""
        return fill_projections(trained, self.query, self.key, self.value, self.out)

    def log_decay(self, device: torch.device | None = None) -> HeadRates:
        """ln γ of each head (H,), in float64 where there is one, whatever the module's dtype: γ is close to 1."""
        device = device or torch.device("cpu")
        powers = torch.arange(self.heads, dtype=precise(device), device=device)
        return torch.log1p(-torch.exp2(-5.0 - powers))

    def _read(self, x: Tensor, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Turned queries and keys (B, H, T, K) in the state's dtype, and values (B, H, T, V)."""
        q, k, v = (split_heads(linear(x), self.heads) for linear in (self.query, self.key, self.value))
        q, k = rotate(q.to(dtype), positions), rotate(k.to(dtype) / math.sqrt(self.d_head), positions)
        return q, k, v

    def _norm(self, y: Tensor) -> Tensor:
        return F.layer_norm(y, y.shape[-1:])

    def _write(self, x: Tensor, y: Tensor) -> Tensor:
        return self.out(F.silu(self.gate(x)) * y)
