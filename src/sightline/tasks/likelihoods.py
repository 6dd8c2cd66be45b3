"""Likelihoods of test items under a model, and the rows of the metrics that are made of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class Likelihoods(NamedTuple):
    """The labels of N items under a model, which `core.metrics` has metrics of.

    nats, labels: (N,), the sum of -ln p over an item's labels, and their number: classes of items ("likelihoods") or
        tokens ("tokens" too)
    right: (N,), how many of them the model ranks first ("ranked tokens")
    size: (N,), their bytes of UTF-8 ("running text")
    """

    nats: np.ndarray
    labels: np.ndarray
    right: np.ndarray | None = None
    size: np.ndarray | None = None


def nats_rows(outputs: Likelihoods) -> np.ndarray:
    """(N, 2) of nats and labels."""
    return np.stack([outputs.nats, outputs.labels], 1)


def right_rows(outputs: Likelihoods) -> np.ndarray:
    """(N, 2) of labels that are ranked first and labels."""
    assert outputs.right is not None
    return np.stack([outputs.right, outputs.labels], 1)


def bits_rows(outputs: Likelihoods) -> np.ndarray:
    """(N, 2) of bits and bytes."""
    assert outputs.size is not None
    return np.stack([outputs.nats / math.log(2), outputs.size], 1)
