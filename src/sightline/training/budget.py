"""The budget of a training: steps, target tokens, floating-point operations, seconds, or joules.

Seconds and joules become a number of steps before a training begins (`training.plan`); with `-wall` the clock decides
instead.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, final

from sightline.core.errors import InputError

Unit = Literal["steps", "tokens", "seconds", "wall", "flops", "joules"]

MEASURED: tuple[Unit, ...] = ("seconds", "joules")  # become steps, by what a step costs on this machine
WORDS: dict[Unit, str] = {
    "steps": "steps", "tokens": "tok", "seconds": "s", "wall": "s-wall", "flops": "flop", "joules": "J",
}  # fmt: skip

PREFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
COUNTED: dict[str, Unit] = {
    "step": "steps", "steps": "steps",
    "tok": "tokens", "toks": "tokens", "token": "tokens", "tokens": "tokens",
    "flop": "flops", "flops": "flops", "FLOP": "flops", "FLOPs": "flops",
    "J": "joules", "joule": "joules", "joules": "joules",
}  # fmt: skip
SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0,
           "minutes": 60.0, "h": 3600.0, "hour": 3600.0, "hours": 3600.0}  # fmt: skip
FORMS = "write it as 60s, 5min, 2h, 500steps, 2Mtok, 1e15flop or 5kJ"
WALL = "-wall"


@final
@dataclass
class Spent:
    """The amounts that a training has used; part of every checkpoint, so that a resumed run continues the count."""

    steps: int = 0
    tokens: int = 0  # target labels trained on
    seconds: float = 0.0  # of training and validation; saving and set-up are not counted
    cpu_seconds: float = 0.0  # of them, processor time of the thread that trains
    flops: int = 0  # of training steps, forward and backward


@final
@dataclass(frozen=True)
class Budget:
    """An amount of one unit; training stops after the first step that uses it up."""

    amount: float
    unit: Unit

    @classmethod
    def parse(cls, text: str, *, where: str = "--budget") -> Budget:
        """`60s`, `5min`, `2h`, `60s-wall`, `500steps`, `2Mtok`, `1e15flop`, `5kJ`; with prefixes k M G/B T P E.

        Raises `InputError`: `--budget: expected an amount with a unit, found 'fast': write it as 60s, …`.
        """
        number_and_unit = r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z]*(?:-wall)?)\s*"
        match = re.fullmatch(number_and_unit, text, re.ASCII)
        if match is None:
            raise InputError(f"expected an amount with a unit, found {text!r}: {FORMS}", where=where)
        number, word = float(match[1]), match[2]
        if word == "":
            raise InputError(f"{text!r} has no unit: {FORMS}", where=where)
        amount, unit = _scaled(number, word, text, where)
        if not math.isfinite(amount) or amount <= 0:
            raise InputError(f"a budget must be positive and finite, found {text!r}", where=where)
        if unit not in ("seconds", "wall", "joules"):
            amount = float(math.ceil(amount))
        return cls(amount, unit)

    def used(self, spent: Spent) -> float:
        """The amount of this budget's unit that has been spent."""
        return float(getattr(spent, "seconds" if self.unit == "wall" else self.unit))

    def fraction(self, spent: Spent) -> float:
        """The share of the budget that has been spent, at most 1."""
        return min(self.used(spent) / self.amount, 1.0)

    def __str__(self) -> str:
        word, whole = WORDS[self.unit], int(self.amount)
        number = str(whole) if whole == self.amount and whole < 10**15 else repr(self.amount)
        return f"{number}{word}"


def _scaled(number: float, word: str, text: str, where: str) -> tuple[float, Unit]:
    if (clock := word.removesuffix(WALL)) in SECONDS:
        return number * SECONDS[clock], "seconds" if clock == word else "wall"
    for length in (0, 1):
        prefix, name = word[:length], word[length:]
        if prefix in PREFIXES and name in COUNTED:
            return number * PREFIXES[prefix], COUNTED[name]
    raise InputError(f"unknown unit {word!r} in {text!r}: {FORMS}", where=where)
