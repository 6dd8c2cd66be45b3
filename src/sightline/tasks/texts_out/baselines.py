"""Baselines for tasks that write text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, final

import numpy as np

from sightline.core.cpu_clock import CpuClock
from sightline.core.digits import number_of
from sightline.core.metrics import Baseline
from sightline.data.spaced import spaced

MOST_NEIGHBOURS = 50_000  # training sources that the nearest one is looked for among


@final
class BaselineOutputs(NamedTuple):
    """One baseline's outputs for the test sources."""

    name: str
    description: str
    outputs: list[str]
    seconds: float  # of the CPU

    def scored(self, metrics: Mapping[str, float | None]) -> Baseline:
        """The baseline with the metrics of these outputs."""
        return Baseline(self.name, self.description, metrics, seconds=self.seconds)


def text_baselines(sources: Sequence[str], targets: Sequence[str], tested: Sequence[str]) -> list[BaselineOutputs]:
    """The baselines, learned from training pairs, on the sources `tested`."""
    clock = CpuClock()
    common, count = Counter(targets).most_common(1)[0]
    most_frequent_s = clock.lap()
    looked = spaced(len(sources), MOST_NEIGHBOURS)
    nearest = nearest_sources([sources[i] for i in looked], tested)
    among = (
        f"the {number_of(len(looked), 'training source')}"
        if len(looked) == len(sources)
        else f"{len(looked):,} of them"
    )
    return [
        BaselineOutputs("copy the source", "the source itself, unchanged", list(tested), 0.0),
        BaselineOutputs(
            "most frequent target",
            f"always the commonest training target ({number_of(count, 'time')})",
            [common] * len(tested),
            most_frequent_s,
        ),
        BaselineOutputs(
            "nearest training source",
            f"the target of the most similar of {among} (cosine of TF-IDF weights of 1 to 3 characters)",
            [targets[looked[i]] for i in nearest],
            clock.lap(),
        ),
    ]


def nearest_sources(known: Sequence[str], texts: Sequence[str], chunk: int = 200) -> list[int]:
    """For each text the index of the most similar known one; the first of equals."""
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), lowercase=False, dtype=np.float32)
    try:
        memory = sparse.csr_matrix(vectorizer.fit_transform(known)).T.tocsr()
    except ValueError:  # no text contains a character
        return [0] * len(texts)
    nearest: list[int] = []
    for start in range(0, len(texts), chunk):
        similar = vectorizer.transform(texts[start : start + chunk]) @ memory
        nearest += np.asarray(similar.todense()).argmax(1).tolist()
    return nearest
