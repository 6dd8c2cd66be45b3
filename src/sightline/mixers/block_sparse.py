"""Block-sparse self-attention (Child et al. 2019, arXiv:1904.10509; Beltagy et al. 2020; Zaheer et al. 2020)."""

from __future__ import annotations

import copy
from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

from torch import Tensor

from sightline.core.probe import Probe
from sightline.core.shapes import Mask, MixedSequences, Sequences, Starts
from sightline.core.state import replaced
from sightline.ops.block_patterns import BlockLayout, BlockPattern
from sightline.ops.execute import execute
from sightline.ops.pattern import Pattern
from sightline.ops.plan import Plan
from sightline.parts.attention_heads import split_heads
from sightline.parts.self_attention import CausalAttention, FullAttention, SelfAttention

BlockPositions = Literal["none", "sinusoidal", "rotary", "learned"]  # ALiBi's bias is for windows, and for all keys


@final
@dataclass(frozen=True)
class BlockSparseConfig:
    """Options of `BlockSparseAttention` (causal) and `FullBlockSparseAttention`.

    `local`, `globals` and `random` count blocks of `block` tokens and mean what `ops.block_patterns` says; layers with
    different `seed` draw different random blocks.
    """

    pattern: BlockPattern = "bigbird"
    block: int = 64
    local: int = 3
    globals: int = 2
    random: int = 3
    seed: int = 0
    heads: int = 4
    causal: bool = True
    positions: BlockPositions = "none"
    global_projections: Literal["shared", "separate"] = "shared"

    def build(self, d_model: int) -> BlockSparseAttention | FullBlockSparseAttention:
        layout = BlockLayout(self.pattern, self.block, self.local, self.globals, self.random, self.seed)
        if not self.causal:
            return FullBlockSparseAttention(d_model, layout, self.heads, self.positions, self.global_projections)
        if self.global_projections != "shared":
            raise ValueError("separate global projections are for encoders: causal=True allows 'shared' only")
        return BlockSparseAttention(d_model, layout, self.heads, self.positions)

    @classmethod
    def examples(cls) -> tuple[BlockSparseConfig, ...]:
        return (
            cls("bigbird", block=2, local=1, globals=1, random=1, heads=2),
            cls("longformer", block=3, local=2, globals=1, heads=3, positions="rotary"),
            cls("strided", block=1, local=3, heads=2, positions="sinusoidal"),
            cls("fixed", block=2, local=2, globals=1, heads=2, positions="learned"),
            cls("bigbird", block=2, local=1, globals=1, random=1, seed=1, heads=2, causal=False),
            cls("longformer", block=2, local=3, globals=1, heads=3, causal=False, global_projections="separate"),
        )


class _BlockSparse(SelfAttention, ABC):
    """The constructor and the pattern that both forms of block-sparse attention share."""

    causal: ClassVar[bool]

    def __init__(
        self, d_model: int, layout: BlockLayout | None = None, heads: int = 4, positions: BlockPositions = "none"
    ) -> None:
        super().__init__(d_model, heads, positions=positions)
        if positions not in ("none", "sinusoidal", "rotary", "learned"):
            raise ValueError(f"positions must be none, sinusoidal, rotary or learned, got {positions!r}")
        self.layout = layout or BlockLayout()
        self.layout.check(1, self.causal)

    @property
    def pattern(self) -> Pattern:
        return Pattern(self.causal, blocks=self.layout)


@final
class BlockSparseAttention(_BlockSparse, CausalAttention):
    """`SoftmaxAttention` over the keys whose block the query's own block sees; only those blocks are computed.

        y_t = Σ_s softmax_s(q_t · k_s / √d_head) v_s  over  s <= t with P[⌊t / block⌋, ⌊s / block⌋]

    P is one of `ops.block_patterns`: `bigbird`, `longformer`, `strided` or `fixed`; deviations are listed there. Tokens
    are counted from the start of the document, without padding. All heads have the same pattern. The state is the
    cache of all keys. The weights are `self.weights`, shape (B, H, T, S).

    Raises:
        ValueError: "positions must be none, sinusoidal, rotary or learned, got 'alibi'", and those of `block_pattern`.
    """


@final
class FullBlockSparseAttention(_BlockSparse, FullAttention):
    """`BlockSparseAttention` without the causal limit, for `bigbird` and `longformer`.

    `global_projections="separate"` (Longformer, § 3.1): the queries of the global blocks, which see the whole
    document, and the keys and values that they read have projections of their own, initialised as copies. Other queries
    read global keys through the shared projections, as the authors' code does. Weights: `self.weights` and, for global
    queries with projections of their own, `self.global_weights`, both (B, H, T, S).
    """

    def __init__(
        self,
        d_model: int,
        layout: BlockLayout | None = None,
        heads: int = 4,
        positions: BlockPositions = "none",
        global_projections: Literal["shared", "separate"] = "shared",
    ) -> None:
        super().__init__(d_model, layout, heads, positions)
        if global_projections not in ("shared", "separate"):
            raise ValueError(f"global_projections must be shared or separate, got {global_projections!r}")
        self.separate = global_projections == "separate"
        if self.separate:
            common = (self.heads.query, self.heads.key, self.heads.value)
            self.global_query, self.global_key, self.global_value = (copy.deepcopy(linear) for linear in common)
            self.global_weights = Probe("B H T S")

    def keep_heads(self, numbers: Sequence[int]) -> None:
        if self.separate:
            raise ValueError("heads with global projections of their own cannot be removed")
        super().keep_heads(numbers)

    def forward(self, x: Sequences, mask: Mask | None = None, starts: Starts | None = None) -> MixedSequences:
        x, positions, _ = self.place(x, mask, starts)

        def attend(q: Tensor, k: Tensor, v: Tensor, rows: Literal["all", "global", "other"], probe: Probe) -> Tensor:
            q, k = self.positions.turn(q, k, positions)
            plan = Plan(Pattern(False, blocks=replaced(self.layout, rows=rows)))
            return execute(q, k, v, plan.packed(q, mask, starts, positions, probe.attached), probe)

        q, (k, v) = self.heads.queries(x), self.heads.keys_values(x)
        y = attend(q, k, v, "other" if self.separate else "all", self.weights)
        if self.separate:
            linears = (self.global_query, self.global_key, self.global_value)
            q, k, v = (split_heads(linear(x), self.heads.heads) for linear in linears)
            y = y + attend(q, k, v, "global", self.global_weights)
        return self.heads.join(y, mask)
