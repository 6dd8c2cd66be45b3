"""Multi-head cross-attention (Vaswani et al. 2017, § 3.2), one query and one key at a time."""

from __future__ import annotations

import numpy as np

from .rows import capped, head_normed, linear, real_memory, softmax


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    heads, key_heads = config.heads, config.key_heads or config.heads
    parameters = {name.removeprefix("heads."): value for name, value in parameters.items()}
    d_head = parameters["query.weight"].shape[0] // heads
    out = np.zeros(x.shape)
    for row in range(x.shape[0]):
        source = real_memory(memory, row)
        for t in range(x.shape[1]):
            if mask is not None and not mask[row, t]:
                continue
            query = linear(parameters, "query", x[row, t])
            joined = []
            for head in range(heads):
                shared = head // (heads // key_heads)  # consecutive query heads share a key head
                own, theirs = slice(head * d_head, (head + 1) * d_head), slice(shared * d_head, (shared + 1) * d_head)
                asking = head_normed(config, parameters, "query", query[own])
                keys = [head_normed(config, parameters, "key", linear(parameters, "key", h)[theirs]) for h in source]
                values = [linear(parameters, "value", h)[theirs] for h in source]
                weights = softmax([capped(config, asking @ key / np.sqrt(d_head)) for key in keys])
                joined.append(sum(weight * value for weight, value in zip(weights, values, strict=True)))
            out[row, t] = linear(parameters, "out", np.concatenate(joined))
    return out
