"""How the next token is chosen from logits: the part in which greedy decoding and sampling differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple, final

from torch import Tensor

from sightline.decoding.top import argmax


class Proposed(NamedTuple):
    """Tokens that a draft proposes for the next position."""

    tokens: Tensor  # (N,)
    chances: Tensor | None = None  # (N, V) the distributions that they were drawn from; None: they were not drawn


class Chooser(ABC):
    """Chooses the next token of each row.

    All methods take the permitted logits (N, V), the rows (N,), the tokens that each has generated (N,) in number, and
    those tokens (B, T) themselves.
    """

    @abstractmethod
    def choose(
        self, logits: Tensor, rows: Tensor, counts: Tensor, generated: Tensor, proposed: Proposed | None = None
    ) -> Tensor:
        """The next tokens (N,). Where a draft has `proposed` some they come from the same distribution as without."""

    @abstractmethod
    def propose(self, logits: Tensor, rows: Tensor, counts: Tensor, generated: Tensor) -> Proposed:
        """The proposal of a draft with these logits for the next position."""


@final
class MostLikely(Chooser):
    """The token with the largest logit; ties go to the lowest token."""

    def choose(
        self, logits: Tensor, rows: Tensor, counts: Tensor, generated: Tensor, proposed: Proposed | None = None
    ) -> Tensor:
        return argmax(logits)

    def propose(self, logits: Tensor, rows: Tensor, counts: Tensor, generated: Tensor) -> Proposed:
        return Proposed(argmax(logits))
