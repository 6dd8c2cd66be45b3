"""Multi-head scaled dot-product self-attention (Vaswani et al. 2017, arXiv:1706.03762)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from sightline.ops.pattern import Pattern
from sightline.parts.attention_heads import QKNorm, with_heads
from sightline.parts.positions import PositionEncoding
from sightline.parts.self_attention import CausalAttention, FullAttention


@final
@dataclass(frozen=True)
class SoftmaxConfig:
    """Options of `SoftmaxAttention` (causal) and `FullSoftmaxAttention`; key_heads None = heads, d_head None = D/H.

    kept: numbers of the heads that are left, of those that `heads` counts; the others are removed. None = all
    """

    heads: int = 4
    key_heads: int | None = None
    d_head: int | None = None
    causal: bool = True
    positions: PositionEncoding = "none"
    bias: bool = True
    qk_norm: QKNorm = "none"
    softcap: float | None = None
    kept: tuple[int, ...] | None = None

    def build(self, d_model: int) -> SoftmaxAttention | FullSoftmaxAttention:
        kind = SoftmaxAttention if self.causal else FullSoftmaxAttention
        sizes = (self.heads, self.key_heads, self.d_head)
        layer = kind(d_model, *sizes, self.positions, self.bias, self.qk_norm, self.softcap)
        return with_heads(layer, self.kept)

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
            cls(heads=6, key_heads=3, d_head=2, positions="alibi", kept=(1, 4)),
            cls(heads=2, causal=False),
            cls(heads=4, key_heads=1, d_head=5, causal=False, positions="rotary"),
            cls(heads=3, d_head=2, causal=False, positions="alibi"),
            cls(heads=2, key_heads=1, causal=False, qk_norm="layer", softcap=1.5),
        )


@final
class SoftmaxAttention(CausalAttention):
    """softmax(Q Kᵀ / √d_head) V over all positions so far, `heads` times, then an output projection (eq. 1, § 3.2.2).

    `key_heads` < `heads` shares each key head among consecutive query heads (Ainslie et al. 2023; 1 = Shazeer 2019).
    `positions`: `rotary` rotates queries and keys, `alibi` lowers logits with distance, `sinusoidal` and `learned` are
    added to this layer's input (a Transformer adds them once, below its layers: `parts.positions.AddPositions`).
    `qk_norm` normalises the queries and keys of each head before the rotation (see `parts.attention_heads`).
    `softcap` c bounds logits: c · tanh(logit / c), before a bias (Gemma 2, arXiv:2408.00118, § 2). torch's kernel has
    no such bound, so the weights are formed, for some queries at a time; from 1,025 queries on the backward pass forms
    them again. The weights have no dropout. The weights are `self.weights`, shape (B, H, T, S).
    """

    pattern = Pattern(True)


@final
class FullSoftmaxAttention(FullAttention):
    """`SoftmaxAttention` without the causal limit: every position sees its whole document."""

    pattern = Pattern(False)
