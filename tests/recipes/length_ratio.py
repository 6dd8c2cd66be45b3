"""The recipe "a metric: one entry", followed: how long outputs are beside their references."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.core.metrics import Metric


def rows(outputs: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """(N, 2) of characters of the output and of the reference."""
    return np.array([(len(output), len(reference)) for output, reference in zip(outputs, references, strict=True)])


LENGTH_RATIO = Metric(
    "length_ratio", "length ratio", limits=(0.0, np.inf), items="characters of the output, of the reference",
    of="texts", rows=f"{__name__}:rows",
)  # fmt: skip
