"""Decoder-only models over tokens, of any mechanisms of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sightline.models.decoder import Decoder
from sightline.models.layers import LayersConfig
from sightline.parts.frontends import TokenEmbedding
from sightline.parts.heads import TokenHead


@dataclass(frozen=True)
class LanguageModelConfig(LayersConfig):
    """Token embeddings, causal layers, and a head that shares the embeddings with `tie`."""

    tie: bool = True

    def resized(self, d_model: int) -> LanguageModelConfig:
        """The same architecture at another width, the feed-forward width in proportion."""
        wide = self.d_feed_forward and max(1, self.d_feed_forward * d_model // self.d_model)
        return replace(self, d_model=d_model, d_feed_forward=wide)

    def build(self, vocabulary: int) -> Decoder:
        embedding = TokenEmbedding(vocabulary, self.d_model, scale=True, padding=None)
        head = TokenHead(self.d_model, vocabulary, tied=embedding.weight if self.tie else None, bias=not self.tie)
        return Decoder(embedding, self.causal_layers(), head)
