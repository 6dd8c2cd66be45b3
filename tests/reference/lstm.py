"""Long short-term memory: the cell of 1997, the forget gate of Gers et al. 2000, and heads with a state each."""

from __future__ import annotations

import numpy as np

from .rows import documents, linear, sigmoid


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    names = ("i", "f", "g", "o") if config.forget_gate else ("i", "g", "o")
    H = parameters["bias"].shape[0] // len(names)
    W, U, b = ({}, {}, {})
    for n, name in enumerate(names):
        block = slice(n * H, (n + 1) * H)
        W[name] = parameters["weight_input"][block]
        U[name] = parameters["weight_hidden"][block]
        b[name] = parameters["bias"][block]
    K = H // config.heads
    for name in names:  # (H, K) blocks into (H, H), zero between the heads
        dense = np.zeros((H, H))
        for unit in range(H):
            for other in range(K):
                dense[unit, unit // K * K + other] = U[name][unit, other]
        U[name] = dense
    out = np.zeros((*x.shape[:2], H))
    for row, positions in documents(x, mask, starts):
        h, c = np.zeros(H), np.zeros(H)
        if config.d_summary is not None:
            both = linear(parameters, "from_summary", memory.summary[row])
            h, c = np.tanh(both[:H]), both[H:]
        for t in positions:
            a = {name: W[name] @ x[row, t] + U[name] @ h + b[name] for name in names}
            forget = sigmoid(a["f"]) if config.forget_gate else 1.0
            c = forget * c + sigmoid(a["i"]) * np.tanh(a["g"])
            h = sigmoid(a["o"]) * np.tanh(c)
            out[row, t] = h
    return out


def initial(config, parameters):
    """The forget gate's bias starts at 1, once (Gers et al. 2000; Jozefowicz et al. 2015, § 2.2); the others at 0.

    "uniform": weights within ±1/√H, the bias within twice that; what is outside differs from what it is clipped to.
    """
    H = parameters["bias"].shape[0] // (4 if config.forget_gate else 3)
    if config.initial == "uniform":
        bounds = {"weight_input": H**-0.5, "weight_hidden": H**-0.5, "bias": 2 * H**-0.5}
        return {name: np.clip(parameters[name], -bound, bound) for name, bound in bounds.items()}
    bias = np.zeros(parameters["bias"].shape)
    if config.forget_gate:
        bias[H : 2 * H] = 1.0
    return {"bias": bias}
