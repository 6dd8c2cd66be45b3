"""The Transformer encoder-decoder (Vaswani et al. 2017), as published and with modern defaults."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, final

from sightline.core.errors import InputError
from sightline.core.settings import key
from sightline.models.decoder import Decoder
from sightline.models.encoder import FullEncoder
from sightline.models.encoder_decoder import EncoderDecoderConfig
from sightline.models.layers import LayersConfig
from sightline.models.sequence_model import SequenceModel
from sightline.parts.feed_forward import Activation
from sightline.parts.front_ends import Source, as_config, build_front_end
from sightline.parts.heads import TokenHead
from sightline.parts.norm import Norm
from sightline.parts.positions import PositionEncoding
from sightline.parts.token_embedding import EmbeddedTokens, TokenEmbedding, Tokens

ADDED = ("sinusoidal", "learned")


@final
@dataclass(frozen=True)
class TransformerConfig:
    """`layers` of (self-attention, feed-forward) encode, `layers` of (self-, cross-attention, feed-forward) decode.

    `order="post"`, `norm="layer"`, `positions="sinusoidal"`, `activation="relu"`, `scale_embedding`, `tie="target"` (or
    `"all"`, with one vocabulary for both sides) are the paper's. `order="pre"` puts a norm before each sublayer and one
    after the last (Xiong et al. 2020), which trains without a long warm-up. Dropout falls on the embedding sum and on
    every sublayer's output (§ 5.4), not on attention weights. d_feed_forward None = 4·d_model.
    """

    d_model: int = key(64, "Width of the model.")
    heads: int = key(4, "Number of heads.")
    layers: int = key(2, "Number of layers.")
    d_feed_forward: int | None = key(None, "Width of the feed-forward layers; null: 4·d_model.")
    positions: PositionEncoding = key("rotary", "Position encoding.")
    order: Literal["pre", "post"] = key("pre", "Norms before (pre) or after (post) each sublayer.")
    norm: Norm = key("layer", "Norm.")
    activation: Activation = key("relu", "Activation of the feed-forward layers.")
    tie: Literal["none", "target", "all"] = key("target", "Which embeddings the output weights share.")
    scale_embedding: bool = key(True, "Multiply token embeddings by the square root of d_model.")
    dropout: float = key(0.1, "Share of values that dropout sets to zero.")

    def resized(self, d_model: int) -> TransformerConfig:
        """The same architecture at another width, the feed-forward width in proportion."""
        wide = None if self.d_feed_forward is None else max(1, self.d_feed_forward * d_model // self.d_model)
        return replace(self, d_model=d_model, d_feed_forward=wide)

    def build(self, source: Source, outputs: int) -> SequenceModel:
        if self.tie == "all" and as_config(source) != Tokens(outputs):
            raise InputError(
                f"all needs one vocabulary for both sides, found {as_config(source)} and {outputs} target tokens",
                where="model.tie",
            )
        tied = self.tie != "none"
        embed = TokenEmbedding(outputs, self.d_model, scale=self.scale_embedding, tied=tied)
        of_source = (
            EmbeddedTokens(embed)
            if self.tie == "all"
            else build_front_end(source, self.d_model, scale=self.scale_embedding)
        )
        layers = self.layer_options()
        encoder = FullEncoder(of_source, layers.full_layers())
        stack = layers.causal_layers(reads_memory=True)
        head = TokenHead(self.d_model, outputs, tied=embed.weight if tied else None, bias=not tied)
        return SequenceModel(encoder, Decoder(embed, stack, head))

    def as_layers(self) -> EncoderDecoderConfig:
        """The same model as one of layers of any mechanism: its parameters have the same names and places.

        Raises:
            InputError: "model.tie: 'all' has no counterpart in a model of several mechanisms, which has 'target'".
        """
        for name, value, only in (("tie", self.tie, "target"), ("scale_embedding", self.scale_embedding, True)):
            if value != only:
                raise InputError(
                    f"{value!r} has no counterpart in a model of several mechanisms, which has {only!r}",
                    where=f"model.{name}",
                )
        layers = self.layer_options()
        return EncoderDecoderConfig(**{field.name: getattr(layers, field.name) for field in fields(layers)})

    def layer_options(self) -> LayersConfig:
        """The options of the layers of encoder and decoder; some positions are added once, below the layers."""
        added, inside = (self.positions, "none") if self.positions in ADDED else ("none", self.positions)
        return LayersConfig(
            d_model=self.d_model,
            layers=self.layers,
            heads=self.heads,
            positions=inside,
            input_positions=added,
            d_feed_forward=self.d_feed_forward or 4 * self.d_model,
            activation=self.activation,
            norm=self.norm,
            order=self.order,
            dropout=self.dropout,
        )
