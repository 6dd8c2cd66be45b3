"""Metrics of texts against one reference each; the rows of exact match, and of BLEU and chrF by sacreBLEU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pkgutil import resolve_name
from typing import Any

import numpy as np

from sightline.core.metrics import metrics_of
from sightline.tasks.texts_out.scripts import bleu_metric, bleu_tokenizer
from sightline.training.measured import Measured


def score_texts(hypotheses: Sequence[str], references: Sequence[str], kinds: Sequence[str] = ("texts",)) -> Measured:
    """Every metric that is made of outputs of these kinds and one reference each; in `details` sacreBLEU's signatures.

    Raises:
        ValueError: "2 hypotheses for 3 references", "nothing to score".
    """
    if len(hypotheses) != len(references):
        raise ValueError(f"{len(hypotheses)} hypotheses for {len(references)} references")
    if not references:
        raise ValueError("nothing to score")
    signed = [metric for metric in metrics_of(*kinds) if metric.signature]
    signatures = {metric.name: resolve_name(metric.signature)(references) for metric in signed}
    return Measured.of(dict.fromkeys(kinds, (hypotheses, references)), details={"signatures": signatures})


def exact_rows(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """(N, 2): 1 where output and reference are the same text; 1."""
    return np.array([(a == b, 1) for a, b in zip(hypotheses, references, strict=True)], float)


def bleu_rows(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """Counts (N, 10) of BLEU (Papineni et al. 2002), with sacreBLEU's tokenizer for the references' script."""
    return _counts(bleu_metric(bleu_tokenizer(references)), hypotheses, references)


def chrf_rows(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """Counts (N, 18) of chrF2 (Popović 2015)."""
    return _counts(_chrf(), hypotheses, references)


def bleu_signature(references: Sequence[str]) -> str:
    """sacreBLEU's signature of BLEU, which names the tokenizer for the references' script."""
    return _signature(bleu_metric(bleu_tokenizer(references)))


def chrf_signature(references: Sequence[str]) -> str:
    """sacreBLEU's signature of chrF2."""
    return _signature(_chrf())


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


def _counts(metric: Any, hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
    return np.array([list(row) for row in metric._extract_corpus_statistics(hypotheses, [references])], float)


def _signature(metric: Any) -> str:
    metric.num_refs = 1  # as `corpus_score` would set it
    return str(metric.get_signature())


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
