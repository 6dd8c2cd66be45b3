"""Metrics of predicted labels, and the calibration of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

BINS = 15


class LabelScores(NamedTuple):
    """Metrics of labels by name, and for each the rows of items that it is made of, as in `Measured`.

    metrics: accuracy, macro_f1, auroc, ece: shares in [0, 1]; loss: nats an item, or with any number of labels nats a
        label. A metric that is undefined, such as the AUROC of labels of one kind, is NaN
    details: `confusion` and `reliability`, in plain JSON types
    """

    metrics: dict[str, float]
    items: dict[str, np.ndarray]
    details: dict[str, Any]


def score_classes(log_p: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> LabelScores:
    """Scores of log-probabilities (N, C) for labels (N,) of one class each.

    macro_f1: the mean of the classes' F1, of those that occur as label or as prediction (scikit-learn's)
    auroc: each class against the rest, the mean of those that some of the items have and some have not
    ece: see `calibration`; the confidence is the probability of the predicted class
    """
    from sklearn.metrics import confusion_matrix, f1_score

    _check(log_p, labels, classes, (len(labels),))
    p = np.exp(log_p)
    predicted = p.argmax(1)
    right = predicted == labels
    nats = -log_p[np.arange(len(labels)), labels]
    ece, bins = calibration(p.max(1), right)
    true = labels[:, None] == np.arange(len(classes))  # (N, C)
    metrics = {
        "accuracy": float(right.mean()),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        "auroc": _auroc(true, p),
        "loss": float(nats.mean()),
        "ece": ece,
    }
    items = {
        "accuracy": _per(1, right),
        "macro_f1": _f1_items(true, predicted[:, None] == np.arange(len(classes))),
        "auroc": np.hstack([true, p]),
        "loss": _per(1, nats),
        "ece": _calibration_items(p.max(1, keepdims=True), right[:, None]),
    }
    counts = confusion_matrix(labels, predicted, labels=range(len(classes)))
    details = {"confusion": {"labels": list(classes), "counts": counts.tolist()}, "reliability": bins}
    return LabelScores(metrics, items, details)


def score_label_sets(log_odds: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> LabelScores:
    """Scores of log-odds (N, C) for labels (N, C) bool, any number of which an item may have.

    A label is predicted where its probability is at least one half.

    accuracy: the share of items whose labels are all right; label_accuracy: that of right ones among all N · C
    macro_f1: the mean of the classes' F1, of those that occur; auroc: likewise
    ece: over all N · C predictions, the confidence being the probability of what is predicted, present or absent
    """
    from sklearn.metrics import f1_score, multilabel_confusion_matrix

    _check(log_odds, labels, classes, labels.shape)
    predicted = log_odds >= 0
    right = predicted == labels
    nats = np.logaddexp(0.0, np.where(labels, -log_odds, log_odds))
    p = np.exp(-np.logaddexp(0.0, -log_odds))
    confidence = np.maximum(p, 1 - p)
    ece, bins = calibration(confidence.ravel(), right.ravel())
    occurs = np.flatnonzero(labels.any(0) | predicted.any(0))
    f1 = f1_score(labels[:, occurs], predicted[:, occurs], average="macro", zero_division=0) if len(occurs) else np.nan
    metrics = {
        "accuracy": float(right.all(1).mean()),
        "label_accuracy": float(right.mean()),
        "macro_f1": float(f1),
        "auroc": _auroc(labels, p),
        "loss": float(nats.mean()),
        "ece": ece,
    }
    items = {
        "accuracy": _per(1, right.all(1)),
        "label_accuracy": _per(len(classes), right.sum(1)),
        "macro_f1": _f1_items(labels, predicted),
        "auroc": np.hstack([labels, p]),
        "loss": _per(len(classes), nats.sum(1)),
        "ece": _calibration_items(confidence, right),
    }
    tables = multilabel_confusion_matrix(labels, predicted).tolist()  # of each class [[tn, fp], [fn, tp]]
    details = {"confusions": dict(zip(classes, tables, strict=True)), "reliability": bins}
    return LabelScores(metrics, items, details)


def macro_f1_of(sums: np.ndarray) -> np.ndarray:
    """The mean F1 (...) of the classes that occur, from sums (..., 3C) of the rows of items of macro_f1."""
    both, true, predicted = np.split(sums, 3, -1)  # (..., C)
    occurs = true + predicted > 0
    f1 = np.divide(2 * both, true + predicted, out=np.zeros_like(both), where=occurs)
    return _mean(f1, occurs)


def calibration_error_of(sums: np.ndarray) -> np.ndarray:
    """The expected calibration error (...), from sums (..., BINS + 1) of the rows of items of ece."""
    return np.abs(sums[..., :-1]).sum(-1) / sums[..., -1]


def auroc_of(items: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The mean AUROC (S,) of the classes that some items have and some have not, from rows (S, N, 2C) of auroc.

    With weights (R, N) of the items it is (S, R). The AUROC of a class is the share of pairs of an item that has it
    and one that has not in which the first has the higher probability, pairs of equals counting one half (Hanley &
    McNeil 1982, eq. 1).
    """
    if weights is None:
        return auroc_of(items, np.ones((1, items.shape[1])))[:, 0]
    return np.stack([_weighted_auroc(rows, weights) for rows in items])


