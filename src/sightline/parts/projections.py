"""The projections of softmax attention, for a mechanism that begins with those of a trained layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


class Projections(NamedTuple):
    """Weights of queries, keys, values and of the way back, for H heads; biases are None if there are none.

    Keys and values that heads share (Ainslie et al. 2023) are repeated for each head.
    """

    query: Tensor  # (H·K, D)
    key: Tensor  # (H·K, D)
    value: Tensor  # (H·K, D)
    out: Tensor  # (D, H·K)
    query_bias: Tensor | None = None  # (H·K,)
    key_bias: Tensor | None = None  # (H·K,)
    value_bias: Tensor | None = None  # (H·K,)
    out_bias: Tensor | None = None  # (D,)

    def of_heads(self, numbers: Sequence[int], size: int) -> Projections:
        """Those of the heads with these numbers, 0 to H - 1, each of this size K; without the bias of the output."""
        rows = [row for number in numbers for row in range(number * size, (number + 1) * size)]
        query, key, value = (weight[rows] for weight in self[:3])
        biases = (None if bias is None else bias[rows] for bias in (self.query_bias, self.key_bias, self.value_bias))
        return Projections(query, key, value, self.out[:, rows], *biases)


@runtime_checkable
class StartsFrom(Protocol):
    """A module that can begin with the projections of trained softmax attention."""

    def start_from(self, trained: Projections) -> list[str]:
        """Copy what has the same shape; the names of the projections that were copied."""
        ...


def fill_projections(
    trained: Projections, query: nn.Linear, key: nn.Linear, value: nn.Linear, out: nn.Linear
) -> list[str]:
    """Copy every projection of the same shape; the names of those. A bias without a counterpart becomes 0."""
    linears = {"query": query, "key": key, "value": value, "out": out}
    biases = (trained.query_bias, trained.key_bias, trained.value_bias, trained.out_bias)
    copied = []
    for (name, linear), weight, bias in zip(linears.items(), trained[:4], biases, strict=True):
        if linear.weight.shape != weight.shape:
            continue
        copied.append(name)
        with torch.no_grad():
            linear.weight.copy_(weight)
            if linear.bias is not None:
                linear.bias.copy_(torch.zeros_like(linear.bias) if bias is None else bias)
    return copied
