"""The value of `--match`: the size that all architectures of a comparison have. Imports no torch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, final

from sightline.core.errors import InputError

COUNTS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}
BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
EXPECTED = "expected params=2M, flops=1.5M (of training, per token) or state=64KB@1024 (bytes after a number of tokens)"


@final
@dataclass(frozen=True)
class Match:
    """A size that a model is scaled to.

    kind: parameters; operations of training per token; bytes of the state after `length` tokens
    """

    kind: Literal["params", "flops", "state"]
    amount: int
    length: int = 0


def parse_match(text: str | None) -> Match | None:
    """`params=2M`, `flops=1.5M`, `state=64KB@1024`; None is None.

    Raises:
        InputError: "match: expected params=2M, flops=1.5M … or state=64KB@1024 …, found '2M'".
    """
    if text is None:
        return None
    written = re.fullmatch(r"(params|flops|state)=([\d.]+(?:e\+?\d+)?)([A-Za-z]*)(?:@(\d+))?", text)
    kind, number, unit, length = written.groups() if written else ("", "", "", None)
    factor = (BYTES if kind == "state" else COUNTS).get(unit)
    try:
        amount = round(float(number) * (factor or math.nan))
    except (ValueError, OverflowError):
        amount = 0
    if amount < 1 or (kind == "state") != (length is not None) or length == "0":
        raise InputError(f"{EXPECTED}, found {text!r}", where="match")
    return Match(kind, amount, int(length or 0))  # type: ignore[arg-type]
