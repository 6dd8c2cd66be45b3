"""Block-sparse attention: softmax attention over the blocks that BigBird, Longformer and Child et al. choose."""

from __future__ import annotations

import numpy as np

from .rows import documents, linear, softmax
from .softmax import added, rotated


def reference(config, parameters, x, mask=None, starts=None, memory=None):
    names = {name.removeprefix("heads.").removeprefix("positions."): value for name, value in parameters.items()}
    out = np.zeros(x.shape)
    for row, positions in documents(x, mask, starts):
        inputs = [added(config, names, x[row, t], place) for place, t in enumerate(positions)]
        blocks = [seen_blocks(config, i, -(-len(positions) // config.block)) for i in range(len(positions))]
        projected = project(config, names, inputs)
        of_globals = project(config, names, inputs, "global_") if config.global_projections == "separate" else projected
        for place, t in enumerate(positions):
            block = place // config.block
            seen = [s for s in range(len(positions)) if s // config.block in blocks[block]]
            seen = [s for s in seen if s <= place] if config.causal else seen
            own = config.global_projections == "separate" and block < config.globals
            out[row, t] = attend(config, names, of_globals if own else projected, place, seen)
    return out


def project(config, parameters, inputs, prefix=""):
    """Queries, keys and values of every place, a row for each head."""
    turn = rotated if config.positions == "rotary" else lambda vector, _: vector

    def heads(name):
        return [linear(parameters, f"{prefix}{name}", x).reshape(config.heads, -1) for x in inputs]

    queries, keys = (
        [[turn(head, place) for head in split] for place, split in enumerate(heads(name))] for name in ("query", "key")
    )
    return queries, keys, heads("value")


def attend(config, parameters, projected, place, seen):
    queries, keys, values = projected
    d_head = parameters["query.weight"].shape[0] // config.heads
    joined = []
    for head in range(config.heads):
        if not seen:
            joined.append(np.zeros(d_head))
            continue
        weights = softmax([queries[place][head] @ keys[other][head] / np.sqrt(d_head) for other in seen])
        joined.append(sum(weight * values[other][head] for weight, other in zip(weights, seen, strict=True)))
    return linear(parameters, "out", np.concatenate(joined))


def seen_blocks(config, i, number):
    """The blocks that block i of `number` sees."""
    candidates = range(i + 1) if config.causal else range(number)
    length, summary = config.local, config.globals
    if config.pattern == "strided":
        return {j for j in candidates if i - j < length or (i - j) % length == 0}
    if config.pattern == "fixed":
        return {j for j in candidates if i // length == j // length or j % length >= length - summary}
    if config.causal:
        near = {j for j in candidates if i - j < length}
    else:
        near = {j for j in candidates if abs(i - j) <= length // 2}
    seen = near | {j for j in candidates if j < config.globals or i < config.globals}
    if config.pattern == "bigbird":
        left = sorted((hashed(i, j, config.seed), j) for j in candidates if j not in seen)
        seen |= {j for _, j in left[: config.random]}
    return seen


def hashed(i, j, seed):
    """The number by which random blocks are drawn, in 32 bits (see the mechanism's documentation)."""
    x = (0x9E3779B1 * i + 0x85EBCA77 * j + 0xC2B2AE3D * seed) % 2**32
    x = (x ^ (x >> 15)) * 0x2C1B3C6D % 2**32
    x = (x ^ (x >> 12)) * 0x297A2D39 % 2**32
    return x ^ (x >> 15)


def initial(config, parameters):
    """Longformer, § 3.1: separate global projections start out as copies of the others."""
    if config.global_projections != "separate":
        return {}
    names = [f"{name}.{part}" for name in ("query", "key", "value") for part in ("weight", "bias")]
    return {f"global_{name}": parameters[f"heads.{name}"] for name in names}
