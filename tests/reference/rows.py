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
