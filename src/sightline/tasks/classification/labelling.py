"""The labels and probabilities of an item from its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np

from sightline.core.digits import probability
from sightline.data.media.files import named_source
from sightline.tasks.outcomes import Answer


@final
class Labelling(NamedTuple):
    """The labels of one item."""

    names: tuple[str, ...]  # one; with any number of labels those with a probability of at least one half
    labels: tuple[Any, ...]  # the values that have these names
    probabilities: dict[Any, float]  # of every class, by its value

    @classmethod
    def of(cls, scores: np.ndarray, classes: Sequence[str], many: bool, values: Sequence[Any] = ()) -> Labelling:
        """The labels for log-probabilities (C,), or with any number of labels for log-odds.

        values: of the classes, in the type of the training data's labels; without them the names
        """
        values = values or classes
        p = np.exp(-np.logaddexp(0.0, -scores)) if many else np.exp(scores)
        places = np.flatnonzero(scores >= 0).tolist() if many else [int(scores.argmax())]
        names, labels = (tuple(of[place] for place in places) for of in (classes, values))
        return cls(names, labels, dict(zip(values, p.tolist(), strict=True)))

    def answer(self, source: Any, many: bool) -> Answer:
        """A label and its probability, tab-separated; of several labels `a|b` and `0.9000|0.7000`."""
        shares = [probability(self.probabilities[label]) for label in self.labels]
        text = "|".join(self.names) + "\t" + "|".join(shares)
        record = {"labels": list(self.labels)} if many else {"label": self.labels[0]}
        return Answer(text, {"source": named_source(source), **record, "probabilities": self.probabilities})
