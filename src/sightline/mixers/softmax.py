"""Multi-head scaled dot-product self-attention (Vaswani et al. 2017, arXiv:1706.03762)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from sightline.core.mixer import Memory, SequenceEncoder, SequenceMixer
from sightline.core.shapes import Mask, MixedSequences, Sequences, Starts
from sightline.ops.execute import execute
from sightline.ops.pattern import Pattern
from sightline.parts.attention_heads import QKNorm
from sightline.parts.key_value_cache import KeyValueCache, attend_cache, empty_cache, extend_cache
from sightline.parts.positions import PositionEncoding
from sightline.parts.self_attention import SelfAttention


@final
@dataclass(frozen=True)
class SoftmaxConfig:
    """Options of `SoftmaxAttention` (causal) and `FullSoftmaxAttention`; key_heads None = heads, d_head None = D/H."""

    heads: int = 4
    key_heads: int | None = None
    d_head: int | None = None
    causal: bool = True
    positions: PositionEncoding = "none"
    bias: bool = True
    qk_norm: QKNorm = "none"
    softcap: float | None = None

    def build(self, d_model: int) -> SoftmaxAttention | FullSoftmaxAttention:
        kind = SoftmaxAttention if self.causal else FullSoftmaxAttention
        sizes = (self.heads, self.key_heads, self.d_head)
        return kind(d_model, *sizes, self.positions, self.bias, self.qk_norm, self.softcap)

    @classmethod
    def examples(cls) -> tuple[SoftmaxConfig, ...]:
        return (
            cls(heads=2),
            cls(heads=4, key_heads=2, d_head=3, positions="rotary"),
            cls(heads=3, d_head=1, positions="alibi", bias=False),
            cls(heads=2, positions="sinusoidal"),
            cls(heads=2, positions="learned"),
            cls(heads=2, positions="rotary", qk_norm="rms"),
            cls(heads=3, softcap=1.5, positions="alibi"),
            cls(heads=2, causal=False),
            cls(heads=4, key_heads=1, d_head=5, causal=False, positions="rotary"),
            cls(heads=3, d_head=2, causal=False, positions="alibi"),
            cls(heads=2, key_heads=1, causal=False, qk_norm="layer", softcap=1.5),
        )


@final
class SoftmaxAttention(SelfAttention, SequenceMixer[KeyValueCache]):
    """softmax(Q Kᵀ / √d_head) V over all positions so far, `heads` times, then an output projection (eq. 1, § 3.2.2).

    `key_heads` < `heads` shares each key head among consecutive query heads (Ainslie et al. 2023; 1 = Shazeer 2019).
    `positions`: `rotary` rotates queries and keys, `alibi` lowers logits with distance, `sinusoidal` and `learned` are
    added to this layer's input (a Transformer adds them once, below its layers: `parts.positions.AddPositions`).
    `qk_norm` normalises the queries and keys of each head before the rotation (see `parts.attention_heads`).
    `softcap` c bounds logits: c · tanh(logit / c), before a bias (Gemma 2, arXiv:2408.00118, § 2). torch's kernel has
    no such bound, so the weights are formed, for some queries at a time; from 1,025 queries on the backward pass forms
    them again. There is no dropout on the weights. The weights are `self.weights`, shape (B, H, T, S).
    """

    @property
    def pattern(self) -> Pattern:
        return Pattern(True)

    def initial_state(self, batch: int, memory: Memory | None = None) -> KeyValueCache:
        return empty_cache(self.heads.none(batch))

    def forward(
        self, x: Sequences, state: KeyValueCache | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, KeyValueCache]:
        state = self.initial_state(x.shape[0]) if state is None else state
        q, k, v, positions, after = self.project(x, mask, starts, state.position)
        state = extend_cache(state, k, v, positions, after, mask, starts)
        return self.heads.join(attend_cache(q, state, mask, starts, self.plan, self.weights), mask), state


@final
class FullSoftmaxAttention(SelfAttention, SequenceEncoder):
    """`SoftmaxAttention` without the causal limit: every position sees its whole document."""

    @property
    def pattern(self) -> Pattern:
        return Pattern(False)

    def forward(self, x: Sequences, mask: Mask | None = None, starts: Starts | None = None) -> MixedSequences:
        q, k, v, positions, _ = self.project(x, mask, starts)
        plan = self.plan.packed(q, mask, starts, positions, self.weights.attached)
        return self.heads.join(execute(q, k, v, plan, self.weights), mask)
