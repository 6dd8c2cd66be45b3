"""From the vectors of a sequence to one: their mean, the last of them, a class token, or additive attention.

Every kind sees only real positions. A row without any gives zeros. Content under a mask, NaN included, reaches neither
the vector nor a gradient.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from sightline.core.mixer import check_inputs, keep
from sightline.core.probe import Probe
from sightline.core.shapes import Mask, Position, Sequences


class Pooling(nn.Module, ABC):
    """One vector (B, D) of the vectors (B, T, D) that an encoder gives.

    reads: the one position that it is, counted from the end where it is negative; None where it is of all positions
    """

    reads: ClassVar[int | None] = None

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.d_model = d_model

    def prepare(self, x: Sequences, mask: Mask | None = None) -> tuple[Tensor, Tensor | None]:
        """The input for the encoder instead of x (B, T, D) and mask (B, T): the same, except with a class token."""
        return x, mask

    @abstractmethod
    def forward(self, x: Sequences, mask: Mask | None = None) -> Position:
        """The vector (B, D) of x (B, T, D), the encoder's output for what `prepare` gave; mask (B, T), True = real."""


@final
class MeanPooling(Pooling):
    """The mean over real positions."""

    def forward(self, x: Sequences, mask: Mask | None = None) -> Position:
        check_inputs(x, self.d_model, mask)
        if mask is None:
            return x.sum(1) / max(x.shape[1], 1)
        return keep(x, mask).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


@final
class LastPooling(Pooling):
    """The last real position: the output of a forward recurrence after the whole sequence."""

    reads: ClassVar[int | None] = -1

    def forward(self, x: Sequences, mask: Mask | None = None) -> Position:
        check_inputs(x, self.d_model, mask)
        if not x.shape[1]:
            return x.sum(1)
        if mask is None:
            return x[:, -1]
        last = x.shape[1] - 1 - mask.flip(1).int().argmax(1)  # (B,)
        return keep(x, mask)[torch.arange(x.shape[0], device=x.device), last]


@final
class ClassToken(Pooling):
    """A learned vector in front of the sequence, read where it comes out (Devlin et al. 2019; Dosovitskiy et al. 2021).

    Drawn with standard deviation 0.02, as in both. It is real in every row, so that even an empty one has a vector.
    """

    reads: ClassVar[int | None] = 0

    def __init__(self, d_model: int) -> None:
        super().__init__(d_model)
        self.token = nn.Parameter(0.02 * torch.randn(d_model))

    def prepare(self, x: Sequences, mask: Mask | None = None) -> tuple[Tensor, Tensor | None]:
        x = torch.cat([self.token.to(x.dtype).expand(x.shape[0], 1, -1), x], 1)
        return x, None if mask is None else torch.cat([mask.new_ones(mask.shape[0], 1), mask], 1)

    def forward(self, x: Sequences, mask: Mask | None = None) -> Position:
        check_inputs(x, self.d_model, mask)
        return x[:, 0]


@final
class AdditivePooling(Pooling):
    """Σ α_t h_t with α = softmax over real positions of vᵀ tanh(W h_t + b).

    Jain & Wallace 2019 (arXiv:1902.10186), § 2, the additive score of Bahdanau et al. 2015 without a query, as
    classification has none; W maps to `d_hidden`, half the width where it is None, as in the paper's code. The weights
    α are the probe `weights`.
    """

    def __init__(self, d_model: int, d_hidden: int | None = None) -> None:
        super().__init__(d_model)
        self.project = nn.Linear(d_model, d_hidden or max(1, d_model // 2))
        self.score = nn.Linear(self.project.out_features, 1, bias=False)
        self.weights = Probe("B T")

    def forward(self, x: Sequences, mask: Mask | None = None) -> Position:
        check_inputs(x, self.d_model, mask)
        x = keep(x, mask)
        scores = self.score(torch.tanh(self.project(x))).squeeze(2)  # (B, T)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        if mask is not None:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
        weights = torch.softmax(scores, 1)
        if mask is not None:
            weights = weights.masked_fill(~mask, 0.0)
        weights = self.weights(weights)
        return torch.einsum("bt,btd->bd", weights.to(x.dtype), x)


POOLINGS: dict[str, type[Pooling]] = {
    "mean": MeanPooling,
    "last": LastPooling,
    "cls": ClassToken,
    "additive": AdditivePooling,
}
