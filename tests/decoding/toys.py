"""Models small enough to enumerate, as decoders see them."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor

from sightline.decoding.hypothesis import Hypothesis

EOS = 0


class Prefix(NamedTuple):
    """What a `Tree` remembers: the number of its row's table, and all tokens so far as one number."""

    table: Tensor  # (B,)
    code: Tensor  # (B,)


class Tree:
    """A model with logits of its own, drawn at random, after every prefix: small enough to enumerate.

    `tables` different models run side by side, as for different sources. `coarse` draws whole numbers, which tie.
    """

    def __init__(
        self, vocabulary: int, depth: int, *, tables: int = 1, seed: int = 0, scale: float = 2.0, coarse: bool = False
    ):
        self.vocabulary, self.depth, self.tables = vocabulary, depth, tables
        codes = (vocabulary + 1) ** (depth + 1)
        drawn = torch.randn(tables, codes, vocabulary, generator=torch.Generator().manual_seed(seed)) * scale
        self.logits = drawn.round() if coarse else drawn
        self.calls = 0
        self.rows: list[int] = []

    def start(self, rows: list[int] | None = None) -> Prefix:
        table = torch.arange(self.tables) if rows is None else torch.tensor(rows)
        return Prefix(table, torch.zeros_like(table))

    def step(self, tokens: Tensor, state: Prefix) -> tuple[Tensor, Prefix]:
        self.calls += 1
        self.rows.append(len(tokens))
        code = torch.where(tokens == self.bos, 0, state.code * (self.vocabulary + 1) + tokens + 1)
        return self.logits[state.table, code], Prefix(state.table, code)

    @property
    def bos(self) -> int:
        """A token outside the vocabulary: it is fed and never generated."""
        return self.vocabulary

    def score(self, tokens: tuple[int, ...], finished: bool, table: int = 0) -> float:
        code, total = 0, 0.0
        for token in (*tokens, *([EOS] if finished else [])):
            total += self.logits[table, code].double().log_softmax(0)[token].item()
            code = code * (self.vocabulary + 1) + token + 1
        return total

    def all(self, longest: int, table: int = 0) -> list[Hypothesis]:
        """Every hypothesis of at most `longest` tokens, EOS counted."""
        words = [word for word in range(self.vocabulary) if word != EOS]
        ended = [tokens for n in range(longest) for tokens in product(words, repeat=n)]
        cut = list(product(words, repeat=longest))
        pairs = [(tokens, True) for tokens in ended] + [(tokens, False) for tokens in cut]
        return [Hypothesis(tokens, self.score(tokens, finished, table), finished) for tokens, finished in pairs]


class Count(NamedTuple):
    position: Tensor  # (B,)


def memoryless(logits: Tensor):
    """A step that gives the same logits (V,) at every position."""

    def step(tokens: Tensor, state: Count) -> tuple[Tensor, Count]:
        return logits.expand(len(tokens), -1), Count(state.position + 1)

    return step


def scripted(logits: Tensor):
    """A step that gives logits[t] (V,) at position t whatever came before."""

    def step(tokens: Tensor, state: Count) -> tuple[Tensor, Count]:
        return logits[state.position], Count(state.position + 1)

    return step


def counting(batch: int) -> Count:
    return Count(torch.zeros(batch, dtype=torch.long))
