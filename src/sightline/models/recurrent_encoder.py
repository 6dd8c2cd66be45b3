"""A bidirectional recurrence with additive attention over what it read (Jain & Wallace 2019, arXiv:1902.10186)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, final

import torch
from torch import nn

from sightline.core.config import decode
from sightline.core.front_end import FrontEnd
from sightline.core.mixer import SequenceEncoder, SequenceMixer
from sightline.core.settings import key
from sightline.mixers import MIXERS
from sightline.mixers.bidirectional import Bidirectional
from sightline.models.encoder_model import EncoderModel
from sightline.models.stack import AsEncoder, EncoderStack, Pointwise
from sightline.parts.front_ends import Source, build_front_end
from sightline.parts.heads import TokenHead
from sightline.parts.pooling import POOLINGS
from sightline.parts.token_embedding import EmbeddedTokens


def drawn_front_end(source: Source, d_embedding: int, std: float) -> FrontEnd:
    """The front end of a source, its embeddings, if it has any, drawn with standard deviation `std`."""
    front_end = build_front_end(source, d_embedding)
    if isinstance(front_end, EmbeddedTokens):
        with torch.no_grad():
            front_end.embedding.weight.mul_(std)
    return front_end


@final
@dataclass(frozen=True)
class RecurrentEncoderConfig:
    """Embeddings, one recurrence in each direction, additive attention, a linear map: "BiLSTM" of Jain & Wallace 2019.

    § 3 and the paper's code: embeddings of 300, an LSTM of 128 units a direction, scores v · tanh(W h + b) with W to
    128. Deviations: the embeddings are drawn at random, where the paper has pretrained ones, with standard deviation
    `embedding_std`; the recurrence starts with orthogonal weights and forget biases of 1, where the paper's code has
    torch's initial values, which `options={"lstm": {"initial": "uniform"}}` draws; the output has a logit for each
    class, where the paper has a single one for two; the mechanism may be another, as may the pooling; `dropout` (the
    paper has none) before and after the recurrence.

    d_model: width of the pooled vectors, half of it from each direction
    options: of a mechanism, by its name, as its config has them
    """

    mixer: Literal["rnn", "lstm", "gru", "lru", "min_gru", "min_lstm"] = key("lstm", "Mechanism in each direction.")
    d_embedding: int = key(300, "Width of the token embeddings.")
    d_model: int = key(256, "Width of the model.")
    pooling: Literal["none", "mean", "last", "additive"] = key("additive", "How positions become one vector.")
    dropout: float = key(0.0, "Share of values that dropout sets to zero.")
    embedding_std: float = key(0.1, "Standard deviation of the initial embeddings.")
    options: dict[str, dict[str, Any]] = key(description="Options of a mechanism, by its name.", factory=dict)

    def resized(self, d_model: int) -> RecurrentEncoderConfig:
        """The same at another width, the embeddings' in proportion."""
        return replace(self, d_model=d_model, d_embedding=max(1, self.d_embedding * d_model // self.d_model))

    def build(self, source: Source, outputs: int) -> EncoderModel:
        """A model of `outputs` numbers for each position, or, pooled, for each row."""
        front_end = drawn_front_end(source, self.d_embedding, self.embedding_std)
        pooling = None if self.pooling == "none" else POOLINGS[self.pooling](self.d_model)
        return EncoderModel(front_end, self._layers(), TokenHead(self.d_model, outputs), pooling)

    def _layers(self) -> SequenceEncoder:
        if self.d_model % 2:
            raise ValueError(f"d_model = {self.d_model} has no half for each direction")
        both = Bidirectional(self._mixer(), self._mixer())
        before = AsEncoder(Pointwise(nn.Dropout(self.dropout), self.d_embedding))
        return EncoderStack([before, both, AsEncoder(Pointwise(nn.Dropout(self.dropout), self.d_model))])

    def _mixer(self) -> SequenceMixer:
        config: Any = decode(MIXERS[self.mixer], self.options.get(self.mixer, {}), where=f"options.{self.mixer}")
        return replace(config, d_hidden=self.d_model // 2).build(self.d_embedding)
