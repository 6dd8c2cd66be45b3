"""Planted recall tasks: rows whose answers are known, and how far back each answer is.

All tasks have the same form. A row shows `items` values, each drawn independently and uniformly from `values` many, and
asks for each of them once. The tokens of values are the last ones of the vocabulary. The label of a question is the
token of its answer. A seed and a number of rows give the same rows on every machine.

The four tasks, by the names in `RECALL_TASKS`:

- `recall`: multi-query associative recall (Arora et al. 2023, "Zoology", arXiv:2312.04927);
- `copy`: the copying problem (Arjovsky et al. 2016, arXiv:1511.06464, § 5.1);
- `selective copy`: copying with random gaps between the values (Gu & Dao 2023, arXiv:2312.00752, § 4.1.1);
- `needle`: one pair of a key and a value among noise (passkey retrieval, Mohtashami & Jaggi 2023, arXiv:2305.16300).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError

IGNORED = -100  # the label of a position that is not a question
BLANK, DELIMITER, SYMBOLS = 0, 1, 2  # in the copying tasks: two tokens, and the first value


class RecallRows(NamedTuple):
    """Rows of a task.

    inputs: (N, T) long, token ids
    labels: (N, T) long, the answer at each question, IGNORED elsewhere
    distance: (N, T) long, how many positions before the question its answer is, 0 elsewhere
    """

    inputs: Tensor
    labels: Tensor
    distance: Tensor

    def within(self, reach: int) -> float:
        """The share of questions whose answer is at most `reach` positions before them.

        A model whose output at t depends on positions t - reach … t alone cannot know more answers than these.
        """
        asked = self.distance > 0
        return float((self.distance[asked] <= reach).double().mean())

    def seen(self, visible: Tensor) -> float:
        """The share of questions whose answer the model can see; visible (T, T) bool, from query to input position."""
        row, t = (self.distance > 0).nonzero(as_tuple=True)
        return float(visible[t, t - self.distance[row, t]].double().mean())


class RecallTask(ABC):
    """A planted task at one size.

    items: values that a row shows, and questions that it asks
    length: positions of a row
    values: how many values there are
    vocabulary: tokens, of which the last `values` are the values
    stored: positions before the first question
    """

    @property
    @abstractmethod
    def items(self) -> int: ...

    @property
    @abstractmethod
    def values(self) -> int: ...

    @property
    @abstractmethod
    def length(self) -> int: ...

    @property
    @abstractmethod
    def vocabulary(self) -> int: ...

    @property
    @abstractmethod
    def stored(self) -> int: ...

    @abstractmethod
    def rows(self, count: int, seed: int) -> RecallRows:
        """`count` rows drawn from the seed."""

    @property
    def entropy_bits(self) -> float:
        """The entropy of the answers of one row: items · log₂ values."""
        return self.items * math.log2(self.values)


@final
@dataclass(frozen=True)
class MultiQueryRecall(RecallTask):
    """`multi_query_recall` with `items` pairs in 4·items positions, so that questions fill the second half.

    Keys are one of values - 1 tokens, none twice in a row; positions without a question have token 0 (there is no
    noise); values may repeat, so that the answers are independent.

    Raises:
        InputError: "recall: vocabulary must be at least 18, found 16" for more items than keys.
    """

    items: int = 8
    values: int = 256

    @property
    def length(self) -> int:
        return 4 * self.items

    @property
    def vocabulary(self) -> int:
        return 2 * self.values

    @property
    def stored(self) -> int:
        return 2 * self.items

    def rows(self, count: int, seed: int) -> RecallRows:
        options = {"vocabulary": self.vocabulary, "noise": False, "distinct": False}
        return multi_query_recall(count, self.length, self.items, **options, seed=seed)


@final
@dataclass(frozen=True)
class Copy(RecallTask):
    """`items` values, `gap` blanks, a delimiter, then `items` blanks at which the values are asked for in order.

    Arjovsky et al. 2016 have 10 values out of 8 and T - 1 blanks. Deviation: only questions count in the loss. With
    `selective` the values are at random places among the blanks, in order, so that what to keep depends on the
    content: Gu & Dao 2023 have 16 values out of 15 among 4,096 positions.

    Raises:
        InputError: "copy: needs an item and no negative gap, found 0 and 3".
    """

    items: int = 8
    gap: int = 8
    values: int = 256
    selective: bool = False

    @property
    def length(self) -> int:
        return 2 * self.items + self.gap + 1

    @property
    def vocabulary(self) -> int:
        return SYMBOLS + self.values

    @property
    def stored(self) -> int:
        return self.items + self.gap + 1

    def rows(self, count: int, seed: int) -> RecallRows:
        if self.items < 1 or self.gap < 0:
            raise InputError(f"needs an item and no negative gap, found {self.items} and {self.gap}", where="copy")
        stream = np.random.default_rng(seed)
        values = stream.integers(SYMBOLS, self.vocabulary, (count, self.items))
        places = np.broadcast_to(np.arange(self.items), values.shape)
        if self.selective:
            places = np.sort(stream.random((count, self.items + self.gap)).argsort(1)[:, : self.items], 1)
        inputs = np.full((count, self.length), BLANK)
        np.put_along_axis(inputs, places, values, 1)
        inputs[:, self.stored - 1] = DELIMITER
        labels, distance = np.full(inputs.shape, IGNORED), np.zeros(inputs.shape, dtype=np.int64)
        labels[:, self.stored :] = values
        distance[:, self.stored :] = np.arange(self.stored, self.length) - places
        return _tensors(inputs, labels, distance)


@final
@dataclass(frozen=True)
class Needle(RecallTask):
    """One key with its value at a random place in noise; the key again at the last position asks for the value.

    The key's place is uniform over all of 0 … positions - 3. Noise is any other key or value, so that neither the key
    nor the value can be told by its kind; the row's key occurs nowhere else in it.
    """

    positions: int = 32
    values: int = 256

    @property
    def items(self) -> int:
        return 1

    @property
    def length(self) -> int:
        return self.positions

    @property
    def vocabulary(self) -> int:
        return 2 * self.values

    @property
    def stored(self) -> int:
        return self.positions - 1

    def rows(self, count: int, seed: int) -> RecallRows:
        if self.positions < 3 or self.values < 2:
            raise InputError(
                f"needs 3 positions and 2 values, found {self.positions} and {self.values}", where="needle"
            )
        stream = np.random.default_rng(seed)
        key = stream.integers(0, self.values, count)
        value = stream.integers(self.values, 2 * self.values, count)
        place = stream.integers(0, self.positions - 2, count)
        inputs = stream.integers(0, 2 * self.values - 1, (count, self.positions))
        inputs += inputs >= key[:, None]  # any token but the key
        row, last = np.arange(count), self.positions - 1
        inputs[row, place], inputs[row, place + 1], inputs[:, last] = key, value, key
        labels, distance = np.full(inputs.shape, IGNORED), np.zeros(inputs.shape, dtype=np.int64)
        labels[:, last], distance[:, last] = value, last - 1 - place
        return _tensors(inputs, labels, distance)


# By name: the task of a size, which is the number of items, of the needle a quarter of the positions.
RECALL_TASKS: dict[str, Callable[[int], RecallTask]] = {
    "recall": MultiQueryRecall,
    "copy": lambda size: Copy(size, size),
    "selective copy": lambda size: Copy(size, size, selective=True),
    "needle": lambda size: Needle(4 * size),
}


def multi_query_recall(
    rows: int,
    length: int,
    pairs: int,
    *,
    vocabulary: int = 8192,
    gap_power: float = 0.01,
    noise: bool = True,
    distinct: bool = True,
    seed: int = 0,
) -> RecallRows:
    """Multi-query associative recall (Arora et al. 2023, "Zoology", arXiv:2312.04927, appendix).

    A row begins with `pairs` keys, each followed by its value; keys come from the lower half of the vocabulary, none
    twice in a row, values from the upper half, with `distinct` none twice in a row. Then every key is asked for once,
    at even distances from the end of the pairs drawn without replacement with p(g) ∝ g^(gap_power - 1): most are asked
    for soon. The answer is the label at the key's position. All other positions have random tokens, or token 0 without
    `noise`, which is never a key.

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
    draw = _distinct if distinct else _independent
    values = draw(stream, rows, pairs, half, vocabulary)
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
    return _tensors(inputs, labels, distance)


def _tensors(*parts: np.ndarray) -> RecallRows:
    return RecallRows(*(torch.from_numpy(part.astype(np.int64)) for part in parts))


def _independent(stream: np.random.Generator, rows: int, count: int, low: int, high: int) -> np.ndarray:
    """(rows, count) numbers from [low, high)."""
    return stream.integers(low, high, (rows, count))


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
