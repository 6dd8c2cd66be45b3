"""An encoder and a decoder, joined by a memory."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor, nn

from sightline.core.mixer import Memory
from sightline.models.decoder import Decoder
from sightline.models.encoder import Encoder


@final
class SequenceModel(nn.Module):
    """Maps a source to a target sequence; every architecture of the table is one of these.

    Decoding needs three methods and nothing else: `encode`, `initial_state`, `step`.
    """

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, source: Any, source_mask: Tensor | None = None) -> Memory:
        """The memory of a source, such as token ids (B, M), as the front end reads it; mask (B, M), True = real."""
        return self.encoder(source, source_mask)

    def initial_state(self, memory: Memory) -> Any:
        """The decoder's state before the first token, everything it reads of the memory included."""
        return self.decoder.initial_state(memory.values.shape[0], memory)

    def decode(self, tokens: Tensor, state: Any, mask: Tensor | None = None) -> tuple[Tensor, Any]:
        """Logits (B, T, V) of what follows each of tokens (B, T), and the next state; any chunking gives the same."""
        return self.decoder(tokens, state, mask)

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits (B, V) of what follows tokens (B,), and the next state."""
        return self.decoder.step(tokens, state)

    def forward(self, source: Any, source_mask: Tensor | None, target: Tensor) -> Tensor:
        """Logits (B, T, V) under teacher forcing; target (B, T) begins with the start token, padding on the right.

        No target mask is needed: the decoder is causal, so that padding on the right reaches no real position.
        """
        state = self.initial_state(self.encode(source, source_mask))
        return self.decode(target, state)[0]
