"""The labels and probabilities of an item from its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np

from sightline.core.digits import probability
from sightline.tasks.outcomes import Answer


@final
class Labelling(NamedTuple):
    """The labels of one item."""

    labels: tuple[str, ...]  # one; with any number of labels those with a probability of at least one half
    probabilities: dict[str, float]  # of every class

    @classmethod
    def of(cls, scores: np.ndarray, classes: Sequence[str], many: bool) -> Labelling:
        """The labels for log-probabilities (C,), or with any number of labels for log-odds."""
        if many:
            p = np.exp(-np.logaddexp(0.0, -scores))
            labels = tuple(name for name, odds in zip(classes, scores, strict=True) if odds >= 0)
        else:
            p = np.exp(scores)
            labels = (classes[int(scores.argmax())],)
        return cls(labels, dict(zip(classes, p.tolist(), strict=True)))

    def answer(self, source: Any, many: bool) -> Answer:
        """A label and its probability, tab-separated; of several labels `a|b` and `0.9000|0.7000`."""
        text = "|".join(self.labels) + "\t" + "|".join(probability(self.probabilities[name]) for name in self.labels)
        record = {"labels": list(self.labels)} if many else {"label": self.labels[0]}
        return Answer(text, {"source": source, **record, "probabilities": self.probabilities})
