"""The parts of every softmax attention over its own input, causal or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sightline.core.mixer import Memory, SequenceEncoder, SequenceMixer, check_inputs, keep
from sightline.core.probe import Probe
from sightline.core.shapes import Counts, Mask, MixedSequences, Sequences, Starts, TokenPositions
from sightline.ops.execute import execute
from sightline.ops.pattern import Pattern
from sightline.ops.plan import Plan
from sightline.parts.attention_heads import AttentionHeads, PrunableHeads, QKNorm, check_softcap
from sightline.parts.key_value_cache import KeyValueCache, attend_cache, empty_cache, extend_cache
from sightline.parts.positions import AttentionPositions, PositionEncoding, advance


class Projected(NamedTuple):
    """An input's queries, keys and values, and where it is in its documents."""

    q: Tensor  # (B, H, T, K)
    k: Tensor  # (B, G, T, K)
    v: Tensor  # (B, G, T, K)
    positions: Tensor  # (B, T)
    after: Tensor  # (B,) the position that follows


class SelfAttention(nn.Module, PrunableHeads, ABC):
    """Projections of an input and the logits' options; a mechanism adds who sees whom, and a state if it is causal.

    The arguments are those of `mixers.softmax.SoftmaxAttention`. The weights are `self.weights`, shape (B, H, T, S).
    """

    def __init__(
        self,
        d_model: int,
        heads: int = 4,
        key_heads: int | None = None,
        d_head: int | None = None,
        positions: PositionEncoding = "none",
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

    def keep_heads(self, numbers: Sequence[int]) -> None:
        super().keep_heads(numbers)
        self.positions.keep_heads(numbers)

    @property
    @abstractmethod
    def pattern(self) -> Pattern:
        """Who sees whom inside a document."""

    @property
    def plan(self) -> Plan:
        """The plan for rows that are one document without padding."""
        return Plan(self.pattern, slopes=self.positions.slopes, softcap=self.softcap)

    def place(
        self, x: Sequences, mask: Mask | None = None, starts: Starts | None = None, position: Counts | None = None
    ) -> tuple[Sequences, TokenPositions, Counts]:
        """x as it is projected, its positions, and the position that follows.

        `position` (B,) counts earlier tokens, None = none.

        Raises:
            ValueError: as `core.mixer.check_inputs` does.
        """
        check_inputs(x, self.d_model, mask, starts)
        if position is None:
            position = torch.zeros(x.shape[0], dtype=torch.long, device=x.device)
        positions, after = advance(position, x.shape[1], mask, starts)
        return self.positions.add(keep(x, mask), positions), positions, after

    def project(
        self, x: Sequences, mask: Mask | None = None, starts: Starts | None = None, position: Counts | None = None
    ) -> Projected:
        """Queries, keys and values of x (B, T, D); arguments and errors as in `place`."""
        x, positions, after = self.place(x, mask, starts, position)
        q, k, v = self.heads.project(x)
        q, k = self.positions.turn(q, k, positions)
        return Projected(q, k, v, positions, after)

    def join_products(self) -> None:
        """See `parts.packed_linear.pack_linears`."""
        self.heads.join_products()


class CausalAttention(SelfAttention, SequenceMixer[KeyValueCache]):
    """Every position attends to the keys that `pattern` shows of itself and all positions before; a cache has them."""

    def initial_state(self, batch: int, memory: Memory | None = None) -> KeyValueCache:
        return empty_cache(self.heads.none(batch))

    def forward(
        self, x: Sequences, state: KeyValueCache | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, KeyValueCache]:
        state = self.initial_state(x.shape[0]) if state is None else state
        q, k, v, positions, after = self.project(x, mask, starts, state.position)
        state = extend_cache(state, k, v, positions, after, mask, starts)
        return self.heads.join(attend_cache(q, state, mask, starts, self.plan, self.weights), mask), state


class FullAttention(SelfAttention, SequenceEncoder):
    """Every position attends to the keys that `pattern` shows of its whole document."""

    def forward(self, x: Sequences, mask: Mask | None = None, starts: Starts | None = None) -> MixedSequences:
        q, k, v, positions, _ = self.project(x, mask, starts)
        plan = self.plan.packed(q, mask, starts, positions, self.weights.attached)
        return self.heads.join(execute(q, k, v, plan, self.weights), mask)
