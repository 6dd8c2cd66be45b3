"""Multi-head cross-attention of a decoder over an encoder's memory (Vaswani et al. 2017, § 3.2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import torch

from sightline.core.caches import Shared
from sightline.core.mixer import Memory, SequenceMixer, check_inputs, check_memory, keep
from sightline.core.probe import Probe
from sightline.core.shapes import Attended, Mask, MixedSequences, Queries, Sequences, Starts
from sightline.core.state import first_to_end
from sightline.core.transforms import composed
from sightline.ops.dense import dense_attention
from sightline.parts.attention_heads import AttentionHeads, PrunableHeads, QKNorm, check_softcap, with_heads


@final
@dataclass(frozen=True)
class CrossConfig:
    """Options of `CrossAttention`; None means heads (key_heads), D/H (d_head), D (d_memory), all heads (kept).

    kept: numbers of the heads that are left, of those that `heads` counts; the others are removed
    """

    heads: int = 4
    key_heads: int | None = None
    d_head: int | None = None
    d_memory: int | None = None
    bias: bool = True
    qk_norm: QKNorm = "none"
    softcap: float | None = None
    kept: tuple[int, ...] | None = None

    def build(self, d_model: int) -> CrossAttention:
        options = {name: value for name, value in vars(self).items() if name != "kept"}
        return with_heads(CrossAttention(d_model, **options), self.kept)

    @classmethod
    def examples(cls) -> tuple[CrossConfig, ...]:
        return (
            cls(heads=2),
            cls(heads=4, key_heads=2, d_head=3, d_memory=5, bias=False),
            cls(heads=2, qk_norm="rms", softcap=1.5),
            cls(heads=3, d_head=2, qk_norm="layer", kept=(0, 2)),
        )


class CrossState(NamedTuple):
    """Keys and values of the memory, projected once, which the branches of a row share."""

    keys: Shared  # (B, G, M, K)
    values: Shared  # (B, G, M, K)
    mask: Shared | None  # (B, M)

    @property
    def stretch(self) -> int:
        """See `core.state.Stretchable`."""
        return self.keys.tensor.shape[2] if self.mask is None else first_to_end(self.mask.tensor.flip(1))

    def stretched(self, length: int) -> CrossState:
        """See `core.state.Stretchable`; padding is on the right."""
        keys, values, mask = self
        mask = Shared(keys.tensor.new_ones(keys.tensor.shape[::2], dtype=torch.bool)) if mask is None else mask
        return CrossState(keys.beginning(length, 2), values.beginning(length, 2), mask.beginning(length, 1))


@final
class CrossAttention(SequenceMixer[CrossState], PrunableHeads):
    """softmax(Q Kᵀ / √d_head) V with queries from the input and keys and values from the memory.

    Positions of the input do not mix, so that `starts` changes nothing: all documents of a row read the row's memory.
    `qk_norm` and `softcap` as in `SoftmaxAttention`. The weights are `self.weights`, shape (B, H, T, M).
    """

    def __init__(
        self,
        d_model: int,
        heads: int = 4,
        key_heads: int | None = None,
        d_head: int | None = None,
        d_memory: int | None = None,
        bias: bool = True,
        qk_norm: QKNorm = "none",
        softcap: float | None = None,
    ) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.d_memory = d_memory or d_model
        self.heads = AttentionHeads(d_model, heads, key_heads, d_head, self.d_memory, bias, qk_norm)
        self.softcap = check_softcap(softcap)
        self.weights = Probe("B H T M")

    def keep_heads(self, numbers: Sequence[int]) -> None:
        super().keep_heads(numbers)

    def initial_state(self, batch: int, memory: Memory | None = None) -> CrossState:
        values, mask, _ = check_memory(memory, batch, self.d_memory, None, "CrossAttention")
        keys, values = self.heads.keys_values(keep(values, mask))
        if not torch.is_grad_enabled() and not composed():  # every step reads them: once in order is cheaper
            keys, values = keys.contiguous(), values.contiguous()
        return CrossState(Shared(keys), Shared(values), None if mask is None else Shared(mask))

    def forward(
        self, x: Sequences, state: CrossState | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, CrossState]:
        check_inputs(x, self.d_model, mask, starts)
        if state is None:
            raise ValueError("CrossAttention reads a memory: give the state from initial_state(batch, memory)")
        q = self.heads.queries(keep(x, mask))
        return self.heads.join(self._attend(q, state), mask), state

    def _attend(self, q: Queries, state: CrossState) -> Attended:
        """The branches of a row as positions of it: each key is read once for all of them."""
        options = {"softcap": self.softcap, "probe": self.weights}
        keys, values = state.keys.branched, state.values.branched
        if keys is None or values is None or q.shape[2] != 1 or self.weights.attached:
            visible = None if state.mask is None else state.mask.tensor[:, None, None, :]
            return dense_attention(q, state.keys.tensor, state.values.tensor, visible=visible, **options)
        branches = keys[1]
        mask = None if state.mask is None else state.mask.branched
        visible = None if mask is None else mask[0][:, None, None, :]
        grouped = branches.group(q.squeeze(2)).transpose(1, 2)  # (R, H, W, K)
        y = dense_attention(grouped, keys[0], values[0], visible=visible, **options)
        return branches.ungroup(y.transpose(1, 2)).unsqueeze(2)
