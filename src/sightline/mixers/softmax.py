"""Multi-head scaled dot-product self-attention (Vaswani et al. 2017, arXiv:1706.03762)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sightline.core.mixer import Memory, SequenceEncoder, SequenceMixer, check_inputs, keep
from sightline.core.probe import Probe
from sightline.ops.execute import execute
from sightline.ops.pattern import Pattern
from sightline.ops.plan import plan_packed
from sightline.parts.attention_heads import AttentionHeads, QKNorm, check_softcap
from sightline.parts.key_value_cache import KeyValueCache, attend_cache, empty_cache, extend_cache
from sightline.parts.positions import AttentionPositions, Positions, advance


@dataclass(frozen=True)
class SoftmaxConfig:
    """Options of `SoftmaxAttention` (causal) and `FullSoftmaxAttention`; key_heads None = heads, d_head None = D/H."""

    heads: int = 4
    key_heads: int | None = None
    d_head: int | None = None
    causal: bool = True
    positions: Positions = "none"
    bias: bool = True
    qk_norm: QKNorm = "none"
    softcap: float | None = None

    def build(self, d_model: int) -> SoftmaxAttention | FullSoftmaxAttention:
        kind = SoftmaxAttention if self.causal else FullSoftmaxAttention
        return kind(
            d_model,
            self.heads,
            self.key_heads,
            self.d_head,
            self.positions,
            self.bias,
            self.qk_norm,
            self.softcap,
        )

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


class SoftmaxAttention(SequenceMixer[KeyValueCache]):
    """softmax(Q Kᵀ / √d_head) V over all positions so far, `heads` times, then an output projection (eq. 1, § 3.2.2).

    `key_heads` < `heads` shares each key head among consecutive query heads (Ainslie et al. 2023; 1 = Shazeer 2019).
    `positions`: `rotary` turns queries and keys, `alibi` lowers logits with distance, `sinusoidal` and `learned` are
    added to this layer's input (a Transformer adds them once, below its layers: `parts.positions.AddPositions`).
    `qk_norm` normalises queries and keys, head by head and before they are turned (see `parts.attention_heads`).
    `softcap` c bounds logits: c · tanh(logit / c), before a bias (Gemma 2, arXiv:2408.00118, § 2); torch's kernel knows
    none, so that weights are formed, for some queries at a time; from 1,025 on anew in the backward.
    There is no dropout on the weights. The weights are `self.weights`, shape (B, H, T, S).
    """

    def __init__(
        self,
        d_model: int,
        heads: int = 4,
        key_heads: int | None = None,
        d_head: int | None = None,
        positions: Positions = "none",
        bias: bool = True,
        qk_norm: QKNorm = "none",
        softcap: float | None = None,
    ) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.heads = AttentionHeads(d_model, heads, key_heads, d_head, None, bias, qk_norm)
        self.positions = AttentionPositions(positions, d_model, heads)
        self.softcap = check_softcap(softcap)
        self.weights = Probe("B H T S")

    def initial_state(self, batch: int, memory: Memory | None = None) -> KeyValueCache:
        return empty_cache(self.heads.none(batch))

    def forward(
        self, x: Tensor, state: KeyValueCache | None = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, KeyValueCache]:
        check_inputs(x, self.d_model, mask, starts)
        if state is None:
            state = self.initial_state(x.shape[0])
        positions, after = advance(state.position, x.shape[1], mask, starts)
        x = self.positions.add(keep(x, mask), positions)
        keys, values = self.heads.keys_values(x)
        state = extend_cache(state, self.positions.turn(keys, positions), values, positions, after, mask, starts)
        q = self.positions.turn(self.heads.queries(x), positions)
        listened = {"slopes": self.positions.slopes, "softcap": self.softcap, "probe": self.weights}
        y = attend_cache(q, state, mask, starts, Pattern(True), **listened)
        return self.heads.join(y, mask), state


class FullSoftmaxAttention(SequenceEncoder):
    """`SoftmaxAttention` without the causal limit: every position sees its whole document."""

    def __init__(
        self,
        d_model: int,
        heads: int = 4,
        key_heads: int | None = None,
        d_head: int | None = None,
        positions: Positions = "none",
        bias: bool = True,
        qk_norm: QKNorm = "none",
        softcap: float | None = None,
    ) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.heads = AttentionHeads(d_model, heads, key_heads, d_head, None, bias, qk_norm)
        self.positions = AttentionPositions(positions, d_model, heads)
        self.softcap = check_softcap(softcap)
        self.weights = Probe("B H T S")

    def forward(self, x: Tensor, mask: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        check_inputs(x, self.d_model, mask, starts)
        positions, _ = advance(torch.zeros(x.shape[0], dtype=torch.long, device=x.device), x.shape[1], mask, starts)
        x = self.positions.add(keep(x, mask), positions)
        k, v = self.heads.keys_values(x)
        q, k = self.positions.turn(self.heads.queries(x), positions), self.positions.turn(k, positions)
        named = {"slopes": self.positions.slopes, "softcap": self.softcap, "listened": self.weights.attached}
        plan = plan_packed(q, mask, starts, positions, Pattern(False), **named)
        return self.heads.join(execute(q, k, v, plan, self.weights), mask)
