"""Multi-head scaled dot-product self-attention (Vaswani et al. 2017, arXiv:1706.03762)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sightline.core.mixer import Memory, SequenceEncoder, SequenceMixer, check_inputs, keep
from sightline.core.probe import Probe
from sightline.core.state import Growing
from sightline.ops.attend import attend, attend_in_blocks
from sightline.parts.attention_heads import AttentionHeads, QKNorm, check_softcap
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


class SoftmaxState(NamedTuple):
    """The key-value cache. Labels and key positions stand only where padding or documents have been seen."""

    keys: Growing  # (B, G, S, K)
    values: Growing  # (B, G, S, K)
    position: Tensor  # (B,) real tokens of the current document so far
    document: Tensor | None = None  # (B,) number of the current document
    labels: Growing | None = None  # (B, S) the document of each key, -1 for padding
    places: Growing | None = None  # (B, S) the position of each key


class SoftmaxAttention(SequenceMixer[SoftmaxState]):
    """softmax(Q Kᵀ / √d_head) V over all positions so far, `heads` times, then an output projection (eq. 1, § 3.2.2).

    `key_heads` < `heads` shares each key head among consecutive query heads (Ainslie et al. 2023; 1 = Shazeer 2019).
    `positions`: `rotary` turns queries and keys, `alibi` lowers logits with distance, `sinusoidal` and `learned` are
    added to this layer's input (a Transformer adds them once, below its layers: `parts.positions.AddPositions`).
    `qk_norm` normalises queries and keys, head by head and before they are turned (see `parts.attention_heads`).
    `softcap` c bounds logits: c · tanh(logit / c), before a bias (Gemma 2, arXiv:2408.00118, § 2); torch's kernel knows
    none, so that weights are formed, which costs memory in proportion to T·S while gradients are recorded.
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

    def initial_state(self, batch: int, memory: Memory | None = None) -> SoftmaxState:
        weight = self.heads.key.weight
        empty = weight.new_zeros(batch, self.heads.key_heads, 0, self.heads.d_head)
        return SoftmaxState(
            Growing(empty, 2), Growing(empty, 2), torch.zeros(batch, dtype=torch.long, device=weight.device)
        )

    def forward(
        self, x: Tensor, state: SoftmaxState | None = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, SoftmaxState]:
        check_inputs(x, self.d_model, mask, starts)
        if state is None:
            state = self.initial_state(x.shape[0])
        positions, after = advance(state.position, x.shape[1], mask, starts)
        x = self.positions.add(keep(x, mask), positions)
        keys, values = self.heads.keys_values(x)
        document, label, labels, places = self._label(state, positions, mask, starts)
        state = SoftmaxState(
            state.keys.append(self.positions.turn(keys, positions)),
            state.values.append(values),
            after,
            document,
            labels,
            places,
        )
        q = self.positions.turn(self.heads.queries(x), positions)
        stands = torch.arange(state.keys.length, device=x.device).unsqueeze(0) if places is None else places.tensor

        def relate(first: int, last: int) -> tuple[Tensor | None, Tensor | None]:
            bias = self.positions.bias(positions[:, first:last], stands, q.dtype)
            if label is None or labels is None:
                return None, bias
            return (label[:, None, first:last, None] == labels.tensor[:, None, None, :]), bias

        k, v = state.keys.tensor, state.values.tensor
        if label is None and self.positions.kind != "alibi" and self.softcap is None:
            y = attend(q, k, v, causal=True, probe=self.weights)
        else:
            y = attend_in_blocks(q, k, v, relate, causal=True, softcap=self.softcap, probe=self.weights)
        return self.heads.join(y, mask), state

    def _label(
        self, state: SoftmaxState, positions: Tensor, mask: Tensor | None, starts: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Growing | None, Growing | None]:
        """The document after x, the documents (B, T) of x, and the keys' documents and positions; None = all one."""
        document, labels, places = state.document, state.labels, state.places
        if labels is None or document is None or places is None:
            if mask is None and starts is None:
                return None, None, None, None
            document = torch.zeros_like(state.position)
            past = torch.arange(state.keys.length, device=positions.device).expand(len(document), -1)
            labels, places = Growing(torch.zeros_like(past), 1), Growing(past.contiguous(), 1)
        label = document.unsqueeze(1).expand(positions.shape)
        if starts is not None:
            label = label + starts.cumsum(1)
            document = document + starts.sum(1)
        of_keys = label if mask is None else label.masked_fill(~mask, -1)
        return document, label, labels.append(of_keys), places.append(positions)


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
        real = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, S)
        if starts is None and self.positions.kind != "alibi" and self.softcap is None:
            return self.heads.join(attend(q, k, v, visible=real, probe=self.weights), mask)
        document = None if starts is None else starts.cumsum(1)

        def relate(first: int, last: int) -> tuple[Tensor | None, Tensor | None]:
            bias = self.positions.bias(positions[:, first:last], positions, q.dtype)
            if document is None:
                return real, bias
            same = document[:, None, first:last, None] == document[:, None, None, :]  # (B, 1, T, S)
            return (same if real is None else same & real), bias

        return self.heads.join(attend_in_blocks(q, k, v, relate, softcap=self.softcap, probe=self.weights), mask)
