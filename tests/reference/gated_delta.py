"""The delta rule (Yang et al. 2025, eq. 10): S_t = S_{t-1} α_t (I - β_t k_t k_tᵀ) + β_t v_t k_tᵀ, o_t = S_t q_t.

S (V, K) as in the paper: the transpose of what the mechanism keeps.
"""

from __future__ import annotations

import numpy as np

from .gated_linear import convolved, rms, silu, softplus
from .rows import documents, linear, sigmoid


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    out = np.zeros(x.shape)
    for row, positions in documents(x, mask, starts):
        inputs = [x[row, t] for t in positions]
        for t, y in zip(positions, delta_rule(config, parameters, inputs), strict=True):
            out[row, t] = y
    return out


def delta_rule(config, parameters, inputs):
    heads = config.heads
    values = parameters["out.weight"].shape[1]
    keys = (parameters["read.weight"].shape[0] - values) // 2
    states = [np.zeros((values // heads, keys // heads))] * heads
    read = [parameters["read.weight"] @ x for x in inputs]
    for t, x in enumerate(inputs):
        mixed = silu(convolved(config.convolution, parameters, "convolution", read, t))
        q, k, v = (np.split(part, heads) for part in (mixed[:keys], mixed[keys : 2 * keys], mixed[2 * keys :]))
        beta = sigmoid(parameters["rate.weight"] @ x)
        alpha = np.ones(heads)
        if config.decay:
            alpha = np.exp(-np.exp(parameters["decay.log_rate"]) * softplus(linear(parameters, "decay.step", x)))
        outputs = []
        for h in range(heads):
            key, identity = of_length_1(k[h]), np.eye(keys // heads)
            forgotten = states[h] @ (alpha[h] * (identity - beta[h] * np.outer(key, key)))
            states[h] = forgotten + beta[h] * np.outer(v[h], key)
            outputs.append(rms(states[h] @ of_length_1(q[h]), 1e-5) * parameters["norm.weight"])
        y = np.concatenate(outputs)
        if config.gate:
            y = y * silu(parameters["gate.weight"] @ x)
        yield parameters["out.weight"] @ y


def of_length_1(x):
    return x / np.sqrt((x**2).sum() + 1e-6)
