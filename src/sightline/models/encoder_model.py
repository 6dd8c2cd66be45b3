"""Encoder-only models, of any mechanisms of the table: to label positions, fill gaps or classify what was read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sightline.core.front_end import FrontEnd
from sightline.core.mixer import SequenceEncoder, keep
from sightline.models.layers import LayersConfig
from sightline.parts.front_ends import Source, build_front_end
from sightline.parts.heads import TokenHead
from sightline.parts.token_embedding import EmbeddedTokens

Pooling = Literal["none", "mean"]


class EncoderModel(nn.Module):
    """Front end, an encoder whose positions see their whole document, and a head over each position or their mean.

    It has no state and no step: what sees both sides cannot be fed token by token.
    """

    def __init__(self, front_end: FrontEnd, encoder: SequenceEncoder, head: nn.Module, pooling: Pooling) -> None:
        super().__init__()
        self.front_end, self.encoder, self.head, self.pooling = front_end, encoder, head, pooling

    def forward(self, source: Any, mask: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        """Outputs (B, T, C) of the source's T positions, those of masked ones without meaning; pooled, (B, C).

        Of tokens (B, T) the mask and `starts` (B, T) are those of `SequenceEncoder`; a front end that joins positions
        takes no `starts`. The mean of a row without positions is taken to be zero.

        Raises:
            ValueError: "a row of several documents has no mean of its own: starts are for pooling='none'".
        """
        if self.pooling == "mean" and starts is not None:
            raise ValueError("a row of several documents has no mean of its own: starts are for pooling='none'")
        x, mask = self.front_end(source, mask)
        x = keep(self.encoder(x, mask, starts), mask)
        if self.pooling == "mean":
            real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask
            x = x.sum(1) / real.sum(1, keepdim=True).clamp(min=1)
        return self.head(x)


@dataclass(frozen=True)
class EncoderConfig(LayersConfig):
    """A front end, layers that see both sides, and a head over each position or, by `pooling`, over their mean.

    Windows, patterns of blocks, softmax and linear attention stand here without their causal limit, recurrences and
    the decaying members of the linear family once in each direction.
    """

    pooling: Pooling = "none"

    def resized(self, d_model: int) -> EncoderConfig:
        """The same architecture at another width, the feed-forward width in proportion."""
        wide = self.d_feed_forward and max(1, self.d_feed_forward * d_model // self.d_model)
        return replace(self, d_model=d_model, d_feed_forward=wide)

    def build(self, source: Source, outputs: int | None = None) -> EncoderModel:
        """A model of `outputs` numbers; None = logits of the vocabulary, by the embeddings (masked language models).

        Raises:
            ValueError: "a head by the embeddings needs tokens, got ImagePatches(…)".
        """
        front_end = build_front_end(source, self.d_model, scale=True, padding=None)
        if outputs is not None:
            head = TokenHead(self.d_model, outputs)
        elif isinstance(front_end, EmbeddedTokens):
            embedded = front_end.embedding.weight  # (V, D)
            head = TokenHead(self.d_model, len(embedded), tied=embedded, bias=False)
        else:
            raise ValueError(f"a head by the embeddings needs tokens, got {source}")
        return EncoderModel(front_end, self.full_layers(), head, self.pooling)
