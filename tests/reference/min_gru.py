"""minGRU (Feng et al. 2024): § 3.1 with a linear candidate, appendix B's sequential mode with a positive one."""

from __future__ import annotations

import numpy as np

from .rows import documents, linear, sigmoid


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    W_z, W_h = np.split(parameters["weight_input"], 2)
    b_z, b_h = np.split(parameters["bias"], 2)
    out = np.zeros((*x.shape[:2], len(b_z)))
    for row, positions in documents(x, mask, starts):
        h = activated(config, np.zeros(len(b_z)))
        if config.d_summary is not None:
            h = activated(config, linear(parameters, "from_summary", memory.summary[row]))
        for t in positions:
            z = sigmoid(W_z @ x[row, t] + b_z)
            h = (1.0 - z) * h + z * activated(config, W_h @ x[row, t] + b_h)
            out[row, t] = h
    return out


def activated(config, a):
    """The candidate: as it is, or positive by g, number by number."""
    if config.candidate == "linear":
        return a
    g = a.copy()
    for j in range(len(a)):
        g[j] = a[j] + 0.5 if a[j] >= 0 else sigmoid(a[j])
    return g
