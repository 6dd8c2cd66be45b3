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
        queries, keys, values = [], [], []  # of each place, a row for each head
        for n, t in enumerate(positions):
            split = linear(parameters, "query", x[row, t]).reshape(heads, d_head)
            queries.append([rotated(query, n) for query in split])
            split = linear(parameters, "key", x[row, t]).reshape(heads, d_head)
            keys.append([rotated(key, n) / math.sqrt(d_head) for key in split])
            values.append(linear(parameters, "value", x[row, t]).reshape(heads, d_value))
        for n, t in enumerate(positions):
            joined = []
            for head in range(heads):
                gamma = 1 - 2.0 ** (-5 - head)
                read = np.zeros(d_value)
                for m in range(n + 1):
                    read = read + (queries[n][head] @ keys[m][head]) * gamma ** (n - m) * values[m][head]
                joined.append(normalised(read))
            gate = linear(parameters, "gate", x[row, t])
            out[row, t] = linear(parameters, "out", gate * sigmoid(gate) * np.concatenate(joined))
    return out


def normalised(y, eps=1e-5):
    """Mean 0 and variance 1."""
    centred = y - y.mean()
    return centred / np.sqrt((centred**2).mean() + eps)
