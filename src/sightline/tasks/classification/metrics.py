"""How good predicted labels are, and how far their probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

BINS = 15


class LabelScores(NamedTuple):
    """Scores of all items, and each item's part in them.

    metrics: accuracy, macro_f1, auroc, ece: shares in [0, 1]; loss: nats an item, or with any number of labels nats a
        label. What cannot be had, such as the AUROC of labels of one kind, is NaN
    right: (N,) 1 where the label, or every label, is right
    nats: (N, 2) the item's loss and how many labels it is the loss of
    details: `confusion` and `reliability`, in plain JSON types
    """

    metrics: dict[str, float]
    right: np.ndarray
    nats: np.ndarray
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
    metrics = {
        "accuracy": float(right.mean()),
        "macro_f1": float(f1_score(labels, predicted, average="macro", zero_division=0)),
        "auroc": _auroc(labels[:, None] == np.arange(len(classes)), p),
        "loss": float(nats.mean()),
        "ece": ece,
    }
    counts = confusion_matrix(labels, predicted, labels=range(len(classes)))
    details = {"confusion": {"labels": list(classes), "counts": counts.tolist()}, "reliability": bins}
    return LabelScores(metrics, right.astype(float), np.stack([nats, np.ones_like(nats)], 1), details)


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
    ece, bins = calibration(np.maximum(p, 1 - p).ravel(), right.ravel())
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
    tables = multilabel_confusion_matrix(labels, predicted).tolist()  # of each class [[tn, fp], [fn, tp]]
    details = {"confusions": dict(zip(classes, tables, strict=True)), "reliability": bins}
    each = np.stack([nats.sum(1), np.full(len(labels), len(classes), float)], 1)
    return LabelScores(metrics, right.all(1).astype(float), each, details)


def calibration(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> tuple[float, list[dict[str, float]]]:
    """The expected calibration error of N predictions, and the bins behind it.

    Naeini et al. 2015; Guo et al. 2017 (arXiv:1706.04599), eq. 3: with the predictions sorted into `bins` intervals
    ((m - 1)/M, m/M] of their confidence, all of one width, ECE = Σ_m n_m/N · |share of right ones - mean confidence|.
    Each bin that holds any has `low`, `high`, `count`, `confidence` and `accuracy`.
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    sure = np.bincount(place, confidence, minlength=bins)
    good = np.bincount(place, right.astype(float), minlength=bins)
    ece = float(np.abs(good - sure).sum() / max(len(confidence), 1))
    found = [
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
    return ece, found


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
