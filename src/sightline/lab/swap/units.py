"""The unit of a swap: a layer, or some of its heads. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from sightline.core.errors import InputError

UNIT = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,6}(?:\+[0-9]{1,6})*))?")


class SwapUnit(NamedTuple):
    """A layer by its number, and the numbers of its heads that are replaced, all from 1; no heads: the whole layer."""

    layer: int
    heads: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """As a flag has it: "2", "2.1", "2.1+3"."""
        return f"{self.layer}.{'+'.join(map(str, self.heads))}" if self.heads else str(self.layer)


def parse_units(text: str) -> list[SwapUnit]:
    """The units that a flag names, in order: 2, or 1,3, or heads 2.1,2.3, or two heads as one unit, 2.1+3.

    Raises:
        InputError: "--layer: expected all, a number, 1,3, or heads such as 2.1, found 'x'"; "--layer: layer 2 is named
            twice"; "--layer: head 1 of layer 2 is named twice".
    """
    matches = [UNIT.fullmatch(word.strip()) for word in text.split(",")]
    if not all(matches):
        raise InputError(f"expected all, a number, 1,3, or heads such as 2.1, found {text!r}", where="--layer")
    units = [
        SwapUnit(int(one[1]), tuple(sorted(map(int, one[2].split("+")))) if one[2] else ()) for one in matches if one
    ]
    units = sorted(dict.fromkeys(units))
    whole = {one.layer for one in units if not one.heads}
    seen: set[tuple[int, int]] = set()
    for unit in units:
        if unit.heads and unit.layer in whole:
            raise InputError(f"layer {unit.layer} is named twice, whole and by its heads", where="--layer")
        for head in unit.heads:
            if (unit.layer, head) in seen:
                raise InputError(f"head {head} of layer {unit.layer} is named twice", where="--layer")
            seen.add((unit.layer, head))
    return units


def heads_by_layer(units: Iterable[SwapUnit]) -> dict[int, list[tuple[int, ...]]]:
    """The groups of heads that are replaced in each layer, by its number; [()] of a whole layer."""
    groups: dict[int, list[tuple[int, ...]]] = {}
    for unit in units:
        groups.setdefault(unit.layer, []).append(unit.heads)
    return groups
