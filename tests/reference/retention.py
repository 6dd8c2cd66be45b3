"""Retention in its parallel form (Sun et al. 2023, eqs. 5 and 8): (Q Kᵀ ∘ D) V with D_nm = γ^(n-m)."""

from __future__ import annotations

import math

import numpy as np

from .rows import documents, linear, sigmoid
from .softmax import rotated


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    heads = config.heads
    d_head = parameters["key.weight"].shape[0] // heads
    d_value = parameters["value.weight"].shape[0] // heads
    out = np.zeros(x.shape)
    for row, positions in documents(x, mask, starts):
        for n, t in enumerate(positions):
            joined = []
            for head in range(heads):
                own, values = slice(head * d_head, (head + 1) * d_head), slice(head * d_value, (head + 1) * d_value)
                gamma = 1 - 2.0 ** (-5 - head)
                query = rotated(linear(parameters, "query", x[row, t])[own], n)
                read = np.zeros(d_value)
                for m in range(n + 1):
                    key = rotated(linear(parameters, "key", x[row, positions[m]])[own], m) / math.sqrt(d_head)
                    value = linear(parameters, "value", x[row, positions[m]])[values]
                    read = read + (query @ key) * gamma ** (n - m) * value
                joined.append(normalised(read))
            gate = linear(parameters, "gate", x[row, t])
            out[row, t] = linear(parameters, "out", gate * sigmoid(gate) * np.concatenate(joined))
    return out


def normalised(y, eps=1e-5):
    """Mean 0 and variance 1."""
    centred = y - y.mean()
    return centred / np.sqrt((centred**2).mean() + eps)
