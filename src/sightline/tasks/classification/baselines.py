"""Baselines for classification: the most frequent class, chance, and plain classifiers of plain features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from sightline.core.cpu_clock import CpuClock
from sightline.core.metrics import Baseline
from sightline.data.labelled.part import LabelledPart
from sightline.data.labelled.table import LabelledSource
from sightline.data.spaced import spaced
from sightline.parts.audio_frames import AudioFrames
from sightline.parts.log_mel import LogMel
from sightline.tasks.classification.metrics import score_classes, score_label_sets
from sightline.tasks.classification.plain import (
    Outputs,
    SplitFeatures,
    log_scores,
    logistic,
    nearest,
    one_against_rest,
    radial_machine,
    spaced_rows,
)
from sightline.training.measured import Measured

# Bounds of what plain classifiers learn from, so that each takes a few seconds of one core.
MOST_CHOOSING = 1000  # validation items that choose settings
MOST_CHARACTERS, MOST_IN_WORDS = 2_000_000, 8_000_000  # of texts, to count runs of characters in and words
MOST_WEIGHTS = 50_000_000  # numbers of a text that are not zero, times classes
MOST_VALUES, MOST_PRODUCTS = 100_000_000, 20_000_000_000  # of all items times classes; of pairs of items
MOST_CLASSES = 200  # of a support vector machine, which has one for each pair of them: half a gigabyte
STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # C of texts
VALUE_STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
RADIAL_STRENGTHS = (1.0, 10.0)
STRETCHES = 8  # of a sound or of a series whose length varies
SCORE: dict[bool, Callable[[np.ndarray, np.ndarray, Sequence[str]], Measured]] = {
    False: score_classes,
    True: score_label_sets,
}


def label_baselines(
    train: LabelledPart, valid: LabelledPart, part: LabelledPart, classes: Sequence[str], sound: AudioFrames
) -> list[Baseline]:
    """The baselines on `part`, learned from `train` with settings that `valid` chooses.

    `sound` turns sounds into frames.
    """
    labels, true = train.numbers(classes), part.numbers(classes)
    shares = labels.mean(0) if train.many else np.bincount(labels, minlength=len(classes)) / len(labels)
    prior = np.broadcast_to(log_scores(shares, labels.ndim), (len(true), len(classes)))
    commonest = (
        "each label's training share"
        if train.many
        else f"always {classes[int(shares.argmax())]!r}, the training shares as probabilities"
    )
    SCORE[train.many](prior, true, classes)  # so that the time of loading scikit-learn is not that of the first
    clock = CpuClock()
    scored = SCORE[train.many](prior, true, classes).metrics
    baselines = [Baseline("most frequent class", commonest, scored, seconds=clock.lap())]
    drawn = "labels drawn in the training part's shares"
    baselines.append(Baseline("by chance", drawn, _by_chance(shares, true), seconds=clock.lap()))
    if len(np.unique(labels, axis=0)) < 2:  # nothing to tell apart
        return baselines
    chosen_by = valid.select(spaced(len(valid), MOST_CHOOSING))
    learned = _of_texts if train.kind == "text" else _of_values
    for name, description, outputs in learned(train, chosen_by, part, classes, sound):
        scored = SCORE[train.many](outputs.scores, true, classes).metrics
        baselines.append(Baseline(name, description, scored, seconds=clock.lap()))
    return baselines


def _by_chance(shares: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """The expected accuracy: Σ_c p_c q_c, with the shares p in training and q here."""
    if true.ndim == 2:
        right = true * shares + (1 - true) * (1 - shares)  # (N, C)
        return {"accuracy": float(right.prod(1).mean()), "label_accuracy": float(right.mean())}
    return {"accuracy": float(shares[true].mean())}


Learned = Iterator[tuple[str, str, Outputs]]  # name, description and outputs


def _of_texts(
    train: LabelledPart, valid: LabelledPart, part: LabelledPart, classes: Sequence[str], sound: AudioFrames
) -> Learned:
    total = sum(map(len, train.sources))
    kept = train.select(spaced_rows(train.numbers(classes), len(train) * MOST_IN_WORDS // max(total, 1)))
    sources = [list(of.sources) for of in (kept, valid, part)]
    characters = sum(map(len, sources[0])) <= MOST_CHARACTERS
    x, counted = _weights(sources, characters)
    features = SplitFeatures(x[0], x[1], x[2], kept.numbers(classes), valid.numbers(classes), len(classes))
    if characters and _load(features) > MOST_WEIGHTS:
        x, counted = _weights(sources, characters=False)
        features = features._replace(known=x[0], choosing=x[1], tested=x[2])
    fewer = features.spaced(len(features.labels) * MOST_WEIGHTS // max(_load(features), 1))
    outputs = one_against_rest(fewer, STRENGTHS)
    method = f"logistic regression of TF-IDF weights of {counted}, C = {outputs.setting:g} by validation"
    yield "TF-IDF + logistic regression", f"{method}{_among(len(fewer.labels), len(train))}", outputs


def _load(features: SplitFeatures) -> int:
    return features.known.nnz * (features.classes if features.classes > 2 else 1)


def _weights(sources: Sequence[Sequence[Any]], characters: bool) -> tuple[list[Any], str]:
    """TF-IDF weights of each part's texts, fitted to the first part, and what they count.

    Words are runs of letters and digits, or single other signs. Runs of characters do not reach beyond the space around
    a word, and find parts of words, endings, and the words of scripts that are written without spaces.
    """
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    of_words = TfidfVectorizer(
        sublinear_tf=True, dtype=np.float32, ngram_range=(1, 2), token_pattern=r"(?u)\w+|[^\w\s]"
    )
    of_characters = TfidfVectorizer(sublinear_tf=True, dtype=np.float32, ngram_range=(2, 5), analyzer="char_wb")
    weights, counted = [], []
    for vectorizer, what in ((of_words, "words, pairs of words"), (of_characters, "runs of 2 to 5 characters")):
        if vectorizer is of_characters and not characters:
            continue
        try:
            known = vectorizer.fit_transform(sources[0])
        except ValueError:  # no text has any
            continue
        weights.append([known, *(vectorizer.transform(of) for of in sources[1:])])
        counted.append(what)
    if not weights:
        return [sparse.csr_matrix((len(of), 1), dtype=np.float32) for of in sources], "nothing, as no text has a word"
    whole = [sparse.csr_matrix(sparse.hstack(columns)) for columns in zip(*weights, strict=True)]
    return whole, " and ".join(counted)


def _of_values(
    train: LabelledPart, valid: LabelledPart, part: LabelledPart, classes: Sequence[str], sound: AudioFrames
) -> Learned:
    view, what = _view((train, valid, part), sound)
    width, several = len(view(train.sources[0])), len(classes) if train.many else 1
    linear, paired = MOST_VALUES // (width * len(classes)), int((MOST_PRODUCTS / (width * several)) ** 0.5)
    kept = train.select(spaced_rows(train.numbers(classes), max(linear, paired)))
    x = _scaled([np.array([*map(view, of.sources)]).reshape(-1, width) for of in (kept, valid, part)], train.kind)
    features = SplitFeatures(x[0], x[1], x[2], kept.numbers(classes), valid.numbers(classes), len(classes))
    fewer = features.spaced(paired)
    machine = ("support vector machine", "radial kernel ", fewer, lambda of: radial_machine(of, RADIAL_STRENGTHS))
    for name, method, of, learn in (
        ("logistic regression", "", features.spaced(linear), lambda of: logistic(of, VALUE_STRENGTHS)),
        *([machine] if train.many or len(classes) <= MOST_CLASSES else []),
        ("nearest neighbour", "least squares ", fewer, nearest),
    ):
        outputs = learn(of)
        chosen = "" if outputs.setting is None else f", C = {outputs.setting:g} by validation"
        yield name, f"{method}of {what}{chosen}{_among(len(of.labels), len(train))}", outputs


def _among(learned: int, total: int) -> str:
    return "" if learned == total else f", learned from {learned:,} of the {total:,} training items"


def _scaled(parts: Sequence[np.ndarray], kind: str) -> list[np.ndarray]:
    """Features (N, D) less their means over the first part, and divided by their spread there.

    The pixels of pictures share one spread: what hardly ever changes in training is not blown up.
    """
    known = parts[0]
    center, spread = known.mean(0), known.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    if kind == "image":
        spread = known.std() or 1.0
    return [(of - center) / spread for of in parts]


def _view(parts: Sequence[LabelledPart], sound: AudioFrames) -> tuple[Callable[[LabelledSource], np.ndarray], str]:
    """The function from a source to a vector, of one length for all, and the name of what is in it."""
    kind = parts[0].kind
    if kind == "audio":
        heard = LogMel(sound.rate_hz, sound.window, sound.hop, min(sound.mels, 20), sound.low_hz, sound.high_hz)
        return lambda source: _bands(heard, source), f"mean log-mel energies of {STRETCHES} equal stretches"
    shapes = {source.shape for of in parts for source in of.sources if isinstance(source, np.ndarray)}
    if len(shapes) == 1:
        what = "pixels" if kind == "image" else "values"
        return lambda source: np.asarray(source, np.float32).ravel(), f"all {what}"
    return lambda source: _stretches(np.asarray(source, np.float32)), f"means of {STRETCHES} equal stretches"


def _bands(log_mel: LogMel, source: LabelledSource) -> np.ndarray:
    samples = torch.from_numpy(np.asarray(source, np.float32))[None]
    bands, _ = log_mel(samples)  # (1, M, mels)
    return _stretches(bands[0].numpy())


def _stretches(series: np.ndarray) -> np.ndarray:
    """Means of equal stretches of a series (T, C)."""
    edges = np.linspace(0, len(series), STRETCHES + 1)
    spans = zip(np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int), strict=True)
    return np.concatenate([series[first : max(last, first + 1)].mean(0) for first, last in spans])
