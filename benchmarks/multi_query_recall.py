"""Multi-query associative recall: synthetic sequences whose answers are known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError

IGNORED = -100  # the label of a position that is not a query


class RecallRows(NamedTuple):
    """Rows of the task.

    inputs: (N, T) long, token ids
    labels: (N, T) long, the value that belongs to the key at this position, IGNORED where no key is asked for
    distance: (N, T) long, how far back that value is, 0 where no key is asked for
    """

    inputs: Tensor
    labels: Tensor
    distance: Tensor

    def within(self, reach: int) -> float:
        """The share of queries whose value is at most `reach` positions before them.

        A model whose output at t depends on positions t - reach … t alone cannot know more answers than these.
        """
        asked = self.distance > 0
        return float((self.distance[asked] <= reach).double().mean())


def multi_query_recall(
    rows: int,
    length: int,
    pairs: int,
    *,
    vocabulary: int = 8192,
    gap_power: float = 0.01,
    noise: bool = True,
    seed: int = 0,
) -> RecallRows:
    """Multi-query associative recall (Arora et al. 2023, "Zoology", arXiv:2312.04927, appendix).

    A row begins with `pairs` keys, each followed by its value; keys come from the lower half of the vocabulary, values
    from the upper, none twice in a row. Then every key is asked for once, at even distances from the end of the pairs
    drawn without replacement with p(g) ∝ g^(gap_power - 1): most are asked for soon. The answer is the label at the
    key's position. All other positions have random tokens, or token 0 without `noise`, which is never a key.

    Raises:
        InputError: `recall: length must be even and at least 4·pairs, found length 30 with 8 pairs`.
    """
    if length % 2 or length < 4 * pairs or pairs < 1:
        raise InputError(
            f"length must be even and at least 4·pairs, found length {length} with {pairs} pairs",
            where="recall",
        )
    if vocabulary < 2 * max(pairs + 1, 2):
        raise InputError(f"vocabulary must be at least {2 * max(pairs + 1, 2)}, found {vocabulary}", where="recall")
    stream = np.random.default_rng(seed)
    half = vocabulary // 2
    keys = _distinct(stream, rows, pairs, 1, half)
    values = _distinct(stream, rows, pairs, half, vocabulary)
    space = (length - 2 * pairs) // 2
    weights = np.arange(1, space + 1) ** (gap_power - 1.0)
    # the largest of log p + Gumbel noise are a draw without replacement
    ranked = np.log(weights) + stream.gumbel(size=(rows, space))
    gaps = np.argsort(-ranked, axis=1)[:, :pairs]
    inputs = stream.integers(0, vocabulary if noise else 1, size=(rows, length))
    inputs[:, 0 : 2 * pairs : 2], inputs[:, 1 : 2 * pairs : 2] = keys, values
    labels, distance = np.full((rows, length), IGNORED), np.zeros((rows, length), dtype=np.int64)
    asked = 2 * pairs + 2 * gaps  # (rows, pairs)
    np.put_along_axis(inputs, asked, keys, 1)
    np.put_along_axis(labels, asked, values, 1)
    np.put_along_axis(distance, asked, asked - (2 * np.arange(pairs) + 1), 1)
    return RecallRows(*(torch.from_numpy(part.astype(np.int64)) for part in (inputs, labels, distance)))


def _distinct(stream: np.random.Generator, rows: int, count: int, low: int, high: int) -> np.ndarray:
    """(rows, count) numbers from [low, high), no two of a row equal."""
    drawn = stream.integers(low, high, size=(rows, count))
    while True:
        ordered = np.sort(drawn, axis=1)
        again = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(1))
        if not len(again):
            return drawn
        for row in again:
            drawn[row] = stream.permutation(high - low)[:count] + low
