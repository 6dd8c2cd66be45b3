"""How good outputs are: exact match, BLEU and chrF by sacreBLEU, and what a paired bootstrap needs of each item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Scores(NamedTuple):
    """What `score_texts` gives: corpus scores, and each item's parts of them."""

    metrics: dict[str, float]  # exact_match, bleu, chrf
    exact: list[int]
    bleu: list[tuple[int, ...]]
    chrf: list[float]
    signatures: dict[str, str]


def score_texts(hypotheses: Sequence[str], references: Sequence[str]) -> Scores:
    """Exact match, BLEU (Papineni et al. 2002) and chrF2 (Popović 2015) of outputs against one reference each."""
    from sacrebleu.metrics import BLEU, CHRF

    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references")
    if not references:
        raise ValueError("nothing to score")
    exact = [int(said == wanted) for said, wanted in zip(hypotheses, references, strict=True)]
    bleu, chrf = BLEU(), CHRF()
    metrics = {
        "exact_match": sum(exact) / len(exact),
        "bleu": bleu.corpus_score(hypotheses, [references]).score,
        "chrf": chrf.corpus_score(hypotheses, [references]).score,
    }
    counts = [tuple(row) for row in bleu._extract_corpus_statistics(hypotheses, [references])]
    each = [chrf.sentence_score(said, [wanted]).score for said, wanted in zip(hypotheses, references, strict=True)]
    signatures = {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())}
    return Scores(metrics, exact, counts, each, signatures)


def bleu_of(counts: np.ndarray) -> np.ndarray:
    """Corpus BLEU (...) of summed counts (..., 10): hypothesis and reference length, 4 matches, 4 totals.

    With `Scores.bleu` of any selection of items, summed, this is sacreBLEU's score of that selection: what a bootstrap
    over items resamples.
    """
    from sacrebleu.metrics import BLEU

    rows = counts.reshape(-1, 10)
    scores = [
        BLEU.compute_bleu(row[2:6].tolist(), row[6:].tolist(), int(row[0]), int(row[1]), smooth_method="exp").score
        for row in rows
    ]
    return np.array(scores).reshape(counts.shape[:-1])
