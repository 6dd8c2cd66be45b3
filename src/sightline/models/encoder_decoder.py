"""Encoder-decoders of any mechanisms of the table: a two-sided encoder and a causal decoder with cross-attention."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import final

from sightline.core.settings import key
from sightline.models.decoder import Decoder
from sightline.models.encoder import FullEncoder
from sightline.models.layers import LayersConfig, ModelHalf
from sightline.models.sequence_model import SequenceModel
from sightline.parts.front_ends import Source, build_front_end
from sightline.parts.heads import TokenHead
from sightline.parts.token_embedding import TokenEmbedding


@final
@dataclass(frozen=True)
class EncoderDecoderConfig(LayersConfig):
    """`layers` of (mixer, feed-forward) encode, `layers` of (mixer, cross-attention, feed-forward) decode.

    The embeddings of tokens are multiplied by √d_model (Vaswani et al. 2017, § 3.4); those of the target are the output
    weights too. With `mixers=("softmax",)` it is a Transformer.

    encoder_mixers: as `mixers`, of the encoder's layers alone
    """

    encoder_mixers: tuple[str, ...] = key((), "Mechanism of each layer of the encoder; empty: as in the decoder.")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.encoder_layers()

    @property
    def mechanisms(self) -> set[str]:
        return super().mechanisms | self.encoder_layers().mechanisms

    @property
    def halves(self) -> dict[str, ModelHalf]:
        encoder = ModelHalf("encoder.encoder", self.encoder_layers(), "encoder_mixers")
        return {"decoder": ModelHalf("decoder.mixer", self), "encoder": encoder}

    def encoder_layers(self) -> LayersConfig:
        """The options of the encoder's layers."""
        options = {field.name: getattr(self, field.name) for field in fields(LayersConfig)}
        return LayersConfig(**options | {"mixers": self.encoder_mixers or self.mixers})

    def build(self, source: Source, outputs: int) -> SequenceModel:
        layers = self.encoder_layers().full_layers()
        encoder = FullEncoder(build_front_end(source, self.d_model, scale=True), layers)
        target = TokenEmbedding(outputs, self.d_model, scale=True)
        head = TokenHead(self.d_model, outputs, tied=target.weight, bias=False)
        decoder = Decoder(target, self.causal_layers(reads_memory=True), head)
        return SequenceModel(encoder, decoder)
