"""Baselines for classification: the most frequent class, chance, and linear classifiers of plain features."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from sightline.core.metrics import Baseline
from sightline.data.labelled.table import LabelledSource, SourceKind
from sightline.parts.audio_frames import AudioFrames
from sightline.parts.log_mel import LogMel
from sightline.tasks.classification.metrics import score_classes, score_label_sets
from sightline.tasks.outcomes import Measured

MOST_ITEMS = 10_000  # training items that a linear classifier learns from
STRETCHES = 8  # of a sound or of a series whose length varies
LEAST_PROBABILITY = 1e-6  # so that a baseline that is sure and wrong has a finite loss
SCORE: dict[bool, Callable[[np.ndarray, np.ndarray, Sequence[str]], Measured]] = {
    False: score_classes,
    True: score_label_sets,
}


def label_baselines(
    kind: SourceKind,
    train: tuple[Sequence[LabelledSource], np.ndarray],
    tested: tuple[Sequence[LabelledSource], np.ndarray],
    classes: Sequence[str],
    sound: AudioFrames,
) -> list[Baseline]:
    """The baselines, learned from training sources and the numbers of their labels, on those `tested`.

    Labels are (N,) int64, or with any number of labels (N, C) bool; `sound` turns sounds into frames.
    """
    labels, true = train[1], tested[1]
    many = labels.ndim == 2
    shares = labels.mean(0) if many else np.bincount(labels, minlength=len(classes)) / len(labels)
    prior = np.broadcast_to(_scores(shares, many), (len(true), len(classes)))
    commonest = (
        "each label's training share"
        if many
        else f"always {classes[int(shares.argmax())]!r}, the training shares as probabilities"
    )
    baselines = [Baseline("most frequent class", commonest, SCORE[many](prior, true, classes).metrics)]
    baselines.append(Baseline("by chance", "labels drawn in the training part's shares", _by_chance(shares, true)))
    chosen = list(range(0, len(labels), -(-len(labels) // MOST_ITEMS)))
    among = "" if len(chosen) == len(labels) else f", learned from {len(chosen):,} of the training items"
    kept, learnt = [train[0][i] for i in chosen], labels[chosen]
    if kind == "text":
        scores = _linear_of_texts(kept, learnt, tested[0])
        description = f"logistic regression of TF-IDF weights of words and pairs of words{among}"
        baselines.append(
            Baseline("TF-IDF + logistic regression", description, SCORE[many](scores, true, classes).metrics)
        )
        return baselines
    view, what = _view(kind, kept, tested[0], sound)
    x, y = _scaled(view(kept), view(tested[0]))
    scores = _logistic(x, learnt, y)
    baselines.append(Baseline("logistic regression", f"of {what}{among}", SCORE[many](scores, true, classes).metrics))
    if not many:
        baselines.append(Baseline("nearest centroid", f"of {what}{among}", _nearest_centroid(x, learnt, y, true)))
    return baselines


def _scores(p: np.ndarray, many: bool) -> np.ndarray:
    """Log-probabilities, or with any number of labels log-odds."""
    p = np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.log(p) - np.log1p(-p) if many else np.log(p / p.sum(-1, keepdims=True))


def _by_chance(shares: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """The expected accuracy: Σ_c p_c q_c, with the shares p in training and q here."""
    if true.ndim == 2:
        right = true * shares + (1 - true) * (1 - shares)  # (N, C)
        return {"accuracy": float(right.prod(1).mean()), "label_accuracy": float(right.mean())}
    return {"accuracy": float(shares[true].mean())}


def _linear_of_texts(
    known: Sequence[LabelledSource], labels: np.ndarray, tested: Sequence[LabelledSource]
) -> np.ndarray:
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, dtype=np.float32, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b")
    characters = TfidfVectorizer(sublinear_tf=True, dtype=np.float32, analyzer="char")
    for vectorizer in (words, characters):
        try:
            x = vectorizer.fit_transform(known)
        except ValueError:  # no text contains a word
            continue
        return _logistic(x, labels, vectorizer.transform(tested))
    return np.zeros((len(tested), int(labels.max()) + 1 if labels.ndim == 1 else labels.shape[1]))


def _logistic(x: Any, labels: np.ndarray, tested: Any) -> np.ndarray:
    """Log-probabilities (N, C), or log-odds, of `tested`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    model: Any = LogisticRegression(max_iter=200)
    if labels.ndim == 2:
        model = OneVsRestClassifier(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Label .* is present in all training examples")
        model.fit(x, labels)
    p = np.asarray(model.predict_proba(tested), np.float64)
    if labels.ndim == 2:
        return _scores(p, many=True)
    whole = np.zeros((len(p), int(max(labels.max(), model.classes_.max())) + 1))
    whole[:, model.classes_] = p
    return _scores(whole, many=False)


def _nearest_centroid(x: np.ndarray, labels: np.ndarray, tested: np.ndarray, true: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import f1_score
    from sklearn.neighbors import NearestCentroid

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="self.within_class_std_dev_")  # pixels that never change
        predicted = NearestCentroid().fit(x, labels).predict(tested)
    f1 = f1_score(true, predicted, average="macro", zero_division=0)
    return {"accuracy": float((predicted == true).mean()), "macro_f1": float(f1)}


def _scaled(x: np.ndarray, tested: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(x)
    return scaler.transform(x), scaler.transform(tested)


def _view(
    kind: SourceKind, known: Sequence[LabelledSource], tested: Sequence[LabelledSource], sound: AudioFrames
) -> tuple[Callable[[Sequence[LabelledSource]], np.ndarray], str]:
    """The function from sources to vectors of one length, and its name."""
    if kind == "audio":
        heard = LogMel(sound.rate_hz, sound.window, sound.hop, min(sound.mels, 20), sound.low_hz, sound.high_hz)
        return (
            lambda sources: np.stack([_bands(heard, s) for s in sources]),
            f"mean log-mel energies of {STRETCHES} equal stretches",
        )
    shapes = {source.shape for side in (known, tested) for source in side if isinstance(source, np.ndarray)}
    if len(shapes) == 1:
        what = "pixels" if kind == "image" else "values"
        return lambda sources: np.stack([np.asarray(s, np.float32).ravel() for s in sources]), f"all {what}"
    return (
        lambda sources: np.stack([_stretches(np.asarray(s, np.float32)) for s in sources]),
        f"means of {STRETCHES} equal stretches",
    )


def _bands(log_mel: LogMel, source: LabelledSource) -> np.ndarray:
    samples = torch.from_numpy(np.asarray(source, np.float32))[None]
    bands, _ = log_mel(samples)  # (1, M, mels)
    return _stretches(bands[0].numpy())


def _stretches(series: np.ndarray) -> np.ndarray:
    """Means of equal stretches of a series (T, C)."""
    edges = np.linspace(0, len(series), STRETCHES + 1)
    spans = zip(np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int), strict=True)
    return np.concatenate([series[first : max(last, first + 1)].mean(0) for first, last in spans])
