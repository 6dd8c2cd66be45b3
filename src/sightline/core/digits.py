"""Numbers as text: with the digits that tell neighbours apart, and with the noun that they count; words in a row."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

_MOST = 3  # decimals that are added


def significant(value: float, digits: int = 4) -> str:
    """A number without an exponent, with at least so many significant digits: 12346, 1.235, 0.001235; 1.235e-07."""
    if not math.isfinite(value) or value == 0:
        return f"{value + 0.0:g}"  # without the sign of a negative zero
    place = math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, digits - 1 - place)}f}" if -5 < place < 15 else f"{value:.{digits - 1}e}"


def significant_apart(values: Iterable[float], least: int = 4) -> list[str]:
    """`significant` numbers with the fewest digits, at least `least`, that show different values differently."""
    values = list(values)
    for digits in range(least, 17):
        texts = [significant(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            return texts
    return [significant(value, 17) for value in values]


def number_of(count: int, one: str, several: str = "") -> str:
    """A count with its noun: "1 column", "2,000 columns"; `several` is the plural where it is not `one` with an s."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def and_joined(words: Sequence[str]) -> str:
    """Words in a row: "a, b and c"."""
    return " and ".join([*filter(None, [", ".join(words[:-1])]), *words[-1:]])


def amount(budget: str) -> str:
    """Budgets in a text, spelled: "40 steps" for 40steps, "50,000 tokens" for 50000tok, "1e15 FLOPs" for 1e15flop."""
    text = re.sub(r"\b[0-9]+(?=(tok|flop|steps)\b)", lambda count: f"{int(count[0]):,}", budget)
    text = re.sub(r"(?<=[0-9kMG]) ?tok\b", " tokens", text)
    text = re.sub(r"(?<=[0-9kMG]) ?flop\b", " FLOPs", text)
    return re.sub(r"(?<=[0-9])(?=[A-Za-z])(?!e[0-9]|[kMG]\b)", " ", text)


def percent(share: float) -> str:
    """A share in whole percent, written as metrics are: 62 % for 0.62."""
    return f"{100 * share:.0f} %"


def decimals(values: Iterable[float], least: int, most: int | None = None) -> int:
    """The fewest decimals, at least `least`, that show different values differently and none but zero as zero.

    Values that three more decimals than `least` do not tell apart count as equal: 0.4 and 0.4000000001 have no more
    than `least`. So do values that `most` decimals do not tell apart.
    """
    last = least + _MOST
    known = sorted({round(value, last) for value in values if math.isfinite(value)})
    different = sorted({round(value, min(last, last if most is None else most)) for value in known})
    for digits in range(least, last):
        apart = all(a != b for a, b in pairwise(round(value, digits) for value in different))
        if apart and all(round(value, digits) or not value for value in known):
            return digits
    return last


def probability(p: float) -> str:
    """A probability with four decimals, and more near 0 and 1: 0.9941, 0.9999954."""
    rest = min(p, 1 - p)
    extra = 0 if rest <= 0 else max(0, -math.floor(math.log10(rest)) - 3)
    return f"{p:.{4 + min(extra, 8)}f}"
