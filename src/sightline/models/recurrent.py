"""Recurrent encoder-decoders without attention: the decoder sees the source only as a vector of fixed size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

from torch import nn

from sightline.core.errors import InputError
from sightline.core.mixer import SequenceEncoder, SequenceMixer
from sightline.core.settings import key
from sightline.mixers import MIXERS
from sightline.models.decoder import Decoder
from sightline.models.encoder import Encoder, FullEncoder, RecurrentEncoder
from sightline.models.sequence_model import SequenceModel
from sightline.models.stack import AsEncoder, DeepOutput, EncoderStack, FeedSummary, Pointwise, Stack
from sightline.parts.front_ends import Source, build_front_end
from sightline.parts.heads import TokenHead
from sightline.parts.token_embedding import TokenEmbedding


@final
@dataclass(frozen=True)
class RecurrentConfig:
    """A recurrent encoder and a recurrent decoder of `layers` layers, all `d_model` wide.

    `context="initial"`: the encoder's final states set the decoder's first states, as in Sutskever, Vinyals & Le 2014
    (arXiv:1409.3215), who also read the source reversed (`reverse_source`). `context="every_step"`: the decoder and
    its output layer see the summary at every step, as in Cho et al. 2014 (arXiv:1406.1078, appendix A.1).

    `bidirectional`: the source is read in both directions, as before the attention of Bahdanau et al. 2015
    (arXiv:1409.0473, appendix A.2.1); its summary is the last state of the backward half, where their decoder begins.

    Deviations from all: each decoder layer's first state is a learned projection of all of the summary, where Sutskever
    et al. copy layer by layer; sizes are small by default; dropout.
    """

    cell: Literal["rnn", "lstm", "gru"] = key("gru", "Recurrent cell.")
    d_model: int = key(96, "Width of the model.")
    layers: int = key(1, "Number of layers.")
    context: Literal["initial", "every_step"] = key(
        "initial", "Whether the decoder sees the source's summary at first or at every step."
    )
    reverse_source: bool = key(False, "Read the source from its end.")
    bidirectional: bool = key(False, "Read the source in both directions.")
    dropout: float = key(0.1, "Share of values that dropout sets to zero.")

    def resized(self, d_model: int) -> RecurrentConfig:
        """The same architecture at another width."""
        return replace(self, d_model=d_model)

    def build(self, source: Source, outputs: int) -> SequenceModel:
        encoder = self._encoder(source)
        layers = self._layers(encoder.d_summary, fed=self.context == "every_step")
        if self.context == "every_step" and encoder.d_summary is not None:
            layers = [FeedSummary(self.d_model, encoder.d_summary), DeepOutput(Stack(layers), self.d_model)]
        decoder = Decoder(
            TokenEmbedding(outputs, self.d_model),
            Stack(layers),
            TokenHead(self.d_model, outputs),
            norm=nn.Dropout(self.dropout),
            dropout=self.dropout,
        )
        return SequenceModel(encoder, decoder)

    def _encoder(self, source: Source) -> Encoder:
        front_end = build_front_end(source, self.d_model)
        if not self.bidirectional:
            return RecurrentEncoder(front_end, Stack(self._layers(None)), self.dropout, self.reverse_source)
        if self.reverse_source:
            raise InputError("false where bidirectional reads both ways, found true", where="model.reverse_source")
        layers: list[SequenceEncoder] = []
        width = self.d_model
        for layer in range(self.layers):
            if layer:
                layers.append(AsEncoder(Pointwise(nn.Dropout(self.dropout), width)))
            layers.append(MIXERS["bidirectional"](self.cell, d_hidden=self.d_model).build(width))
            width = 2 * self.d_model
        reader = layers[0] if self.layers == 1 else EncoderStack(layers)
        return FullEncoder(front_end, reader, self.dropout, summary="first_backward")

    def _layers(self, d_summary: int | None, fed: bool = False) -> list[SequenceMixer]:
        """The recurrent layers with dropout between; a fed first layer reads [word ; summary]."""
        cell = MIXERS[self.cell](d_hidden=self.d_model, d_summary=d_summary)
        layers: list[SequenceMixer] = []
        for layer in range(self.layers):
            if layer:
                layers.append(Pointwise(nn.Dropout(self.dropout), self.d_model))
            layers.append(cell.build(2 * self.d_model if fed and layer == 0 else self.d_model))
        return layers
