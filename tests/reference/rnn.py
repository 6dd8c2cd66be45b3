"""Elman's simple recurrent network (1990): h_t = tanh(W x_t + U h_{t-1} + b)."""

from __future__ import annotations

import numpy as np

from .rows import documents, linear


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    W, U, b = parameters["weight_input"], parameters["weight_hidden"], parameters["bias"]
    out = np.zeros((*x.shape[:2], len(b)))
    for row, positions in documents(x, mask, starts):
        h = np.zeros(len(b))
        if config.d_summary is not None:
            h = np.tanh(linear(parameters, "from_summary", memory.summary[row]))
        for t in positions:
            h = np.tanh(W @ x[row, t] + U @ h + b)
            out[row, t] = h
    return out
