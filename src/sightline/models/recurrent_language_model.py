"""Decoder-only models of recurrent layers alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

from torch import nn

from sightline.core.mixer import SequenceMixer
from sightline.core.settings import CheckedConfig, key
from sightline.mixers import MIXERS
from sightline.models.decoder import Decoder, token_ends
from sightline.models.stack import Pointwise, Stack
from sightline.parts.front_ends import Source


@final
@dataclass(frozen=True)
class RecurrentLanguageModelConfig(CheckedConfig):
    """Embedding, `layers` recurrent layers, head, all `d_model` wide, no residuals and no norms.

    The recurrent language model of Mikolov et al. 2010 and, with LSTM cells and dropout between the layers and around
    them but never from step to step, of Zaremba, Sutskever & Vinyals 2014 (arXiv:1409.2329, § 3.1). Deviations from
    both: recurrent weights begin orthogonal and input weights Glorot-uniform, and sizes are small by default (theirs:
    up to 1,500 units). From 2010, with `cell="rnn"`: units are tanh where the paper's are logistic, words are embedded
    before W, which reads one-hot words there, and units have biases. From 2014: the forget bias begins at 1, where the
    paper draws all parameters from one uniform distribution.
    `tie` shares the head with the embedding (Press & Wolf 2017), which is then multiplied by √d_model.
    """

    cell: Literal["rnn", "lstm", "gru"] = key("lstm", "Recurrent cell.")
    d_model: int = key(128, "Width of the model.")
    layers: int = key(2, "Number of layers.", at_least=1)
    tie: bool = key(False, "Share the output weights with the embeddings.")
    dropout: float = key(0.1, "Share of values that dropout sets to zero.")

    def resized(self, d_model: int) -> RecurrentLanguageModelConfig:
        """The same architecture at another width."""
        return replace(self, d_model=d_model)

    def build(self, source: Source, outputs: int | None = None) -> Decoder:
        """A model of the next token after each token; outputs None = as many as there are tokens.

        Raises:
            ValueError: "a language model reads tokens, got ImagePatches(…)"; "tie needs as many outputs as tokens, …".
        """
        embedding, head = token_ends(source, outputs, self.d_model, tie=self.tie, scale=self.tie)
        layers: list[SequenceMixer] = []
        for layer in range(self.layers):
            if layer:
                layers.append(Pointwise(nn.Dropout(self.dropout), self.d_model))
            layers.append(MIXERS[self.cell](d_hidden=self.d_model).build(self.d_model))
        return Decoder(embedding, Stack(layers), head, norm=nn.Dropout(self.dropout), dropout=self.dropout)
