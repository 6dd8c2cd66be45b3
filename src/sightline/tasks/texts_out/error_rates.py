"""Error rates of transcripts: how many characters or words must be changed, for each one that was said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class ErrorRates(NamedTuple):
    """What `error_rates` gives: the rates, and of each item (edits, reference length), whose sums they are made of."""

    metrics: dict[str, float]  # cer, wer
    characters: list[tuple[int, int]]
    words: list[tuple[int, int]]


def edits(said: Sequence[object], wanted: Sequence[object]) -> int:
    """The fewest insertions, deletions and substitutions that turn one sequence into the other (Levenshtein 1966).

    The table of Wagner & Fischer 1974, a row at a time: D[i, j] = min(D[i-1, j] + 1, D[i, j-1] + 1, D[i-1, j-1] +
    [said_i ≠ wanted_j]). Along a row the second term is a running minimum of D[i, k] - k, plus j.
    """
    number: dict[object, int] = {}
    right = np.array([number.setdefault(item, len(number)) for item in wanted], dtype=np.int64)
    places = np.arange(len(right) + 1)
    row = places
    for item in said:
        other = number.get(item, -1)
        found = np.empty_like(row)
        found[0] = row[0] + 1
        found[1:] = np.minimum(row[1:] + 1, row[:-1] + (right != other))
        row = np.minimum.accumulate(found - places) + places
    return int(row[-1])


def error_rates(hypotheses: Sequence[str], references: Sequence[str]) -> ErrorRates:
    """Character and word error rate: all edits over all reference characters (code points), or words between spaces.

    Texts are compared as they stand, capitals and punctuation included. A rate may exceed 1, where more is said than
    was to be said.
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references")
    if not references:
        raise ValueError("nothing to score")
    pairs = list(zip(hypotheses, references, strict=True))
    characters = [(edits(said, wanted), len(wanted)) for said, wanted in pairs]
    words = [(edits(said.split(), wanted.split()), len(wanted.split())) for said, wanted in pairs]
    rates = {}
    for name, counts in (("cer", characters), ("wer", words)):
        rates[name] = sum(wrong for wrong, _ in counts) / max(1, sum(length for _, length in counts))
    return ErrorRates(rates, characters, words)
