"""Linear attention (Katharopoulos et al. 2020) by its explicit weights, one query and one key at a time.

The random features are those of FAVOR+ (Choromanski et al. 2021, § 2.3), without a stabiliser and in logarithms: only
the quotient of sums of exponentials is formed.
"""

from __future__ import annotations

import numpy as np

from .rows import documents, linear


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    heads = config.heads
    parameters = {name.removeprefix("heads."): value for name, value in parameters.items()}
    d_head = parameters["query.weight"].shape[0] // heads
    out = np.zeros(x.shape)
    for row, positions in documents(x, mask, starts):
        q, k, v = ([linear(parameters, name, x[row, t]) for t in positions] for name in ("query", "key", "value"))
        for place, t in enumerate(positions):
            seen = range(place + 1) if config.causal else range(len(positions))
            joined = []
            for head in range(heads):
                own = slice(head * d_head, (head + 1) * d_head)
                similar = [similarity(config, parameters, q[place][own], k[s][own]) for s in seen]
                total = sum(similar[1:], similar[0])
                read = sum(w * v[s][own] for w, s in zip(similar, seen, strict=True))
                joined.append(read / total if total != 0 else np.zeros(d_head))
            out[row, t] = linear(parameters, "out", np.concatenate(joined))
    return out


def similarity(config, parameters, query, key):
    """φ(q) · φ(k), the kernel in place of exp(q · k / √d)."""
    if config.features == "elu":
        return elu_plus_1(query) @ elu_plus_1(key)
    if config.features == "relu":
        return np.maximum(query, 0.0) @ np.maximum(key, 0.0)
    fourth_root = len(query) ** 0.25
    query, key = query / fourth_root, key / fourth_root
    total = 0.0
    for w in parameters["features.random"]:
        total = total + np.exp(w @ query - query @ query / 2) * np.exp(w @ key - key @ key / 2)
    return total


def elu_plus_1(x):
    """elu(x) + 1: x + 1 above 0, exp(x) below."""
    return np.where(x > 0, x + 1.0, np.exp(np.minimum(x, 0.0)))
