"""Decoder-only models over tokens, of any mechanisms of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sightline.models.decoder import Decoder
from sightline.models.layers import LayersConfig
from sightline.parts.front_ends import Source, as_config
from sightline.parts.heads import TokenHead
from sightline.parts.token_embedding import TokenEmbedding, Tokens


@dataclass(frozen=True)
class LanguageModelConfig(LayersConfig):
    """Token embeddings, causal layers, and a head that shares the embeddings with `tie`."""

    tie: bool = True

    def resized(self, d_model: int) -> LanguageModelConfig:
        """The same architecture at another width, the feed-forward width in proportion."""
        wide = self.d_feed_forward and max(1, self.d_feed_forward * d_model // self.d_model)
        return replace(self, d_model=d_model, d_feed_forward=wide)

    def build(self, source: Source, outputs: int | None = None) -> Decoder:
        """A model of what follows each token; outputs None = as many as there are tokens.

        Raises:
            ValueError: "a language model reads tokens, got ImagePatches(…)"; "tie needs as many outputs as tokens, …".
        """
        tokens = as_config(source)
        if not isinstance(tokens, Tokens):
            raise ValueError(f"a language model reads tokens, got {tokens}")
        outputs = tokens.vocabulary if outputs is None else outputs
        if self.tie and outputs != tokens.vocabulary:
            raise ValueError(f"tie needs as many outputs as tokens, got {outputs} and {tokens.vocabulary}")
        embedding = TokenEmbedding(tokens.vocabulary, self.d_model, scale=True, padding=None)
        head = TokenHead(self.d_model, outputs, tied=embedding.weight if self.tie else None, bias=not self.tie)
        return Decoder(embedding, self.causal_layers(), head)
