"""The decoder of a sequence model: token ids in, logits out, one state that is a value."""

from __future__ import annotations

from typing import Any, final

from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEnd, FrontEndConfig
from sightline.core.mixer import Memory, SequenceMixer
from sightline.parts.front_ends import Source, as_config
from sightline.parts.heads import TokenHead
from sightline.parts.token_embedding import TokenEmbedding, Tokens


@final
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

    def read(self, tokens: Tensor, state: Any, mask: Tensor | None = None) -> tuple[Tensor, Any]:
        """Logits (B, V) of what follows the last of tokens (B, T), T >= 1, and the state after them.

        As `forward`, without the logits of the positions before, which are most of a long prompt's time and memory.
        """
        x, state = self.mixer(self.dropout(self.embedding(tokens)), state, mask)
        return self.head(self.norm(x[:, -1])), state

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits (B, V) of what follows tokens (B,)."""
        x, state = self.mixer.step(self.dropout(self.embedding(tokens)), state)
        return self.head(self.norm(x)), state


def token_ends(
    source: Source, outputs: int | None, d_model: int, *, tie: bool, scale: bool
) -> tuple[nn.Module, TokenHead]:
    """Embedding and head of a language model, one matrix with `tie`; outputs None = as many as there are tokens.

    Raises:
        ValueError: "a language model reads tokens, got ImagePatches(…)"; "tie needs as many outputs as tokens, …".
        InputError: a front end that mixes positions, or that has no embeddings to share.
    """
    tokens = as_config(source)
    if tokens.accepts != "tokens":
        raise ValueError(f"a language model reads tokens, got {tokens}")
    if not isinstance(tokens, Tokens):
        return _chosen_ends(tokens, outputs, d_model, tie=tie)
    outputs = tokens.vocabulary if outputs is None else outputs
    if tie and outputs != tokens.vocabulary:
        raise ValueError(f"tie needs as many outputs as tokens, got {outputs} and {tokens.vocabulary}")
    embedding = TokenEmbedding(tokens.vocabulary, d_model, scale=scale, padding=None)
    return embedding, TokenHead(d_model, outputs, tied=embedding.weight if tie else None, bias=not tie)


@final
class EmbeddedByFrontEnd(nn.Module):
    """Tokens (B, T), or one for each row (B,), as the vectors of a pointwise front end."""

    def __init__(self, front_end: FrontEnd) -> None:
        super().__init__()
        self.front_end = front_end

    def forward(self, tokens: Tensor) -> Tensor:
        if tokens.dim() == 1:
            return self.front_end(tokens.unsqueeze(1))[0].squeeze(1)
        return self.front_end(tokens)[0]


def _chosen_ends(
    config: FrontEndConfig, outputs: int | None, d_model: int, *, tie: bool
) -> tuple[EmbeddedByFrontEnd, TokenHead]:
    """Embedding and head of a language model with another front end than the table of embeddings."""
    front_end = config.build(d_model)
    if not front_end.pointwise:
        raise InputError(
            f"{type(config).__name__} mixes positions: the model would see what it should predict", where="--front-end"
        )
    if tie or outputs is None:
        raise InputError(
            f"{type(config).__name__} has no embeddings that the output weights could share: set it to false",
            where="model.tie",
        )
    return EmbeddedByFrontEnd(front_end), TokenHead(d_model, outputs)
