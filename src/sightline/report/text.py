"""Safe display of foreign text, and formatting of numbers with units."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from sightline.core.digits import and_joined, significant

MOST_PREFIXED = 1e10  # larger counts, of FLOPs, are written with an exponent
# Control characters and marks that change the direction of surrounding text: shown as codes instead of obeyed.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with control characters, direction marks and unpaired surrogates written as `⟨U+0007⟩`."""
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", text)


def shortened(text: str, most: int) -> str:
    """The text, cut to `most` characters of which the last is an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def capitalised(text: str) -> str:
    """The text with its first letter in upper case, unless it begins with a symbol such as d_k or kB."""
    symbol = text[1:2].isupper() or text[1:2] == "_"
    return text if symbol else text[:1].upper() + text[1:]


def piece(text: str) -> str:
    """A token as an axis label: ␣ for a space, ⏎ for the end of the sentence, codes for invisible characters."""
    return "⏎" if text == "</s>" else visible(re.sub(r"\s", "␣", text))


def in_units(value: float, units: Mapping[str, float]) -> str:
    """The value with three significant digits in the first unit that it reaches; empty where it reaches none.

    units: the size of each, the largest first. The value is rounded before: 999,600 bytes are 1 MB
    """
    rounded = float(f"{value:.3g}")
    for unit, factor in units.items():
        if rounded >= factor:
            return f"{rounded / factor:.3g} {unit}" if rounded < 1000 * factor else f"{value / factor:.0f} {unit}"
    return ""


def size(count: int | float | None) -> str:
    """Bytes as text: 512 B, 12.4 kB, 1.3 GB (powers of 1000)."""
    if count is None:
        return "—"
    return in_units(count, {"GB": 1e9, "MB": 1e6, "kB": 1e3}) or f"{count:.0f} B"


def quantity(count: int | float | None) -> str:
    """A count as text: 950, 12,400, 1.98 M, 3.1e15."""
    if count is None or not math.isfinite(count):
        return "—"
    if count >= 1e12:
        return f"{count:.3g}"
    if count >= 1e6:
        return f"{count / 1e6:.{2 if count < 1e7 else 1 if count < 1e8 else 0}f} M"
    return f"{count:,.0f}" if count >= 10 or count == int(count) else significant(count, 2)


def short(count: int | float) -> str:
    """A count on an axis: 50k, 1.6M, 3e13."""
    rounded = float(f"{count:.3g}")
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if 1 <= rounded / factor < 1e3 and rounded < MOST_PREFIXED:
            return f"{rounded / factor:.3g}{unit}"
    return f"{count:.3g}".replace("e+", "e")


def names_of(names: Iterable[str]) -> str:
    """Names as a list in words: "a, b and c"."""
    return and_joined([visible(name) for name in names])
