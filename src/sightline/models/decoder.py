"""The decoder of a sequence model: token ids in, logits out, one state that is a value."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from sightline.core.mixer import Memory, SequenceMixer


class Decoder(nn.Module):
    """Embedding, a causal mixer (usually a `Stack`), a final norm where the architecture has one, and a head."""

    def __init__(
        self,
        embedding: nn.Module,
        mixer: SequenceMixer,
        head: nn.Module,
        *,
        norm: nn.Module | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding, self.mixer, self.head = embedding, mixer, head
        self.norm = nn.Identity() if norm is None else norm
        self.dropout = nn.Dropout(dropout)

    def initial_state(self, batch: int, memory: Memory | None = None) -> Any:
        """The state before the first token."""
        return self.mixer.initial_state(batch, memory)

    def forward(
        self, tokens: Tensor, state: Any, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Logits (B, T, V) of what follows each of tokens (B, T), and the state after them."""
        x, state = self.mixer(self.dropout(self.embedding(tokens)), state, mask, starts)
        return self.head(self.norm(x)), state

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits (B, V) of what follows tokens (B,)."""
        x, state = self.mixer.step(self.dropout(self.embedding(tokens)), state)
        return self.head(self.norm(x)), state
