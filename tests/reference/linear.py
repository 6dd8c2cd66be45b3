"""Linear attention (Katharopoulos et al. 2020) by its explicit weights, one query and one key at a time.

The random features are those of FAVOR+ (Choromanski et al. 2021, § 2.3), without a stabiliser.
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
        q, k, v = (
            [linear(parameters, name, x[row, t]).reshape(heads, d_head) for t in positions]
            for name in ("query", "key", "value")
        )
        q, k = ([[features(config, parameters, head) for head in vectors] for vectors in side] for side in (q, k))
        for place, t in enumerate(positions):
            seen = range(place + 1) if config.causal else range(len(positions))
            joined = []
            for head in range(heads):
                similar = [q[place][head] @ k[s][head] for s in seen]
                total = sum(similar[1:], similar[0])
                read = sum(w * v[s][head] for w, s in zip(similar, seen, strict=True))
                joined.append(read / total if total != 0 else np.zeros(d_head))
            out[row, t] = linear(parameters, "out", np.concatenate(joined))
    return out


def features(config, parameters, vector):
    """φ of a query or key: φ(q) · φ(k) is the kernel in place of exp(q · k / √d)."""
    if config.features == "elu":
        return elu_plus_1(vector)
    if config.features == "relu":
        return np.maximum(vector, 0.0)
    vector = vector / len(vector) ** 0.25
    return np.exp(parameters["features.random"] @ vector - vector @ vector / 2)


def elu_plus_1(x):
    """elu(x) + 1: x + 1 above 0, exp(x) below."""
    return np.where(x > 0, x + 1.0, np.exp(np.minimum(x, 0.0)))
