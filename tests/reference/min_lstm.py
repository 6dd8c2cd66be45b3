"""minLSTM (Feng et al. 2024): § 3.2 with a linear candidate, appendix B's sequential mode with a positive one."""

from __future__ import annotations

import numpy as np

from .min_gru import activated
from .rows import documents, linear, sigmoid


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    W_f, W_i, W_h = np.split(parameters["weight_input"], 3)
    b_f, b_i, b_h = np.split(parameters["bias"], 3)
    out = np.zeros((*x.shape[:2], len(b_f)))
    for row, positions in documents(x, mask, starts):
        h = activated(config, np.zeros(len(b_f)))
        if config.d_summary is not None:
            h = activated(config, linear(parameters, "from_summary", memory.summary[row]))
        for t in positions:
            f = sigmoid(W_f @ x[row, t] + b_f)
            i = sigmoid(W_i @ x[row, t] + b_i)
            if config.normalise:
                f, i = f / (f + i), i / (f + i)
            h = f * h + i * activated(config, W_h @ x[row, t] + b_h)
            out[row, t] = h
    return out


def initial(config, parameters):
    """The forget gate's bias starts at its given value, the others at 0."""
    H = parameters["bias"].shape[0] // 3
    bias = np.zeros(3 * H)
    bias[:H] = config.forget_bias
    return {"bias": bias}
