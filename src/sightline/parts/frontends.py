"""What turns raw input into vectors of width D."""

from __future__ import annotations

import math
from typing import cast

from torch import Tensor, nn


class TokenEmbedding(nn.Module):
    """Embeds token ids (B, T) as (B, T, D); `scale` multiplies by √D (Vaswani et al. 2017, § 3.4).

    Rows are drawn with standard deviation D^-1/2 when scaled, so that inputs start with unit variance and a tied
    output layer with unit logits, and with 1/√D · √D = 1 when not. The row `padding` is zero and stays zero.
    """

    def __init__(self, vocabulary: int, d_model: int, *, scale: bool = False, padding: int | None = 0) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, d_model, padding_idx=padding)
        nn.init.normal_(self.table.weight, std=d_model**-0.5 if scale else 1.0)
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
