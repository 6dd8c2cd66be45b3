"""A plugin: the GRU under another name, with other weights for the same seed. `verify_planted.py` compares the two."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from sightline.models.recurrent import RecurrentConfig
from sightline.models.sequence_model import SequenceModel
from sightline.parts.front_ends import Source


@dataclass(frozen=True)
class TwinConfig:
    """The preset "gru", see `RecurrentConfig`."""

    d_model: int = 96
    dropout: float = 0.1

    def resized(self, d_model: int) -> TwinConfig:
        """The same architecture at another width."""
        return replace(self, d_model=d_model)

    def build(self, source: Source, outputs: int) -> SequenceModel:
        torch.rand(1)
        return RecurrentConfig("gru", self.d_model, context="every_step", dropout=self.dropout).build(source, outputs)


FORMS = {"encoder-decoder": {"twin": TwinConfig()}}
