"""Decoder-only models over tokens, of any mechanisms of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from sightline.core.settings import key
from sightline.models.decoder import Decoder, token_ends
from sightline.models.layers import LayersConfig, ModelHalf
from sightline.parts.front_ends import Source


@final
@dataclass(frozen=True)
class LanguageModelConfig(LayersConfig):
    """Token embeddings, causal layers, and a head that shares the embeddings with `tie`.

    Embeddings are multiplied by √d_model before the layers (Vaswani et al. 2017, § 3.4).
    """

    tie: bool = key(True, "Share the output weights with the embeddings.")

    @property
    def halves(self) -> dict[str, ModelHalf]:
        return {"decoder": ModelHalf("mixer", self)}

    def build(self, source: Source, outputs: int | None = None) -> Decoder:
        """A model of the next token after each token; outputs None = as many as there are tokens.

        Raises:
            ValueError: "a language model reads tokens, got ImagePatches(…)"; "tie needs as many outputs as tokens, …".
        """
        embedding, head = token_ends(source, outputs, self.d_model, tie=self.tie, scale=True)
        return Decoder(embedding, self.causal_layers(), head)
