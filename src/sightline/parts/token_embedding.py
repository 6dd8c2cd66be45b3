"""Tokens as vectors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, cast, final

import torch
from torch import Tensor, nn

from sightline.core.front_end import FrontEnd, InputKind, sample_lengths
from sightline.core.shapes import Mask, MemoryMask, MemoryValues


@final
class TokenEmbedding(nn.Module):
    """Embeds token ids (B, T) as (B, T, D); `scale` multiplies by √D (Vaswani et al. 2017, § 3.4).

    Rows are drawn with standard deviation D^-1/2 when scaled, so that inputs start with unit variance, and when `tied`
    to an output layer, so that its logits do: with logits of √D most of its gradients would be subnormal numbers.
    Otherwise it is 1. The row `padding` is zero and stays zero.
    """

    def __init__(
        self, vocabulary: int, d_model: int, *, scale: bool = False, tied: bool = False, padding: int | None = 0
    ) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, d_model, padding_idx=padding)
        nn.init.normal_(self.table.weight, std=d_model**-0.5 if scale or tied else 1.0)
        if padding is not None:
            nn.init.zeros_(self.table.weight[padding])
        self.factor = math.sqrt(d_model) if scale else 1.0

    @property
    def weight(self) -> nn.Parameter:
        """The embedding matrix (vocabulary, D)."""
        return cast(nn.Parameter, self.table.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.table(tokens)
        return x if self.factor == 1.0 else x * self.factor


@final
class EmbeddedTokens(FrontEnd):
    """The rows of an embedding, which a decoder may share, for token ids (B, M)."""

    pointwise: ClassVar[bool] = True

    def __init__(self, embedding: TokenEmbedding) -> None:
        super().__init__()
        self.embedding = embedding
        self.d_model = embedding.weight.shape[1]

    def forward(self, inputs: Tensor, mask: Mask | None = None) -> tuple[MemoryValues, MemoryMask | None]:
        return self.embedding(inputs), mask


@final
@dataclass(frozen=True)
class Tokens:
    """Token ids of a vocabulary; the architecture decides their scale, and whether one row stays zero."""

    accepts: ClassVar[InputKind] = "tokens"

    vocabulary: int

    @classmethod
    def examples(cls) -> tuple[Tokens, ...]:
        return (cls(11),)

    def build(self, d_model: int, *, scale: bool = False, padding: int | None = 0) -> EmbeddedTokens:
        return EmbeddedTokens(TokenEmbedding(self.vocabulary, d_model, scale=scale, padding=padding))

    def length_out(self, length: int) -> int:
        return length

    def sample(self, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return torch.randint(self.vocabulary, (rows, 7), generator=generator), sample_lengths(rows, 7)
