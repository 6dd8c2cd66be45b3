"""Recurrent encoder-decoders without attention: the decoder sees the source only as a vector of fixed size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

from torch import nn

from sightline.core.mixer import SequenceMixer
from sightline.core.settings import key
from sightline.mixers import MIXERS
from sightline.models.decoder import Decoder
from sightline.models.encoder import RecurrentEncoder
from sightline.models.sequence_model import SequenceModel
from sightline.models.stack import DeepOutput, FeedSummary, Pointwise, Stack
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

    Deviations from both: each decoder layer's first state is a learned projection of all final encoder states, where
    Sutskever et al. copy layer by layer; sizes are small by default; dropout.
    """

    cell: Literal["rnn", "lstm", "gru"] = key("gru", "Recurrent cell.")
    d_model: int = key(96, "Width of the model.")
    layers: int = key(1, "Number of layers.")
    context: Literal["initial", "every_step"] = key(
        "initial", "Whether the decoder sees the source's summary at first or at every step."
    )
    reverse_source: bool = key(False, "Read the source from its end.")
    dropout: float = key(0.1, "Share of values that dropout sets to zero.")

    def resized(self, d_model: int) -> RecurrentConfig:
        """The same architecture at another width."""
        return replace(self, d_model=d_model)

    def build(self, source: Source, outputs: int) -> SequenceModel:
        encoder = RecurrentEncoder(
            build_front_end(source, self.d_model), Stack(self._layers(None)), self.dropout, self.reverse_source
        )
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

    def _layers(self, d_summary: int | None, fed: bool = False) -> list[SequenceMixer]:
        """The recurrent layers with dropout between; a fed first layer reads [word ; summary]."""
        cell = MIXERS[self.cell](d_hidden=self.d_model, d_summary=d_summary)
        layers: list[SequenceMixer] = []
        for layer in range(self.layers):
            if layer:
                layers.append(Pointwise(nn.Dropout(self.dropout), self.d_model))
            layers.append(cell.build(2 * self.d_model if fed and layer == 0 else self.d_model))
        return layers
