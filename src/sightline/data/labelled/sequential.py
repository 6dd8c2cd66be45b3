"""`builtin:parity`, `builtin:modular` and `builtin:recall`: sequences whose label shows the limits of an architecture.

Parity and modular sums are read by a state of 2 or 5 values that each symbol changes: a nonlinear recurrence has it at
any length, attention cannot compute it (Hahn 2020, arXiv:1906.06755; Delétang et al. 2023, arXiv:2207.02098), nor has
a linear recurrence of positive factors (Grazzi et al. 2025, arXiv:2411.12537). Their test items are longer than any
training item. Recall asks for the value of one of many keys: attention looks it up, a state of fixed size must store
them all (Arora et al. 2023, arXiv:2312.04927).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from sightline.core.seeds import derive
from sightline.data.builtin import parse_options, parse_seed, whole_number
from sightline.data.labelled.table import LabelledTable

MODULUS = 5
KEYS, VALUES = 64, 16
LENGTHS = {"parity": 20, "modular": 10, "recall": 32}  # in bits, in numbers, in pairs
HELD_OUT = 1000  # items of validation and of test


@final
@dataclass(frozen=True)
class _Options:
    """The options after `?`.

    length: the longest of training, in bits or numbers; of recall the number of pairs
    longest: of the test, whose items begin beyond twice `length`; recall has none
    """

    size: int
    length: int
    longest: int
    seed: int


def parity(random: np.random.Generator, count: int, low: int, high: int) -> tuple[list[str], list[str]]:
    """Rows of `low` to `high` bits, and whether the number of ones is even or odd."""
    sources, labels = [], []
    for length in random.integers(low, high + 1, count):
        bits = random.integers(0, 2, length)
        sources.append(" ".join(map(str, bits)))
        labels.append("odd" if bits.sum() % 2 else "even")
    return sources, labels


def modular(random: np.random.Generator, count: int, low: int, high: int) -> tuple[list[str], list[str]]:
    """Rows of `low` to `high` numbers from 0 to 4, and their sum modulo 5."""
    sources, labels = [], []
    for length in random.integers(low, high + 1, count):
        numbers = random.integers(0, MODULUS, length)
        sources.append(" ".join(map(str, numbers)))
        labels.append(str(numbers.sum() % MODULUS))
    return sources, labels


def recall(random: np.random.Generator, count: int, low: int, high: int) -> tuple[list[str], list[str]]:
    """`high` pairs of a key and a value, then one of the keys, whose value is the label."""
    sources, labels = [], []
    for _ in range(count):
        keys, values = random.permutation(KEYS)[:high], random.integers(0, VALUES, high)
        asked = random.integers(high)
        pairs = [f"k{key} v{value}" for key, value in zip(keys, values, strict=True)]
        sources.append(" ".join([*pairs, f"k{keys[asked]}"]))
        labels.append(f"v{values[asked]}")
    return sources, labels


Maker = Callable[[np.random.Generator, int, int, int], tuple[list[str], list[str]]]
SEQUENTIAL: dict[str, Maker] = {"parity": parity, "modular": modular, "recall": recall}


def sequential(kind: str, query: str) -> dict[str, LabelledTable]:
    """The parts of `builtin:parity?size=20000&length=20&longest=100&seed=0`; all options may be left out.

    Raises:
        InputError: "builtin:parity: unknown option 'lenght', did you mean 'length'?", "builtin:parity: longest must be
            from 41 to 10000, found '30'".
    """
    options = _parse(kind, query)
    whole = {"train": options.size, "valid": HELD_OUT, "test": HELD_OUT}
    tables = {}
    for part, count in whole.items():
        beyond = part == "test" and kind != "recall"
        low, high = (2 * options.length + 1, options.longest) if beyond else (1, options.length)
        random = np.random.default_rng(derive(options.seed, kind, part))
        sources, labels = SEQUENTIAL[kind](random, count, low, high)
        places = [f"builtin:{kind}: {part} item {number}" for number in range(1, count + 1)]
        tables[part] = LabelledTable(
            f"builtin:{kind}", "text", sources=list(sources), labels=[(label,) for label in labels], places=places
        )
    return tables


def _parse(kind: str, query: str) -> _Options:
    where = f"builtin:{kind}"
    known = ("size", "length", "seed") if kind == "recall" else ("size", "length", "longest", "seed")
    options = parse_options(query, known, where)
    size = whole_number(options, "size", 20_000, 100, 1_000_000, where)
    length = whole_number(options, "length", LENGTHS[kind], 2, KEYS if kind == "recall" else 400, where)
    longest = whole_number(options, "longest", 5 * length, 2 * length + 1, 10_000, where)
    return _Options(size, length, longest, parse_seed(options, where))
