"""Word vectors that have not seen each other, and additive attention over them (Jain & Wallace 2019)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

from torch import nn

from sightline.core.settings import key
from sightline.models.encoder_model import EncoderModel
from sightline.models.recurrent_encoder import drawn_front_end
from sightline.models.stack import AsEncoder, EncoderStack, Pointwise
from sightline.parts.front_ends import Source
from sightline.parts.heads import TokenHead
from sightline.parts.pooling import POOLINGS


@final
@dataclass(frozen=True)
class ProjectionEncoderConfig:
    """Embeddings, h = tanh(W x + b) of each, additive attention, a linear map: no position sees another one.

    The encoder without recurrence beside the BiLSTM of Jain & Wallace 2019 (arXiv:1902.10186), `average` in their code:
    embeddings of 300, 128 units, scores v · tanh(W h + b) with W to 64. Deviations are those of
    `RecurrentEncoderConfig`: embeddings drawn at random with standard deviation `embedding_std`, a logit for each
    class, other poolings, and `dropout`.

    d_model: width of the projected vectors
    """

    d_embedding: int = key(300, "Width of the token embeddings.")
    d_model: int = key(128, "Width of the model.")
    pooling: Literal["none", "mean", "last", "additive"] = key("additive", "How positions become one vector.")
    dropout: float = key(0.0, "Share of values that dropout sets to zero.")
    embedding_std: float = key(0.1, "Standard deviation of the initial embeddings.")

    def resized(self, d_model: int) -> ProjectionEncoderConfig:
        """The same at another width, the embeddings' in proportion."""
        return replace(self, d_model=d_model, d_embedding=max(1, self.d_embedding * d_model // self.d_model))

    def build(self, source: Source, outputs: int) -> EncoderModel:
        """A model of `outputs` numbers for each position, or, pooled, for each row."""
        front_end = drawn_front_end(source, self.d_embedding, self.embedding_std)
        project = nn.Sequential(nn.Dropout(self.dropout), nn.Linear(self.d_embedding, self.d_model), nn.Tanh())
        layers = [
            AsEncoder(Pointwise(project, self.d_embedding, self.d_model)),
            AsEncoder(Pointwise(nn.Dropout(self.dropout), self.d_model)),
        ]
        pooling = None if self.pooling == "none" else POOLINGS[self.pooling](self.d_model)
        return EncoderModel(front_end, EncoderStack(layers), TokenHead(self.d_model, outputs), pooling)
