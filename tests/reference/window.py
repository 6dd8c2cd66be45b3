"""Sliding-window attention (Beltagy et al. 2020, § 3.1): softmax attention over the positions near the query."""

from __future__ import annotations

import numpy as np

from .rows import documents
from .softmax import added, attend, project


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    parameters = {name.removeprefix("heads.").removeprefix("positions."): value for name, value in parameters.items()}
    out = np.zeros(x.shape)
    for row, positions in documents(x, mask, starts):
        inputs = [added(config, parameters, x[row, t], place) for place, t in enumerate(positions)]
        projected = project(config, parameters, inputs)
        for place, t in enumerate(positions):
            out[row, t] = attend(config, parameters, projected, place, seen(config, place, len(positions)))
    return out


def seen(config, place, length):
    """The places in a document of `length` that the query at `place` sees."""
    result = []
    for other in range(length):
        if config.causal and other > place:
            continue
        if abs(other - place) <= config.window - 1 or other < config.sinks:
            result.append(other)
    return result
