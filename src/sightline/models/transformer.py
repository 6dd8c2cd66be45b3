"""The Transformer encoder-decoder (Vaswani et al. 2017), as published and with modern defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, final

from torch import nn

from sightline.core.mixer import SequenceEncoder, SequenceMixer
from sightline.core.settings import key
from sightline.mixers import MIXERS
from sightline.models.decoder import Decoder
from sightline.models.encoder import FullEncoder
from sightline.models.sequence_model import SequenceModel
from sightline.models.stack import AsEncoder, EncoderStack, Pointwise, Residual, ResidualEncoder, Stack
from sightline.parts.feed_forward import Activation, FeedForward
from sightline.parts.front_ends import Source, as_config, build_front_end
from sightline.parts.heads import TokenHead
from sightline.parts.norm import Norm, make_norm
from sightline.parts.positions import AddPositions, PositionEncoding
from sightline.parts.token_embedding import EmbeddedTokens, TokenEmbedding, Tokens

T = TypeVar("T")


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
            raise ValueError(
                f"tie='all' needs one vocabulary for both sides, got {as_config(source)} and {outputs} target tokens"
            )
        embed = TokenEmbedding(outputs, self.d_model, scale=self.scale_embedding)
        of_source = (
            EmbeddedTokens(embed)
            if self.tie == "all"
            else build_front_end(source, self.d_model, scale=self.scale_embedding)
        )
        encoder = FullEncoder(of_source, EncoderStack(self._encoder_layers()))
        decoder = Decoder(
            embed,
            Stack(self._decoder_layers()),
            TokenHead(
                self.d_model, outputs, tied=None if self.tie == "none" else embed.weight, bias=self.tie == "none"
            ),
        )
        return SequenceModel(encoder, decoder)

    def _encoder_layers(self) -> list[SequenceEncoder]:
        attention = MIXERS["softmax"](self.heads, causal=False, positions=self._inside)
        layers: list[SequenceEncoder] = [AsEncoder(layer) for layer in self._below()]
        for _ in range(self.layers):
            layers.append(self._around(ResidualEncoder, attention.build(self.d_model)))
            layers.append(self._around(ResidualEncoder, AsEncoder(self._feed_forward())))
        return layers + ([AsEncoder(self._final_norm())] if self.order == "pre" else [])

    def _decoder_layers(self) -> list[SequenceMixer]:
        attention = MIXERS["softmax"](self.heads, positions=self._inside)
        cross = MIXERS["cross"](self.heads)
        layers = self._below()
        for _ in range(self.layers):
            layers.append(self._around(Residual, attention.build(self.d_model)))
            layers.append(self._around(Residual, cross.build(self.d_model)))
            layers.append(self._around(Residual, self._feed_forward()))
        return layers + ([self._final_norm()] if self.order == "pre" else [])

    @property
    def _inside(self) -> PositionEncoding:
        """Positions inside the attention; added ones are added once, below the layers."""
        return "none" if self.positions in ("sinusoidal", "learned") else self.positions

    def _below(self) -> list[SequenceMixer]:
        added: list[SequenceMixer] = []
        if self.positions in ("sinusoidal", "learned"):
            added.append(AddPositions(self.d_model, self.positions))
        return [*added, Pointwise(nn.Dropout(self.dropout), self.d_model)]

    def _around(self, residual: Callable[..., T], inner: SequenceMixer | SequenceEncoder) -> T:
        return residual(inner, make_norm(self.norm, self.d_model), self.order, self.dropout)

    def _feed_forward(self) -> Pointwise:
        wide = self.d_feed_forward or 4 * self.d_model
        return Pointwise(FeedForward(self.d_model, wide, self.activation), self.d_model)

    def _final_norm(self) -> Pointwise:
        return Pointwise(make_norm(self.norm, self.d_model), self.d_model)
