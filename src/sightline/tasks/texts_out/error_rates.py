"""Error rates of transcripts: edits of characters or words, divided by the length of the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.tasks.texts_out.scores import TextScores, check_lengths


def error_rates(hypotheses: Sequence[str], references: Sequence[str]) -> TextScores:
    """Character and word error rate: all edits over all reference characters (code points), or words between spaces.

    Edits are the fewest insertions, deletions and substitutions that turn one text into the other (Levenshtein 1966).
    Texts are compared as they are, capitals and punctuation included. A rate exceeds 1 where there are more edits than
    characters or words in the references. Rows of items are (edits, length of the reference).

    Raises:
        ValueError: "2 hypotheses for 3 references", "nothing to score".
    """
    from rapidfuzz.distance.Levenshtein import distance

    check_lengths(hypotheses, references)
    pairs = list(zip(hypotheses, references, strict=True))
    items = {
        "cer": np.array([(distance(*pair), len(pair[1])) for pair in pairs], float),
        "wer": np.array([(distance(a.split(), b.split()), len(b.split())) for a, b in pairs], float),
    }
    metrics = {name: float(rows[:, 0].sum() / max(1.0, rows[:, 1].sum())) for name, rows in items.items()}
    return TextScores(metrics, items, {})
