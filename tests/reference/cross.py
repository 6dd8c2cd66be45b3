"""Multi-head cross-attention (Vaswani et al. 2017, § 3.2), one query and one key at a time."""

from __future__ import annotations

import numpy as np

from .rows import capped, head_normed, linear, real_memory, softmax


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    heads, key_heads = config.heads, config.key_heads or config.heads
    parameters = {name.removeprefix("heads."): value for name, value in parameters.items()}
    kept = range(heads) if config.kept is None else config.kept
    used = sorted({head // (heads // key_heads) for head in kept})
    d_head = config.d_head or x.shape[2] // heads
    out = np.zeros(x.shape)
    for row in range(x.shape[0]):
        source = real_memory(memory, row)
        for t in range(x.shape[1]):
            if mask is not None and not mask[row, t]:
                continue
            query = linear(parameters, "query", x[row, t])
            joined = []
            for number, head in enumerate(kept):
                shared = used.index(head // (heads // key_heads))  # consecutive query heads share a key head
                own, theirs = (slice(i * d_head, (i + 1) * d_head) for i in (number, shared))
                asking = head_normed(config, parameters, "query", query[own])
                keys = [head_normed(config, parameters, "key", linear(parameters, "key", h)[theirs]) for h in source]
                values = [linear(parameters, "value", h)[theirs] for h in source]
                weights = softmax([capped(config, asking @ key / np.sqrt(d_head)) for key in keys])
                joined.append(sum(weight * value for weight, value in zip(weights, values, strict=True)))
            out[row, t] = linear(parameters, "out", np.concatenate(joined))
    return out
