"""`builtin:parity`, `builtin:modular` and `builtin:recall`: sequences whose label says what an architecture can hold.

Parity and modular sums are read by a state of 2 or 5 values that each symbol changes: a nonlinear recurrence has it at
any length, attention has no place for it (Hahn 2020, arXiv:1906.06755; Delétang et al. 2023, arXiv:2207.02098), nor has
a linear recurrence of positive factors (Grazzi et al. 2025, arXiv:2411.12537). Their test items are longer than any
training item. Recall asks for the value of one of many keys: attention looks it up, a state of fixed size has to hold
them all (Arora et al. 2023, arXiv:2312.04927).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import numpy as np

from sightline.core.config import nearest
from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.data.labelled.table import LabelledTable

MODULUS = 5
KEYS, VALUES = 64, 16
LENGTHS = {"parity": 20, "modular": 10, "recall": 32}  # in bits, in numbers, in pairs
HELD_OUT = 1000  # items of validation and of test


@dataclass(frozen=True)
class _Options:
    """What the part after `?` asks for.

    length: the longest of training, in bits or numbers; of recall the number of pairs
    longest: of the test, whose items begin beyond twice `length`; recall has none
    """

    size: int
    length: int
    longest: int
    seed: int


def parity(random: np.random.Generator, count: int, low: int, high: int) -> tuple[list[str], list[str]]:
    """Rows of `low` to `high` bits, and whether the ones among them are even or odd in number."""
    sources, labels = [], []
    for length in random.integers(low, high + 1, count):
        bits = random.integers(0, 2, length)
        sources.append(" ".join(map(str, bits)))
        labels.append("odd" if bits.sum() % 2 else "even")
    return sources, labels


def modular(random: np.random.Generator, count: int, low: int, high: int) -> tuple[list[str], list[str]]:
    """Rows of `low` to `high` numbers from 0 to 4, and what their sum leaves divided by 5."""
    sources, labels = [], []
    for length in random.integers(low, high + 1, count):
        numbers = random.integers(0, MODULUS, length)
        sources.append(" ".join(map(str, numbers)))
        labels.append(str(numbers.sum() % MODULUS))
    return sources, labels


def recall(random: np.random.Generator, count: int, low: int, high: int) -> tuple[list[str], list[str]]:
    """`high` pairs of a key and a value, then one of the keys; its value is the label."""
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
        InputError: "builtin:parity: unknown option 'lenght' (did you mean 'length'?)", "builtin:parity: longest must be
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
    given: dict[str, str] = {}
    known = ("size", "length", "seed") if kind == "recall" else ("size", "length", "longest", "seed")
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in known:
            near = nearest(key, known)
            hint = f" (did you mean {near!r}?)" if near else f"; choose from {', '.join(known)}"
            raise InputError(f"unknown option {key!r}{hint}", where=where)
        given[key] = value
    size = _whole(given, "size", 20_000, 100, 1_000_000, where)
    length = _whole(given, "length", LENGTHS[kind], 2, KEYS if kind == "recall" else 400, where)
    longest = _whole(given, "longest", 5 * length, 2 * length + 1, 10_000, where)
    return _Options(size, length, longest, _whole(given, "seed", 0, 0, 2**63 - 1, where))


def _whole(given: Mapping[str, str], key: str, default: int, low: int, high: int, where: str) -> int:
    text = given.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
        raise InputError(f"{key} must be from {low} to {high}, found {text!r}", where=where)
    return int(text)
