"""Exact floating-point operations of a training step, counted from the operations that ran.

An operation counts when it is a matrix product, a convolution, a fused attention or a fused recurrence, forward and
backward, at 2 per multiply-add; element-wise work counts nothing, as is the convention. Fused attention counts its
whole T x S rectangle, causal or not. torch's own counter misses the kernels that the CPU runs; they are added here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

aten = torch.ops.aten
Shape = Sequence[int]


def _attention(query: Shape, key: Shape, value: Shape) -> int:
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[2] * (width + value[3])


def _attention_forward(query: Shape, key: Shape, value: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Scores and output: 2·B·H·T·S·(K + V)."""
    return _attention(query, key, value)


def _attention_backward(
    grad: Shape, query: Shape, key: Shape, value: Shape, *_: Any, out_shape: Any = None, **__: Any
) -> int:
    """Scores again, and the gradients of values, weights, queries and keys: 2·B·H·T·S·(3K + 2V)."""
    batch, heads, queries, width = query
    return 2 * batch * heads * queries * key[2] * (3 * width + 2 * value[3])


def _fused_layer(x: Shape, weight_input: Shape, weight_hidden: Shape) -> int:
    """One direction of one recurrent layer: 2·T·B·(gates·H)·(D + H)."""
    return 2 * math.prod(x[:-1]) * weight_input[0] * (weight_input[1] + weight_hidden[1])


def _mkldnn_rnn(x: Shape, weight_input: Shape, weight_hidden: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return _fused_layer(x, weight_input, weight_hidden)


def _mkldnn_rnn_backward(
    x: Shape, weight_input: Shape, weight_hidden: Shape, *_: Any, out_shape: Any = None, **__: Any
) -> int:
    """Every product of the forward pass has two in the backward pass, for its input and for its weight."""
    return 2 * _fused_layer(x, weight_input, weight_hidden)


def _cudnn_layers(x: Shape, weights: Sequence[Shape], stride: int) -> int:
    """cuDNN runs all layers at once; `weights` has `stride` tensors per layer and direction, matrices first."""
    positions = math.prod(x[:-1])
    return sum(2 * positions * math.prod(w) for w in weights if len(w) == 2)


def _cudnn_rnn(x: Shape, weights: Sequence[Shape], stride: int, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return _cudnn_layers(x, weights, stride)


def _cudnn_rnn_backward(
    x: Shape, weights: Sequence[Shape], stride: int, *_: Any, out_shape: Any = None, **__: Any
) -> int:
    return 2 * _cudnn_layers(x, weights, stride)


def _addmv(bias: Shape, matrix: Shape, vector: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return 2 * math.prod(matrix)


def _mv(matrix: Shape, vector: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return 2 * math.prod(matrix)


def _dot(left: Shape, right: Shape, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return 2 * math.prod(left)


FORMULAS: dict[Any, Callable[..., int]] = {
    aten._scaled_dot_product_flash_attention_for_cpu: _attention_forward,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    aten.mkldnn_rnn_layer: _mkldnn_rnn,
    aten.mkldnn_rnn_layer_backward: _mkldnn_rnn_backward,
    aten._cudnn_rnn: _cudnn_rnn,
    aten._cudnn_rnn_backward: _cudnn_rnn_backward,
    aten.addmv: _addmv,
    aten.mv: _mv,
    aten.dot: _dot,
}


def count_flops(function: Callable[[], object]) -> int:
    """The operations that calling `function` once executes, backward passes that it starts included."""
    with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
        function()
    return int(counter.get_total_flops())


def shapes(batch: object) -> Hashable:
    """The shapes of the tensors in a batch (a tuple): what a step's operations depend on."""
    fields = batch if isinstance(batch, tuple) else (batch,)
    return tuple(tuple(field.shape) for field in fields if isinstance(field, Tensor))


class StepFlops:
    """The operations of training steps, counted while the first step of each shape runs and remembered after.

    Counting costs the interpreter a few microseconds per operation, once per shape; no step is run twice. A count is
    exact where the operations of a step follow from its shapes, as they do for all models here.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, int] = {}

    @contextmanager
    def counting(self, key: Hashable) -> Iterator[None]:
        """Counts what runs inside, unless `key` is known."""
        if key in self._known:
            yield
            return
        with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
            yield
        self._known[key] = int(counter.get_total_flops())

    def of(self, key: Hashable) -> int:
        """The operations of a step of the shapes `key`, counted before."""
        return self._known[key]
