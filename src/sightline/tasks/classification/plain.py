"""Plain classifiers for baselines: each learns from training features, and validation items choose its settings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, final

import numpy as np

from sightline.data.spaced import spaced, spaced_by_class

LEAST_PROBABILITY = 1e-6  # so that a baseline that is sure and wrong has a finite loss
SHARPNESS = tuple(2.0**power for power in range(-3, 5))  # factors from decision values to log-probabilities


@final
class SplitFeatures(NamedTuple):
    """Features of the items that are learned from (N, D), that choose settings, and that are tested.

    labels, chosen_by: (N,) int64, or with any number of labels (N, C) bool, of the first two; the second may be empty
    """

    known: Any
    choosing: Any
    tested: Any
    labels: np.ndarray
    chosen_by: np.ndarray
    classes: int

    def spaced(self, most: int) -> SplitFeatures:
        """`most` of the items to learn from, see `spaced_rows`."""
        rows = spaced_rows(self.labels, most)
        return self._replace(known=self.known[rows], labels=self.labels[rows])


def spaced_rows(labels: np.ndarray, most: int) -> list[int]:
    """The numbers of `most` items to learn from, two at least; each class keeps its share where an item has one class.

    There are two classes then: most classifiers do not learn from one.
    """
    most = max(most, 2)
    return spaced(len(labels), most) if labels.ndim == 2 else spaced_by_class(labels, most)


Predict = Callable[[Any], np.ndarray]  # features to scores (N, C)


@final
class Outputs(NamedTuple):
    """Scores (N, C) of the tested items, log-probabilities or log-odds, and the setting that validation chose."""

    scores: np.ndarray
    setting: float | None


def logistic(features: SplitFeatures, strengths: Sequence[float]) -> Outputs:
    """Logistic regression; `strengths` are values of C, in ascending order."""
    from sklearn.linear_model import LogisticRegression

    def fit(strength: float) -> Predict:
        model = _fitted(LogisticRegression(C=strength, max_iter=200), features)
        return lambda x: _probable(model, x, features)

    return _best(features, strengths, fit)


def one_against_rest(features: SplitFeatures, strengths: Sequence[float]) -> Outputs:
    """A logistic regression for each class against the others, by dual coordinate descent (Yu, Huang & Lin 2011).

    The intercepts are regularised, too. For sparse features and many classes it is much faster than `logistic`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    def fit(strength: float) -> Predict:
        one = LogisticRegression(C=strength, solver="liblinear", dual=True, tol=0.01, random_state=0)
        model = _fitted(OneVsRestClassifier(one), features)
        return lambda x: _probable(model, x, features)

    return _best(features, strengths, fit)


def radial_machine(features: SplitFeatures, strengths: Sequence[float]) -> Outputs:
    """A support vector machine with a radial kernel of the width of the data (scikit-learn's `gamma="scale"`).

    It gives no probabilities, so that the errors in validation come before the loss in the choice of its strength.
    """
    from sklearn.svm import SVC

    def fit(strength: float) -> Predict:
        model = _fitted(SVC(C=strength, cache_size=500), features)

        def decide(x: Any) -> np.ndarray:
            values = np.asarray(model.decision_function(x), np.float64)
            if features.labels.ndim == 1 and values.ndim == 1:  # of two classes
                values = np.stack([-values / 2, values / 2], 1)
            return _all_classes(model, values, features, float(values.min(initial=0.0)) - 1.0)

        return _sharpened(features, decide)

    return _best(features, strengths, fit, by_errors=True)


def nearest(features: SplitFeatures) -> Outputs:
    """The labels of the nearest item in Euclidean distance, as sure as such neighbours are right in validation."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(features.known)
    if features.labels.ndim == 2:
        of_known = 2.0 * features.labels - 1.0
    else:
        of_known = np.eye(features.classes)[features.labels]
    decide = _sharpened(features, lambda x: of_known[np.asarray(index.kneighbors(x, return_distance=False))[:, 0]])
    return Outputs(decide(features.tested), None)


def _probable(model: Any, x: Any, features: SplitFeatures) -> np.ndarray:
    """Scores from a model's probabilities."""
    return log_scores(_all_classes(model, model.predict_proba(x), features, 0.0), features.labels.ndim)


def log_scores(p: np.ndarray, axes: int) -> np.ndarray:
    """Log-probabilities (N, C) of labels of one axis, log-odds of those of two: any number of labels each."""
    p = np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.log(p) - np.log1p(-p) if axes == 2 else np.log(p / p.sum(-1, keepdims=True))


def _fitted(model: Any, features: SplitFeatures) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.multiclass import OneVsRestClassifier

    if features.labels.ndim == 2 and not isinstance(model, OneVsRestClassifier):
        model = OneVsRestClassifier(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message="Label .* is present in all training examples")
        return model.fit(features.known, features.labels)


def _all_classes(model: Any, values: np.ndarray, features: SplitFeatures, missing: float) -> np.ndarray:
    """Values (N, C) of every class, `missing` for those that no item to learn from has."""
    if features.labels.ndim == 2:
        return np.asarray(values, np.float64).reshape(len(values), features.classes)
    whole = np.full((len(values), features.classes), missing)
    whole[:, model.classes_] = values
    return whole


def _sharpened(features: SplitFeatures, decide: Predict) -> Predict:
    """`decide` with its values turned into scores, by the factor that gives validation the least loss."""
    axes = features.labels.ndim
    values = decide(features.choosing) if len(features.chosen_by) else None

    def loss(factor: float) -> float:
        return 0.0 if values is None else _nats(_normalised(factor * values, axes), features.chosen_by)

    factor = min(SHARPNESS, key=lambda factor: (loss(factor), abs(factor - 1)))
    return lambda x: _normalised(factor * decide(x), axes)


def _normalised(values: np.ndarray, axes: int) -> np.ndarray:
    if axes == 2:
        return values
    shifted = values - values.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _nats(scores: np.ndarray, labels: np.ndarray) -> float:
    if labels.ndim == 2:
        return float(np.logaddexp(0.0, np.where(labels, -scores, scores)).mean())
    return float(-scores[np.arange(len(labels)), labels].mean())


def _errors(scores: np.ndarray, labels: np.ndarray) -> float:
    wrong = (scores >= 0) != labels if labels.ndim == 2 else scores.argmax(1) != labels
    return float(wrong.mean())


def _best(
    features: SplitFeatures, settings: Sequence[float], fit: Callable[[float], Predict], *, by_errors: bool = False
) -> Outputs:
    """Outputs of the setting with the least validation loss; none after the first that is worse than one before.

    Without validation items it is the one in the middle.
    """
    if not len(features.chosen_by):
        middle = settings[len(settings) // 2]
        return Outputs(fit(middle)(features.tested), middle)

    def loss(predict: Predict) -> tuple[float, float]:
        scores = predict(features.choosing)
        return _errors(scores, features.chosen_by) if by_errors else 0.0, _nats(scores, features.chosen_by)

    best = settings[0], fit(settings[0])
    least = loss(best[1])
    for setting in settings[1:]:
        predict = fit(setting)
        reached = loss(predict)
        if reached > least:
            break
        least, best = reached, (setting, predict)
    return Outputs(best[1](features.tested), best[0])
