"""Encoder-only models over tokens, of any mechanisms of the table: to label tokens, fill gaps or classify rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from sightline.core.mixer import SequenceEncoder, keep
from sightline.models.layers import LayersConfig
from sightline.parts.frontends import TokenEmbedding
from sightline.parts.heads import TokenHead

Pooling = Literal["none", "mean"]


class TokenEncoder(nn.Module):
    """Embedding, an encoder whose positions see their whole document, and a head over each position or their mean.

    It has no state and no step: what sees both sides cannot be fed token by token.
    """

    def __init__(self, embedding: nn.Module, encoder: SequenceEncoder, head: nn.Module, pooling: Pooling) -> None:
        super().__init__()
        self.embedding, self.encoder, self.head, self.pooling = embedding, encoder, head, pooling

    def forward(self, tokens: Tensor, mask: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        """Outputs (B, T, C) of tokens (B, T), those at masked positions without meaning; pooled, (B, C).

        mask and starts (B, T) as in `SequenceEncoder`. The mean of a row without tokens is taken to be zero.

        Raises:
            ValueError: "a row of several documents has no mean of its own: starts are for pooling='none'".
        """
        if self.pooling == "mean" and starts is not None:
            raise ValueError("a row of several documents has no mean of its own: starts are for pooling='none'")
        x = keep(self.encoder(self.embedding(tokens), mask, starts), mask)
        if self.pooling == "mean":
            real = torch.ones_like(tokens) if mask is None else mask
            x = x.sum(1) / real.sum(1, keepdim=True).clamp(min=1)
        return self.head(x)


@dataclass(frozen=True)
class TokenEncoderConfig(LayersConfig):
    """Token embeddings, layers that see both sides, and a head over each position or, by `pooling`, over their mean.

    Windows, patterns of blocks, softmax and linear attention stand here without their causal limit, recurrences and
    the decaying members of the linear family once in each direction.
    """

    pooling: Pooling = "none"

    def resized(self, d_model: int) -> TokenEncoderConfig:
        """The same architecture at another width, the feed-forward width in proportion."""
        wide = self.d_feed_forward and max(1, self.d_feed_forward * d_model // self.d_model)
        return replace(self, d_model=d_model, d_feed_forward=wide)

    def build(self, vocabulary: int, outputs: int | None = None) -> TokenEncoder:
        """A model of `outputs` numbers; None = logits of the vocabulary, by the embeddings (masked language models)."""
        embedding = TokenEmbedding(vocabulary, self.d_model, scale=True, padding=None)
        if outputs is None:
            head = TokenHead(self.d_model, vocabulary, tied=embedding.weight, bias=False)
        else:
            head = TokenHead(self.d_model, outputs)
        return TokenEncoder(embedding, self.full_layers(), head, self.pooling)
