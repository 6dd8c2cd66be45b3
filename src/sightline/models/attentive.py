"""Recurrent encoder-decoders that look back: Bahdanau et al. 2015 and Luong et al. 2015."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

from torch import nn

from sightline.core.errors import InputError
from sightline.core.settings import CheckedConfig, key
from sightline.mixers import MIXERS
from sightline.models.decoder import Decoder
from sightline.models.encoder import FullEncoder
from sightline.models.sequence_model import SequenceModel
from sightline.models.stack import Pointwise, Stack
from sightline.parts.front_ends import Source, build_front_end
from sightline.parts.heads import TokenHead
from sightline.parts.token_embedding import TokenEmbedding


@final
@dataclass(frozen=True)
class AttentiveConfig(CheckedConfig):
    """A bidirectional GRU encoder and one additive-attention decoder layer, `d_model` units each way.

    `query="previous"` is Bahdanau, Cho & Bengio 2015 (arXiv:1409.0473): attention before the recurrence, by the
    previous state. Deviations: encoder GRUs reset after the product (torch's fused kernel), sizes are small by
    default (theirs: 1000 units, embeddings of 620), dropout.

    `query="current"` is Luong, Pham & Manning 2015 (arXiv:1508.04025), global attention: by the current state, after
    the recurrence, with `score` general, dot or additive and optional `input_feeding`. Deviations: GRUs instead of
    LSTMs, a bidirectional encoder instead of a stacked one, whose last state the decoder starts from.
    """

    query: Literal["previous", "current"] = key("previous", "Attend by the decoder's previous or its current state.")
    score: Literal["additive", "general", "dot"] = key("additive", "How a query and a key are compared.")
    input_feeding: bool = key(False, "Feed the attention's output to the next step.")
    d_model: int = key(64, "Width of the model.")
    dropout: float = key(0.1, "Share of values that dropout sets to zero.")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, chosen in (("score", self.score != "additive"), ("input_feeding", self.input_feeding)):
            if chosen and self.query == "previous":
                raise InputError("needs query = current, the attention of Luong et al. 2015", where=name)

    def resized(self, d_model: int) -> AttentiveConfig:
        """The same architecture at another width."""
        return replace(self, d_model=d_model)

    def build(self, source: Source, outputs: int) -> SequenceModel:
        width = self.d_model
        reader = MIXERS["bidirectional"]("gru", d_hidden=width).build(width)
        encoder = FullEncoder(build_front_end(source, width), reader, self.dropout, summary="first_backward")
        attention = MIXERS["additive"](
            d_hidden=2 * width if self.score == "dot" else width,
            d_memory=encoder.d_memory,
            d_summary=encoder.d_summary,
            d_attention=width,
            query=self.query,
            score=self.score,
            input_feeding=self.input_feeding,
        )
        layers = [attention.build(width), Pointwise(nn.Dropout(self.dropout), width)]
        decoder = Decoder(
            TokenEmbedding(outputs, width), Stack(layers), TokenHead(width, outputs), dropout=self.dropout
        )
        return SequenceModel(encoder, decoder)
