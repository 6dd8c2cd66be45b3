"""The gated recurrent unit: Cho et al. 2014, eqs. 5-8 (reset before the product), and cuDNN's (reset after it)."""

from __future__ import annotations

import numpy as np

from .rows import documents, linear, sigmoid


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    W_r, W_z, W_n = np.split(parameters["weight_input"], 3)
    U_r, U_z, U_n = np.split(parameters["weight_hidden"], 3)
    b_r, b_z, b_n = np.split(parameters["bias"], 3)
    out = np.zeros((*x.shape[:2], len(b_n)))
    for row, positions in documents(x, mask, starts):
        h = np.zeros(len(b_n))
        if config.d_summary is not None:
            h = np.tanh(linear(parameters, "from_summary", memory.summary[row]))
        for t in positions:
            r = sigmoid(W_r @ x[row, t] + U_r @ h + b_r)
            z = sigmoid(W_z @ x[row, t] + U_z @ h + b_z)
            if config.reset == "before":
                n = np.tanh(W_n @ x[row, t] + b_n + U_n @ (r * h))
            else:
                n = np.tanh(W_n @ x[row, t] + b_n + r * (U_n @ h + parameters["bias_candidate"]))
            h = z * h + (1.0 - z) * n
            out[row, t] = h
    return out
