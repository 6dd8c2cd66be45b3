"""The recipe "a metric: one entry", followed: for texts, labels, forecasts and running text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.core.metrics import Metric
from sightline.tasks.classification.metrics import LabelOutputs
from sightline.tasks.forecasting.metrics import ByColumn, Forecasts
from sightline.tasks.likelihoods import Likelihoods


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


def near_misses(forecasts: Forecasts) -> np.ndarray:
    """(B, H, C): 1 where the forecast is within one scaled unit."""
    return (np.abs(forecasts.error) <= 1).astype(float)


def root_of(sums: np.ndarray) -> np.ndarray:
    """The root (...) of a mean, from sums (..., 2)."""
    return np.sqrt(sums[..., 0] / sums[..., 1])


def errors_by_range(forecasts: Forecasts) -> ByColumn:
    """Errors as multiples of twice the column's deviation in training."""
    spread = forecasts.yardstick.scaling.spread
    return ByColumn(np.abs(forecasts.error), spread, 2 * spread)


def interval_scores(forecasts: Forecasts) -> np.ndarray:
    """(B, H, C), the width of an 80 % interval and ten times the distance to it (Gneiting & Raftery 2007, eq. 43)."""
    low, high = forecasts.ends
    return high - low + 10 * (np.maximum(low - forecasts.truth, 0) + np.maximum(forecasts.truth - high, 0))


HITS = Metric("hits", "near misses", limits=(0.0, 1.0), of="forecasts", rows=f"{__name__}:near_misses")
RMSE = Metric(
    "rmse", "RMSE", higher_is_better=False, of="forecasts",
    rows="sightline.tasks.forecasting.metrics:squared_errors", function=f"{__name__}:root_of",
)  # fmt: skip
BY_RANGE = Metric(
    "by_range", "error by range", higher_is_better=False, of="forecasts", rows=f"{__name__}:errors_by_range"
)
INTERVAL_SCORE = Metric(
    "interval_score", "interval score", higher_is_better=False, of="intervals", rows=f"{__name__}:interval_scores"
)


def length_rows(outputs: Likelihoods) -> np.ndarray:
    """(N, 2) of bytes and tokens."""
    assert outputs.size is not None
    return np.stack([outputs.size, outputs.labels], 1)


def bits_rows(outputs: Likelihoods) -> np.ndarray:
    """(N, 2) of bits and tokens."""
    return np.stack([outputs.nats / np.log(2), outputs.labels], 1)


BYTES_PER_TOKEN = Metric("bytes_per_token", "bytes per token", of="running text", rows=f"{__name__}:length_rows")
BITS_PER_TOKEN = Metric(
    "bits_per_token", "bits per token", higher_is_better=False, of="tokens", rows=f"{__name__}:bits_rows"
)
