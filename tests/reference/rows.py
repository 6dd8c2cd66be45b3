"""Rows with padding and several documents, taken apart into documents without padding."""

from __future__ import annotations

import numpy as np


def documents(x, mask, starts):
    """(row, positions) of every document: its real positions, in order."""
    for row in range(x.shape[0]):
        current = []
        for t in range(x.shape[1]):
            if starts is not None and starts[row, t]:
                yield row, current
                current = []
            if mask is None or mask[row, t]:
                current.append(t)
        yield row, current


def real_memory(memory, row):
    """The real positions of a row's memory, as a list of vectors."""
    kept = range(memory.values.shape[1])
    return [memory.values[row, j] for j in kept if memory.mask is None or memory.mask[row, j]]


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def softmax(scores):
    """The softmax of a list of numbers."""
    largest = max(scores)
    exponentials = [np.exp(score - largest) for score in scores]
    total = sum(exponentials[1:], exponentials[0])
    return [e / total for e in exponentials]


def linear(parameters, name, x):
    """x Wᵀ + b of a linear layer, the bias where there is one."""
    y = parameters[f"{name}.weight"] @ x
    return y + parameters[f"{name}.bias"] if f"{name}.bias" in parameters else y


def head_normed(config, parameters, name, vector):
    """A query or key as `qk_norm` leaves it: LayerNorm (ε 1e-5) or RMSNorm (ε 1e-6) over its numbers, gain and bias."""
    if getattr(config, "qk_norm", "none") == "none":
        return vector
    gain = parameters[f"{name}_norm.weight"]
    if config.qk_norm == "rms":
        return gain * vector / np.sqrt(np.mean(vector * vector) + 1e-6)
    centred = vector - np.mean(vector)
    return gain * centred / np.sqrt(np.mean(centred * centred) + 1e-5) + parameters[f"{name}_norm.bias"]


def capped(config, logit):
    """c tanh(logit / c) where a soft-cap c is set."""
    softcap = getattr(config, "softcap", None)
    return logit if softcap is None else softcap * np.tanh(logit / softcap)
