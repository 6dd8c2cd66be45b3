"""Which part each item of a data set belongs to: by a hash, by its label, by a column, or by time.

Every function takes keys, never items: equal keys are in the same part, so that equal items are never in two.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import final

from sightline.core.digits import number_of
from sightline.core.errors import InputError

PARTS = ("train", "valid", "test")
SHARES = {"test": 0.1, "valid": 0.1}  # of the data, for parts without data of their own
_NAMES = {"training": "train", "validation": "valid", "val": "valid", "dev": "valid", **{part: part for part in PARTS}}


@final
class HashSplit:
    """Parts by a number u in [0, 1) that SHA-256 draws from seed and key, for keys that come one at a time.

    For shares {"test": 0.1, "valid": 0.1} test has u >= 0.9 and valid 0.8 <= u < 0.9; all else is in `rest`. A key
    keeps its part when more data is added.
    """

    def __init__(self, shares: Mapping[str, float], seed: int, rest: str = "train") -> None:
        self.seed, self.rest = seed, rest
        self.lowest: dict[str, float] = {}  # of each part, the largest u first
        low = 1.0
        for part, share in shares.items():
            if share > 0.0:
                low -= share
                self.lowest[part] = low

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts."""
        return (self.rest, *self.lowest)

    def u(self, key: str) -> float:
        """The number of a key."""
        digest = hashlib.sha256(f"{self.seed}/{key}".encode()).digest()
        return int.from_bytes(digest[:6], "big") / 2**48

    def part_at(self, u: float) -> str:
        """The part in which the number lies."""
        return next((part for part, low in self.lowest.items() if u >= low), self.rest)

    def part(self, key: str) -> str:
        """The part of a key."""
        return self.part_at(self.u(key)) if self.lowest else self.rest

    def fill(self, numbers: Iterable[float]) -> bool:
        """Move the borders so that every part has one of these numbers, the nearest; False if they are too few."""
        ranked = sorted(set(numbers))
        if len(ranked) <= len(self.lowest):
            return False
        for later, part in zip(range(len(self.lowest), 0, -1), self.lowest, strict=True):
            count = sum(u >= self.lowest[part] for u in ranked)
            for _ in range(min(max(count, 1), len(ranked) - later)):
                self.lowest[part] = ranked.pop()
        return True


def by_hash(keys: Sequence[str], shares: Mapping[str, float], seed: int) -> list[str]:
    """The part of each item by its key, as `HashSplit` divides them; no part is empty.

    Raises:
        InputError: "2 different sources cannot be split into 3 parts; …".
    """
    split = HashSplit(shares, seed)
    numbers = {key: split.u(key) for key in dict.fromkeys(keys)}
    if not split.fill(numbers.values()):
        raise InputError(
            f"{number_of(len(numbers), 'different source')} cannot be split into {len(shares) + 1} parts; "
            "add rows or give the files of all parts"
        )
    part_of = {key: split.part_at(u) for key, u in numbers.items()}
    return [part_of[key] for key in keys]


def by_label(keys: Sequence[bytes], labels: Sequence[str], shares: Mapping[str, float], seed: int) -> list[str]:
    """The part of each item, with every label in every part: one named in `shares`, or "train".

    Items of one key belong to the least of their labels. Of the n keys of a label, each part gets round(share · n), at
    least one where that leaves one for training, those with the largest SHA-256 over seed and key: the same on every
    machine, and whatever order the items come in. A part may stay empty where no label has enough keys.
    """
    label_of: dict[bytes, str] = {}
    for key, label in zip(keys, labels, strict=True):
        label_of[key] = min(label, label_of.get(key, label))
    groups: dict[str, list[bytes]] = {}
    for key, label in label_of.items():
        groups.setdefault(label, []).append(key)
    part_of: dict[bytes, str] = {}
    for group in groups.values():
        group.sort(key=lambda key: hashlib.sha256(f"{seed}/".encode() + key).digest())
        if len(group) > len(shares):
            counts = [(part, max(round(share * len(group)), 1)) for part, share in shares.items()]
            for part, count in counts:
                for _ in range(min(count, len(group) - 1)):
                    part_of[group.pop()] = part
    return [part_of.get(key, "train") for key in keys]


def by_column(cell: object, column: str) -> str:
    """The part that a cell names: train, valid (validation, val, dev) or test.

    Raises:
        ValueError: "'split' is 'tset', expected train, valid (validation, val, dev) or test".
    """
    name = "" if cell is None else str(cell).strip().lower()
    if name not in _NAMES:
        raise ValueError(f"{column!r} is {name[:40]!r}, expected train, valid (validation, val, dev) or test")
    return _NAMES[name]


def by_time(first: int, end: int, shares: tuple[float, float, float]) -> tuple[int, int, int, int]:
    """Where training begins, and where each of train, valid and test ends, among the steps from `first` to `end`.

    shares: of all steps, at most 1 together, or numbers of steps

    Raises:
        InputError: "split: asks for 9 steps of 7", "split: 3 steps of training, 0 of validation …".
    """
    if len(shares) != 3 or not all(math.isfinite(x) and x >= 0 for x in shares):
        raise InputError(f"expected three shares or numbers of steps, found {shares}", where="split")
    total = end - first
    if sum(shares) <= 1 + 1e-9:
        ends = [first + round(total * sum(shares[: i + 1])) for i in range(3)]
    elif all(x == int(x) for x in shares):
        ends = [first + int(sum(shares[: i + 1])) for i in range(3)]
        if ends[-1] > end:
            raise InputError(f"asks for {number_of(ends[-1] - first, 'step')} of {total:,}", where="split")
    else:
        raise InputError(
            f"expected shares of at most 1 together, or whole numbers of steps, found {shares}", where="split"
        )
    sizes = [high - low for low, high in pairwise([first, *ends])]
    if min(sizes) < 1:
        raise InputError(
            f"{number_of(sizes[0], 'step')} of training, {sizes[1]:,} of validation, {sizes[2]:,} of test: "
            "each part needs some",
            where="split",
        )
    return first, ends[0], ends[1], ends[2]


def rows_of(parts: Sequence[str]) -> dict[str, list[int]]:
    """The numbers of the items of each part, given the part of each item."""
    rows: dict[str, list[int]] = {}
    for row, part in enumerate(parts):
        rows.setdefault(part, []).append(row)
    return rows
