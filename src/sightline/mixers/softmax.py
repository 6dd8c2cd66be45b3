"""Multi-head scaled dot-product self-attention (Vaswani et al. 2017, arXiv:1706.03762)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sightline.core.mixer import Memory, SequenceEncoder, SequenceMixer, check_inputs, keep
from sightline.core.probe import Probe
from sightline.core.state import Growing
from sightline.ops.attend import attend
from sightline.parts.positions import AddPositions, Positions, advance, alibi_bias, alibi_slopes, rotate


@dataclass(frozen=True)
class SoftmaxConfig:
    """Options of `SoftmaxAttention` (causal) and `FullSoftmaxAttention`; key_heads None = heads, d_head None = D/H."""

    heads: int = 4
    key_heads: int | None = None
    d_head: int | None = None
    causal: bool = True
    positions: Positions = "none"
    bias: bool = True

    def build(self, d_model: int) -> SoftmaxAttention | FullSoftmaxAttention:
        kind = SoftmaxAttention if self.causal else FullSoftmaxAttention
        return kind(d_model, self.heads, self.key_heads, self.d_head, self.positions, self.bias)

    @classmethod
    def examples(cls) -> tuple[SoftmaxConfig, ...]:
        return (
            cls(heads=2),
            cls(heads=4, key_heads=2, d_head=3, positions="rotary"),
            cls(heads=3, d_head=1, positions="alibi", bias=False),
            cls(heads=2, positions="sinusoidal"),
            cls(heads=2, positions="learned"),
            cls(heads=2, causal=False),
            cls(heads=4, key_heads=1, d_head=5, causal=False, positions="rotary"),
            cls(heads=3, d_head=2, causal=False, positions="alibi"),
        )


class _Heads(nn.Module):
    """The four projections and the position encoding, common to both forms."""

    def __init__(
        self, d_model: int, heads: int, key_heads: int | None, d_head: int | None, positions: Positions, bias: bool
    ) -> None:
        super().__init__()
        if positions not in ("none", "sinusoidal", "rotary", "alibi", "learned"):
            raise ValueError(f"positions must be none, sinusoidal, rotary, alibi or learned, got {positions!r}")
        if d_head is None and d_model % heads:
            raise ValueError(f"d_model = {d_model} is not divisible by heads = {heads}: choose another or give d_head")
        self.heads, self.key_heads, self.positions = heads, key_heads or heads, positions
        if heads % self.key_heads:
            raise ValueError(f"heads = {heads} is not a multiple of key_heads = {self.key_heads}")
        self.d_head = d_head or d_model // heads
        self.query = nn.Linear(d_model, heads * self.d_head, bias)
        self.key = nn.Linear(d_model, self.key_heads * self.d_head, bias)
        self.value = nn.Linear(d_model, self.key_heads * self.d_head, bias)
        self.out = nn.Linear(heads * self.d_head, d_model, bias)
        for linear in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(linear.weight)
            if bias:
                nn.init.zeros_(linear.bias)
        if positions in ("sinusoidal", "learned"):
            self.added = AddPositions(d_model, positions)
        if positions == "alibi":
            self.register_buffer("slopes", alibi_slopes(heads), persistent=False)

    def project(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, K), keys and values (B, G, T, K) of x (B, T, D) at positions (B, T)."""
        if self.positions in ("sinusoidal", "learned"):
            x = x + self.added.encode(positions, x.dtype)
        q, k, v = (
            linear(x).unflatten(2, (-1, self.d_head)).transpose(1, 2) for linear in (self.query, self.key, self.value)
        )
        if self.positions == "rotary":
            q, k = rotate(q, positions), rotate(k, positions)
        return q, k, v

    def distance_bias(self, queries: Tensor, keys: Tensor, dtype: torch.dtype) -> Tensor | None:
        """ALiBi's bias (B, H, T, S) for the positions of queries (B, T) and keys (B, S)."""
        return alibi_bias(self.slopes, queries, keys, dtype) if self.positions == "alibi" else None

    def join(self, y: Tensor, mask: Tensor | None) -> Tensor:
        """Head outputs (B, H, T, K) to (B, T, D)."""
        return keep(self.out(y.transpose(1, 2).flatten(2)), mask)


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
    ) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.heads = _Heads(d_model, heads, key_heads, d_head, positions, bias)
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
        x = keep(x, mask)
        positions, after = advance(state.position, x.shape[1], mask, starts)
        q, k, v = self.heads.project(x, positions)
        document, labels, places, visible = self._label(state, positions, mask, starts)
        state = SoftmaxState(state.keys.append(k), state.values.append(v), after, document, labels, places)
        if places is None:
            key_positions = torch.arange(state.keys.length, device=x.device).unsqueeze(0)
        else:
            key_positions = places.tensor
        bias = self.heads.distance_bias(positions, key_positions, q.dtype)
        y = attend(
            q, state.keys.tensor, state.values.tensor, visible=visible, bias=bias, causal=True, probe=self.weights
        )
        return self.heads.join(y, mask), state

    def _label(
        self, state: SoftmaxState, positions: Tensor, mask: Tensor | None, starts: Tensor | None
    ) -> tuple[Tensor | None, Growing | None, Growing | None, Tensor | None]:
        """The current document, the keys' labels and positions, and which keys have the queries' label (B, 1, T, S)."""
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
        labels, places = labels.append(of_keys), places.append(positions)
        visible = label.unsqueeze(2) == labels.tensor.unsqueeze(1)
        return document, labels, places, visible.unsqueeze(1)


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
    ) -> None:
        super().__init__()
        self.d_model = self.d_out = d_model
        self.heads = _Heads(d_model, heads, key_heads, d_head, positions, bias)
        self.weights = Probe("B H T S")

    def forward(self, x: Tensor, mask: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        check_inputs(x, self.d_model, mask, starts)
        x = keep(x, mask)
        positions, _ = advance(torch.zeros(x.shape[0], dtype=torch.long, device=x.device), x.shape[1], mask, starts)
        q, k, v = self.heads.project(x, positions)
        visible = None if mask is None else mask[:, None, None, :]  # (B, 1, 1, S)
        if starts is not None:
            label = starts.cumsum(1)
            same = (label.unsqueeze(2) == label.unsqueeze(1)).unsqueeze(1)  # (B, 1, T, S)
            visible = same if visible is None else visible & same
        bias = self.heads.distance_bias(positions, positions, q.dtype)
        return self.heads.join(attend(q, k, v, visible=visible, bias=bias, probe=self.weights), mask)
