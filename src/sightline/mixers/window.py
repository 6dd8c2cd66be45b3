"""Sliding-window self-attention (Child et al. 2019, arXiv:1904.10509; Beltagy et al. 2020, arXiv:2004.05150, § 3.1)."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.mixer import Memory, SequenceMixer
from sightline.core.shapes import Mask, MixedSequences, Sequences, Starts
from sightline.core.state import Growing, replaced
from sightline.ops.documents import Documents, label_documents, split_documents
from sightline.ops.execute import execute
from sightline.ops.pattern import Pattern
from sightline.parts.positions import PositionEncoding
from sightline.parts.self_attention import FullAttention, SelfAttention


@final
@dataclass(frozen=True)
class WindowConfig:
    """Options of `WindowAttention` and `TwoSidedWindowAttention`; key_heads None = heads, d_head None = D/H."""

    window: int = 128
    sinks: int = 0
    heads: int = 4
    key_heads: int | None = None
    d_head: int | None = None
    causal: bool = True
    positions: PositionEncoding = "none"

    def build(self, d_model: int) -> WindowAttention | TwoSidedWindowAttention:
        kind = WindowAttention if self.causal else TwoSidedWindowAttention
        return kind(d_model, self.window, self.sinks, self.heads, self.key_heads, self.d_head, self.positions)

    @classmethod
    def examples(cls) -> tuple[WindowConfig, ...]:
        return (
            cls(window=4, heads=2),
            cls(window=3, sinks=2, heads=4, key_heads=2, d_head=3, positions="rotary"),
            cls(window=1, sinks=1, heads=2, positions="sinusoidal"),
            cls(window=5, heads=3, d_head=1, positions="alibi"),
            cls(window=3, heads=2, causal=False, positions="learned"),
            cls(window=4, heads=4, key_heads=1, d_head=5, causal=False, positions="rotary"),
            cls(window=2, heads=3, d_head=2, causal=False, positions="alibi"),
        )


class WindowState(NamedTuple):
    """The keys and values that a later query may see, newest last: at most sinks + window - 1 of them."""

    keys: Tensor  # (B, G, L, K)
    values: Tensor  # (B, G, L, K)
    position: Tensor  # (B,) real tokens of the current document so far
    held: Tensor | None = None  # (B,) how many of the L are real, where padding or documents have been seen

    @property
    def stretch(self) -> int:
        """See `core.state.Stretchable`."""
        return self.keys.shape[2] if self.held is None or not len(self.held) else int(self.held.max())

    def stretched(self, length: int) -> WindowState:
        """See `core.state.Stretchable`; padding is on the left."""
        keys, values = (Growing(part, 2).ending(length).tensor for part in (self.keys, self.values))
        held = torch.full_like(self.position, self.keys.shape[2]) if self.held is None else self.held
        return replaced(self, keys=keys, values=values, held=held)


class _Windowed(SelfAttention, ABC):
    """The constructor and the pattern that both forms of window attention share."""

    causal: ClassVar[bool]

    def __init__(
        self,
        d_model: int,
        window: int = 128,
        sinks: int = 0,
        heads: int = 4,
        key_heads: int | None = None,
        d_head: int | None = None,
        positions: PositionEncoding = "none",
    ) -> None:
        super().__init__(d_model, heads, key_heads, d_head, positions)
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window}")
        if sinks < 0:
            raise ValueError(f"sinks must not be negative, got {sinks}")
        if sinks and not self.causal:
            raise ValueError(f"sinks are for causal windows: causal=False allows sinks=0 only, got {sinks}")
        if sinks and positions == "alibi":
            raise ValueError("ALiBi's penalty would hide the sinks: choose other positions, or sinks=0")
        self.window, self.sinks = window, sinks
        self.most = sinks + window - 1  # keys that a state contains

    @property
    def pattern(self) -> Pattern:
        return Pattern(self.causal, self.window, self.sinks)


@final
class WindowAttention(_Windowed, SequenceMixer[WindowState]):
    """`SoftmaxAttention` in which a position sees itself, the window - 1 positions before it, and the sinks.

        y_t = Σ_s softmax_s(q_t · k_s / √d_head) v_s  over s <= t with s > t - window or s < sinks

    A window counts real tokens of the document. The document's first `sinks` tokens stay visible (Xiao et al. 2024,
    arXiv:2309.17453, § 3.2; deviation: they count positions in the cache, this class counts them in the document). A
    stack of n layers reaches n · (window - 1) positions back. The state is bounded, and time grows with T · window.

    `key_heads` and `positions` are those of `SoftmaxAttention`; ALiBi and sinks exclude each other. The weights are
    `self.weights`, shape (B, H, T, S), for the S keys of state and input together.

    Raises:
        ValueError: "window must be at least 1, got 0"; "sinks must not be negative, got -1"; "ALiBi's penalty would
            hide the sinks: choose other positions, or sinks=0".
    """

    def initial_state(self, batch: int, memory: Memory | None = None) -> WindowState:
        empty = self.heads.none(batch)
        return WindowState(empty, empty, torch.zeros(batch, dtype=torch.long, device=empty.device))

    def forward(
        self, x: Sequences, state: WindowState | None = None, mask: Mask | None = None, starts: Starts | None = None
    ) -> tuple[MixedSequences, WindowState]:
        state = self.initial_state(x.shape[0]) if state is None else state
        q, keys, values, positions, after = self.project(x, mask, starts, state.position)
        keys, values = torch.cat([state.keys, keys], 2), torch.cat([state.values, values], 2)  # (B, G, S, K)
        alone = mask is None and starts is None and state.held is None
        if torch.compiler.is_exporting() and not alone:
            labels, places, document = self._located(state, positions, mask, starts)
            plan = replaced(self.plan, labels=labels, places=places)
            y = self.heads.join(execute(q, keys, values, plan, self.weights), mask)
            return y, self._kept(keys, values, labels == document.unsqueeze(1), places, after)
        if alone:
            y = execute(q, keys, values, self.plan, self.weights)
            return self.heads.join(y, mask), WindowState(self._last(keys), self._last(values), after)
        real, begins = self._flags(state, x, mask, starts)
        documents = split_documents(real, begins)
        if mask is None and starts is None and (x.shape[1] == 1 or not self.sinks):
            plan = replaced(self.plan, real=real)
        else:
            plan = replaced(self.plan, documents=documents)
        y = execute(q, keys, values, plan, self.weights)
        held = documents.length[documents.last].clamp(max=self.most)
        state = WindowState(self._last_of(documents, keys), self._last_of(documents, values), after, held)
        return self.heads.join(y, mask), state

    def _located(
        self, state: WindowState, positions: Tensor, mask: Tensor | None, starts: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Document, -1 for padding, and place in it (B, S) of the keys of state and input, and the last document (B,).

        Documents are counted from the one that the state ends in.
        """
        back = torch.arange(state.keys.shape[2], device=positions.device).flip(0)  # (L,) 0 = the newest
        before = state.position.unsqueeze(1)
        held = torch.full_like(before, state.keys.shape[2]) if state.held is None else state.held.unsqueeze(1)
        places = torch.where(back < self.window - 1, before, held) - 1 - back
        labels = torch.zeros_like(places).masked_fill(back >= held, -1)
        of_new, document = label_documents(torch.zeros_like(state.position), mask, starts, positions.shape[1])
        return torch.cat([labels, of_new], 1), torch.cat([places, positions], 1), document

    def _kept(self, keys: Tensor, values: Tensor, own: Tensor, places: Tensor, after: Tensor) -> WindowState:
        """The state in the largest size, for `torch.export`; `own` (B, S): real and in the row's last document."""
        later = own.flip(1).cumsum(1).flip(1) - own.long()  # (B, S) of the last document
        chosen = own & ((later < self.window - 1) | (places < self.sinks))
        length = keys.shape[2]
        chosen = F.pad(chosen, (self.most, 0))
        order = chosen.long().argsort(dim=1, stable=True)[:, length:]  # (B, most) those chosen last, in order
        hidden = ~chosen.gather(1, order)

        def taken(part: Tensor) -> Tensor:
            part = F.pad(part, (0, 0, self.most, 0))
            index = order[:, None, :, None].expand(-1, part.shape[1], -1, part.shape[3])
            return part.gather(2, index).masked_fill(hidden[:, None, :, None], 0.0)

        return WindowState(taken(keys), taken(values), after, chosen.sum(1))

    def _last(self, part: Tensor) -> Tensor:
        """The keys or values (B, G, L, K) that later queries may see, of those so far (B, G, S, K)."""
        length, sinks = part.shape[2], self.sinks
        if torch.compiler.is_exporting():  # any length: nothing is left out of a short one
            return torch.cat([part[:, :, :sinks], part[:, :, max(sinks, length - self.most + sinks) :]], 2)
        if length <= self.most:
            return part
        return torch.cat([part[:, :, :sinks], part[:, :, length - self.most + sinks :]], 2)

    def _last_of(self, documents: Documents, part: Tensor) -> Tensor:
        """The same for the last document of each row; right-aligned, with zeros before it."""
        length = documents.length[documents.last].unsqueeze(1)  # (B, 1)
        count = length.clamp(max=self.most)
        back = torch.arange(min(part.shape[2], self.most), device=part.device).flip(0)  # 0 = the newest
        recent = self.most - self.sinks
        order = torch.where(back < recent, length - 1 - back, count - 1 - back).clamp(min=0)  # (B, L)
        place = F.pad(documents.index[documents.last], (0, 1)).gather(1, order)
        taken = part.transpose(1, 2).flatten(0, 1)[place].transpose(1, 2)  # (B, G, L, K)
        return taken.masked_fill((back >= count)[:, None, :, None], 0.0)

    def _flags(
        self, state: WindowState, x: Tensor, mask: Tensor | None, starts: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Mask and starts (B, S) of the state's keys and x together."""
        batch, length = x.shape[0], state.keys.shape[2]
        held = torch.full_like(state.position, length) if state.held is None else state.held
        past = torch.arange(length, device=x.device) >= length - held.unsqueeze(1)
        ones = torch.ones(batch, x.shape[1], dtype=torch.bool, device=x.device)
        real = torch.cat([past, ones if mask is None else mask], 1)
        return real, torch.cat([torch.zeros_like(past), ~ones if starts is None else starts], 1)


@final
class TwoSidedWindowAttention(_Windowed, FullAttention):
    """`WindowAttention` without the causal limit: a position sees itself and window - 1 positions on either side."""