def _weighted_auroc(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(R,) of rows (N, 2C) under weights (R, N)."""
    labels, p = np.split(rows.T, 2)  # (C, N)
    shares, mixed = np.zeros((len(weights), len(p))), np.zeros((len(weights), len(p)), bool)
    for c, (true, scores) in enumerate(zip(labels, p, strict=True)):
        order = np.argsort(scores)
        starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))  # of items that have the same probability
        having, others = (np.add.reduceat(weights[:, order] * side[order], starts, 1) for side in (true, 1 - true))
        pairs = having.sum(1) * others.sum(1)
        below = others.cumsum(1) - others / 2
        mixed[:, c] = pairs > 0
        shares[:, c] = (having * below).sum(1) / np.maximum(pairs, 1e-300)
    return _mean(shares, mixed)


def _mean(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean (...) of those values (..., C) that count, NaN where none does."""
    number = counts.sum(-1)
    return np.divide((values * counts).sum(-1), number, out=np.full(number.shape, np.nan), where=number > 0)


def _per(size: int, values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.full(len(values), size)], 1).astype(float)


def _f1_items(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return np.hstack([true & predicted, true, predicted]).astype(float)


def _calibration_items(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Of M predictions (N, M) an item: right ones less confidence in each bin, and M."""
    sums = np.zeros((len(right), bins + 1))
    np.add.at(sums, (np.arange(len(right))[:, None], _bin_of(confidence, bins)), right - confidence)
    sums[:, -1] = right.shape[1]
    return sums


def _bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


def calibration(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> tuple[float, list[dict[str, float]]]:
    """The expected calibration error of N predictions, and the bins behind it.

    Naeini et al. 2015; Guo et al. 2017 (arXiv:1706.04599), eq. 3: with the predictions sorted into `bins` intervals
    ((m - 1)/M, m/M] of their confidence, all of one width, ECE = Σ_m n_m/N · |share of right ones - mean confidence|.
    Each bin that is not empty has `low`, `high`, `count`, `confidence` and `accuracy`.
    """
    place = _bin_of(confidence, bins)
    counts = np.bincount(place, minlength=bins)
    sure = np.bincount(place, confidence, minlength=bins)
    good = np.bincount(place, right.astype(float), minlength=bins)
    ece = float(np.abs(good - sure).sum() / max(len(confidence), 1))
    filled = [
        {
            "low": m / bins,
            "high": (m + 1) / bins,
            "count": int(counts[m]),
            "confidence": float(sure[m] / counts[m]),
            "accuracy": float(good[m] / counts[m]),
        }
        for m in range(bins)
        if counts[m]
    ]
    return ece, filled


def _auroc(labels: np.ndarray, p: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    mixed = [c for c in range(labels.shape[1]) if labels[:, c].any() and not labels[:, c].all()]
    each = [float(roc_auc_score(labels[:, c], p[:, c])) for c in mixed]
    return sum(each) / len(each) if each else float("nan")


def _check(scores: np.ndarray, labels: np.ndarray, classes: Sequence[str], shape: tuple[int, ...]) -> None:
    if not len(labels):
        raise ValueError("nothing to score")
    if scores.shape != (len(labels), len(classes)) or labels.shape != shape:
        raise ValueError(f"scores {scores.shape} do not fit labels {labels.shape} of {len(classes)} classes")
