"""Metrics of texts against one reference each: exact match, and BLEU and chrF by sacreBLEU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from sightline.tasks.texts_out.scripts import bleu_metric, bleu_tokenizer


class TextScores(NamedTuple):
    """Metrics by name, and for each the rows of items that it is made of, as in `Measured`.

    signatures: sacreBLEU's, by metric
    """

    metrics: dict[str, float]
    items: dict[str, np.ndarray]
    signatures: dict[str, str]


def score_texts(hypotheses: Sequence[str], references: Sequence[str]) -> TextScores:
    """Exact match, BLEU (Papineni et al. 2002) and chrF2 (Popović 2015) of outputs against one reference each.

    exact_match is a share in [0, 1]; bleu and chrf range from 0 to 100. BLEU's tokenizer follows the script of the
    references (`scripts.bleu_tokenizer`); its signature names it.

    Raises:
        ValueError: "2 hypotheses for 3 references", "nothing to score".
    """
    check_lengths(hypotheses, references)
    exact = [hypothesis == reference for hypothesis, reference in zip(hypotheses, references, strict=True)]
    metrics, items, signatures = {"exact_match": sum(exact) / len(exact)}, {"exact_match": counted(exact)}, {}
    for name, metric in (("bleu", bleu_metric(bleu_tokenizer(references))), ("chrf", _chrf())):
        metrics[name] = metric.corpus_score(hypotheses, [references]).score
        rows = metric._extract_corpus_statistics(hypotheses, [references])
        items[name] = np.array([list(row) for row in rows], float)
        signatures[name] = str(metric.get_signature())
    return TextScores(metrics, items, signatures)


def check_lengths(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    """Raises `ValueError` unless there is a reference for each hypothesis, and at least one."""
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references")
    if not references:
        raise ValueError("nothing to score")


def counted(values: Any) -> np.ndarray:
    """Rows (N, 2) of a number for each item and 1."""
    values = np.asarray(values, float)
    return np.stack([values, np.ones_like(values)], 1)


def bleu_of(counts: np.ndarray) -> np.ndarray:
    """Corpus BLEU (...) of summed counts (..., 10): length of hypotheses and of references, 4 matches, 4 totals.

    Of the summed rows of any selection of items this is sacreBLEU's score of that selection.
    """
    return _each_row(counts, _bleu)


def chrf_of(counts: np.ndarray) -> np.ndarray:
    """Corpus chrF (...) of summed counts (..., 18): for n = 1 to 6 n-grams of hypotheses, of references, and matches.

    Of the summed rows of any selection of items this is sacreBLEU's score of that selection.
    """
    return _each_row(counts, _chrf()._compute_f_score)


def _each_row(counts: np.ndarray, score: Callable[[list[float]], float]) -> np.ndarray:
    rows = counts.reshape(-1, counts.shape[-1]).tolist()
    return np.array([score(row) for row in rows]).reshape(counts.shape[:-1])


def _bleu(row: list[float]) -> float:
    from sacrebleu.metrics import BLEU

    matches, totals = ([int(count) for count in part] for part in (row[2:6], row[6:]))
    return BLEU.compute_bleu(matches, totals, int(row[0]), int(row[1]), smooth_method="exp").score


@cache
def _chrf() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()
