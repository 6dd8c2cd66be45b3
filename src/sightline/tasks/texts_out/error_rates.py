"""Error rates of transcripts: edits of characters or words, divided by the length of the reference.

Edits are the fewest insertions, deletions and substitutions that turn one text into the other (Levenshtein 1966). Texts
are compared as they are, capitals and punctuation included. A rate exceeds 1 where there are more edits than characters
or words in the references.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def character_rows(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """(N, 2) of edits of characters (code points), and characters of the reference."""
    return _rows(hypotheses, references)


def word_rows(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """(N, 2) of edits of words between spaces, and words of the reference."""
    return _rows([text.split() for text in hypotheses], [text.split() for text in references])


def _rows(hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> np.ndarray:
    from rapidfuzz.distance.Levenshtein import distance

    return np.array([(distance(a, b), len(b)) for a, b in zip(hypotheses, references, strict=True)], float)
