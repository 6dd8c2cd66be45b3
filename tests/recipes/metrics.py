"""The recipe "a metric: one entry", followed twice: the length of texts, and the confidence of labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.core.metrics import Metric
from sightline.tasks.classification.metrics import LabelOutputs


def rows(outputs: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """(N, 2) of characters of the output and of the reference."""
    return np.array([(len(output), len(reference)) for output, reference in zip(outputs, references, strict=True)])


LENGTH_RATIO = Metric(
    "length_ratio", "length ratio", limits=(0.0, np.inf), items="characters of the output, of the reference",
    of="texts", rows=f"{__name__}:rows",
)  # fmt: skip


def confidence_rows(outputs: LabelOutputs) -> np.ndarray:
    """(N, 2) of the summed probabilities of an item's predictions, and their number."""
    return np.stack([outputs.confidence.sum(1), np.full(len(outputs.confidence), outputs.confidence.shape[1])], 1)


CONFIDENCE = Metric("confidence", "confidence", limits=(0.0, 1.0), of="labels", rows=f"{__name__}:confidence_rows")
