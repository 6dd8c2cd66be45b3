"""Metrics of predicted labels, and the calibration of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from sightline.tasks.likelihoods import Likelihoods
from sightline.training.measured import Measured

BINS = 15
# The kinds of metrics (`Metric.of`), by whether an item may have any number of labels.
KINDS = {False: ("labels", "likelihoods"), True: ("labels", "label sets", "likelihoods")}


class LabelOutputs(NamedTuple):
    """A classifier's outputs of N items, which `core.metrics` has metrics of ("labels", "label sets").

    labels, predicted: (N, C) bool; p: (N, C), the probability of each label
    confidence, right: (N, M), the probability of each of M predictions an item, and whether it is right: M is 1 where
        an item has one label, else C, each label being predicted to be present or absent
    """

    labels: np.ndarray
    predicted: np.ndarray
    p: np.ndarray
    confidence: np.ndarray
    right: np.ndarray


def score_classes(log_p: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Measured:
    """Metrics of log-probabilities (N, C) for labels (N,) of one class each; `details` has confusion and reliability.

    A metric that is undefined, such as the AUROC of labels of one kind, is NaN.

    macro_f1: the mean of the classes' F1, of those that occur as label or as prediction (scikit-learn's)
    auroc: each class against the rest, the mean of those that some of the items have and some have not
    ece: see `calibration`; the confidence is the probability of the predicted class
    loss: nats an item
    """
    from sklearn.metrics import confusion_matrix

    _check(log_p, labels, classes, (len(labels),))
    p, predicted, every = np.exp(log_p), log_p.argmax(1), np.arange(len(classes))
    right = (predicted == labels)[:, None]
    outputs = LabelOutputs(labels[:, None] == every, predicted[:, None] == every, p, p.max(1, keepdims=True), right)
    counts = confusion_matrix(labels, predicted, labels=range(len(classes)))
    details = {
        "confusion": {"labels": list(classes), "counts": counts.tolist()},
        "reliability": calibration(outputs.confidence.ravel(), right.ravel())[1],
    }
    return _scored(False, outputs, -log_p[np.arange(len(labels)), labels][:, None], details)


def score_label_sets(log_odds: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Measured:
    """Metrics of log-odds (N, C) for labels (N, C) bool, any number of which an item may have; see `score_classes`.

    A label is predicted where its probability is at least one half.

    accuracy: the share of items whose labels are all right; label_accuracy: that of right ones among all N · C
    macro_f1: the mean of the classes' F1, of those that occur; auroc: likewise
    ece: over all N · C predictions, the confidence being the probability of what is predicted, present or absent
    loss: nats a label
    """
    from sklearn.metrics import multilabel_confusion_matrix

    _check(log_odds, labels, classes, labels.shape)
    labels, predicted, p = labels.astype(bool), log_odds >= 0, np.exp(-np.logaddexp(0.0, -log_odds))
    outputs = LabelOutputs(labels, predicted, p, np.maximum(p, 1 - p), predicted == labels)
    nats = np.logaddexp(0.0, np.where(labels, -log_odds, log_odds))
    tables = multilabel_confusion_matrix(labels, predicted).tolist()  # of each class [[tn, fp], [fn, tp]]
    details = {
        "confusions": dict(zip(classes, tables, strict=True)),
        "reliability": calibration(outputs.confidence.ravel(), outputs.right.ravel())[1],
    }
    return _scored(True, outputs, nats, details)


def _scored(many: bool, outputs: LabelOutputs, nats: np.ndarray, details: dict[str, Any]) -> Measured:
    """Every metric of outputs and of the nats (N, M) of M predictions an item; many: whether of label sets."""
    likelihoods = Likelihoods(nats.sum(1), np.full(len(nats), nats.shape[1]))
    measured = Measured.of(dict.fromkeys(KINDS[many], (outputs,)) | {"likelihoods": (likelihoods,)}, details=details)
    return replace(measured, metrics=measured.metrics | {"loss": float(nats.mean())})  # with fewer roundings


def accuracy_rows(outputs: LabelOutputs) -> np.ndarray:
    """(N, 2): 1 where all labels of the item are right; 1."""
    return _per(1, (outputs.labels == outputs.predicted).all(1))


def label_accuracy_rows(outputs: LabelOutputs) -> np.ndarray:
    """(N, 2) of right labels, present or absent, and labels."""
    return _per(outputs.labels.shape[1], (outputs.labels == outputs.predicted).sum(1))


def macro_f1_rows(outputs: LabelOutputs) -> np.ndarray:
    """(N, 3C): for each class 1 where predicted and true, where true, where predicted."""
    return np.hstack([outputs.labels & outputs.predicted, outputs.labels, outputs.predicted]).astype(float)


def auroc_rows(outputs: LabelOutputs) -> np.ndarray:
    """(N, 2C): for each class 1 where true; for each class its probability."""
    return np.hstack([outputs.labels, outputs.p])


def calibration_rows(outputs: LabelOutputs) -> np.ndarray:
    """(N, BINS + 1): right predictions less confidence in each bin, and the number of predictions."""
    sums = np.zeros((len(outputs.right), BINS + 1))
    places = np.arange(len(sums))[:, None], _bin_of(outputs.confidence, BINS)
    np.add.at(sums, places, outputs.right - outputs.confidence)
    sums[:, -1] = outputs.right.shape[1]
    return sums


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


def _check(scores: np.ndarray, labels: np.ndarray, classes: Sequence[str], shape: tuple[int, ...]) -> None:
    if not len(labels):
        raise ValueError("nothing to score")
    if scores.shape != (len(labels), len(classes)) or labels.shape != shape:
        raise ValueError(f"scores {scores.shape} do not fit labels {labels.shape} of {len(classes)} classes")
