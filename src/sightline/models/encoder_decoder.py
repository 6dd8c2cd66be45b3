"""Encoder-decoders of any mechanisms of the table: two-sided below, causal with cross-attention above."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sightline.models.decoder import Decoder
from sightline.models.encoder import FullEncoder
from sightline.models.layers import LayersConfig
from sightline.models.sequence_model import SequenceModel
from sightline.parts.frontends import TokenEmbedding
from sightline.parts.heads import TokenHead


@dataclass(frozen=True)
class EncoderDecoderConfig(LayersConfig):
    """`layers` of (mixer, feed-forward) encode, `layers` of (mixer, cross-attention, feed-forward) decode.

    The target's embeddings are the output weights too. With `mixers=("softmax",)` it is a Transformer.
    """

    def resized(self, d_model: int) -> EncoderDecoderConfig:
        """The same architecture at another width, the feed-forward width in proportion."""
        wide = self.d_feed_forward and max(1, self.d_feed_forward * d_model // self.d_model)
        return replace(self, d_model=d_model, d_feed_forward=wide)

    def build(self, source_vocabulary: int, target_vocabulary: int) -> SequenceModel:
        encoder = FullEncoder(TokenEmbedding(source_vocabulary, self.d_model, scale=True), self.full_layers())
        target = TokenEmbedding(target_vocabulary, self.d_model, scale=True)
        head = TokenHead(self.d_model, target_vocabulary, tied=target.weight, bias=False)
        decoder = Decoder(target, self.causal_layers(reads_memory=True), head)
        return SequenceModel(encoder, decoder, source_vocabulary, target_vocabulary)
