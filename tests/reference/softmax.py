"""Multi-head self-attention (Vaswani et al. 2017, § 3.2), one query and one key at a time, with positions."""

from __future__ import annotations

import math

import numpy as np

from .rows import capped, documents, head_normed, linear, softmax


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    prefix = {name.removeprefix("heads.").removeprefix("positions."): value for name, value in parameters.items()}
    out = np.zeros(x.shape)
    for row, positions in documents(x, mask, starts):
        inputs = [added(config, prefix, x[row, t], place) for place, t in enumerate(positions)]
        projected = project(config, prefix, inputs)
        for place, t in enumerate(positions):
            seen = range(place + 1) if config.causal else range(len(positions))
            out[row, t] = attend(config, prefix, projected, place, seen)
    return out


def project(config, parameters, inputs):
    """(number, queries, keys, values) of every head, one vector for each place."""
    heads, key_heads = config.heads, config.key_heads or config.heads
    kept = head_numbers(config)
    used = sorted({head // (heads // key_heads) for head in kept})  # key heads
    d_head = config.d_head or (len(inputs[0]) // heads if inputs else 0)
    turn = rotated if config.positions == "rotary" else lambda vector, _: vector
    projected = []
    for row, head in enumerate(kept):
        shared = used.index(head // (heads // key_heads))
        own, theirs = slice(row * d_head, (row + 1) * d_head), slice(shared * d_head, (shared + 1) * d_head)
        queries = [head_normed(config, parameters, "query", linear(parameters, "query", x)[own]) for x in inputs]
        keys = [head_normed(config, parameters, "key", linear(parameters, "key", x)[theirs]) for x in inputs]
        queries, keys = ([turn(vector, place) for place, vector in enumerate(side)] for side in (queries, keys))
        projected.append((head, queries, keys, [linear(parameters, "value", x)[theirs] for x in inputs]))
    return projected


def attend(config, parameters, projected, place, seen):
    """The output of the query at `place` over the keys `seen`."""
    joined = [np.zeros(0)]
    for head, queries, keys, values in projected:
        scores = []
        for other in seen:
            score = capped(config, queries[place] @ keys[other] / np.sqrt(len(keys[other])))
            if config.positions == "alibi":
                score = score - slope(head, config.heads) * abs(place - other)
            scores.append(score)
        weights = softmax(scores)
        joined.append(sum(weight * values[other] for weight, other in zip(weights, seen, strict=True)))
    return linear(parameters, "out", np.concatenate(joined))


def head_numbers(config):
    """The heads that a layer has, by the numbers that they had before others were pruned."""
    kept = getattr(config, "kept", None)
    return range(config.heads) if kept is None else kept


def added(config, parameters, x, place):
    """The input with its position added, for the two schemes that add."""
    if config.positions == "learned":
        return x + parameters["added.table"][place]
    if config.positions != "sinusoidal":
        return x
    encoding = np.zeros(len(x))
    for dimension in range(len(x)):  # PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) = cos of the same (§ 3.5)
        i = dimension // 2
        angle = place / 10000 ** (2 * i / len(x))
        encoding[dimension] = math.sin(angle) if dimension % 2 == 0 else math.cos(angle)
    return x + encoding


def rotated(vector, place):
    """Each pair (i, i + K/2) turned by place · 10000^(-2i/K) (Su et al. 2021, eq. 13-15; an odd last number stays)."""
    d_head = len(vector)
    half = d_head // 2
    turned = vector.copy()
    for i in range(half):
        angle = place * 10000 ** (-i / half)
        c, s = math.cos(angle), math.sin(angle)
        turned[i] = c * vector[i] - s * vector[i + half]
        turned[i + half] = s * vector[i] + c * vector[i + half]
    return turned


def slope(head, heads):
    """ALiBi's slopes (Press et al. 2022, § 3): powers of 2^(-8/n); between powers of two as in the authors' code."""
    if heads & (heads - 1) == 0:
        return 2.0 ** (-8.0 * (head + 1) / heads)
    lower = 1 << (heads.bit_length() - 1)
    if head < lower:
        return slope(head, lower)
    return slope(2 * (head - lower), 2 * lower)
