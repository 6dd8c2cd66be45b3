"""Dividing items into parts: every label in every part, and equal sources never on two sides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence


def stratified_split(keys: Sequence[bytes], strata: Sequence[str], shares: Mapping[str, float], seed: int) -> list[str]:
    """The part of each item: one named in `shares`, or "train".

    Items of one key, which stands for the source, go together, and belong to the least stratum (such as a label) of
    theirs. Of the n keys of a stratum, each part gets round(share · n), at least one where that leaves one for
    training, those with the largest SHA-256 over seed and key: the same on every machine, and whatever order the items
    come in.
    """
    stratum_of: dict[bytes, str] = {}
    for key, stratum in zip(keys, strata, strict=True):
        stratum_of[key] = min(stratum, stratum_of.get(key, stratum))
    groups: dict[str, list[bytes]] = {}
    for key, stratum in stratum_of.items():
        groups.setdefault(stratum, []).append(key)
    part_of: dict[bytes, str] = {}
    for group in groups.values():
        group.sort(key=lambda key: hashlib.sha256(f"{seed}/".encode() + key).digest())
        if len(group) > len(shares):
            counts = [(part, max(round(share * len(group)), 1)) for part, share in shares.items()]
            for part, count in counts:
                for _ in range(min(count, len(group) - 1)):
                    part_of[group.pop()] = part
    return [part_of.get(key, "train") for key in keys]
