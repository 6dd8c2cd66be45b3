"""Scores of several models on the same test items, and how much worse one is than another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from sightline.core.metrics import Metric
from sightline.lab.results import Estimate
from sightline.lab.stats import LEVEL, Sample, sample
from sightline.lab.swap.results import SwapVerdict


@final
@dataclass(frozen=True)
class SwapScores:
    """Models that were tested on the same items, which a paired bootstrap resamples for all at once."""

    metric: Metric
    sampled: Sample

    @classmethod
    def of(cls, rows: Mapping[str, np.ndarray], metric: Metric, seed: int) -> SwapScores:
        """The scores of rows (N, K) of every model, see `core.metrics`."""
        return cls(metric, sample({name: one[None] for name, one in rows.items()}, metric, seed=seed))

    def mean(self, name: str) -> float:
        """The metric of a model."""
        return float(self.sampled.per_seed[name].mean())

    def score(self, name: str) -> Estimate:
        """The metric of a model with its interval over items."""
        ends = self.sampled.draws.score(name, self.metric.limits)
        return ends.estimate(self.mean(name), 1 - LEVEL)

    def lost(self, name: str, to: str) -> Estimate:
        """How much worse a model is than another, with the interval of the paired difference."""
        first, second = (to, name) if self.metric.higher_is_better else (name, to)
        ends = self.sampled.draws.difference(first, second, self.metric.limits)
        return ends.estimate(self.mean(first) - self.mean(second), 1 - LEVEL)

    def better(self, first: str, second: str) -> bool:
        """Whether the first model scores better."""
        return (self.mean(first) > self.mean(second)) == self.metric.higher_is_better


def verdict_of(lost: Estimate, margin: float | None) -> SwapVerdict:
    """kept: at most the margin is lost; lost: more than that; each by the whole interval."""
    if margin is None or lost.low is None or lost.high is None:
        return "not decided"
    return "kept" if lost.high <= margin else "lost" if lost.low > margin else "not decided"
