"""Exact floating-point operations of a training step, counted from the operations that ran.

An operation counts when it is a matrix product, a convolution, a fused attention or a fused recurrence, forward and
backward, at 2 per multiply-add; element-wise work counts nothing, as is the convention. Fused attention counts its
whole T x S rectangle, causal or not. The formulas come from `torch.utils.flop_counter`; those below are for kernels
that it lacks, most of them on the CPU. Its own counter, `FlopCounterMode`, also tracks modules, which makes a step of a
small recurrent model five times slower; the counter here does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten


def _attention_forward(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Scores and output: 2·B·H·T·S·(K + V), H the queries' heads."""
    batch, heads, queries, width = query.shape
    return 2 * batch * heads * queries * key.shape[2] * (width + value.shape[3])


def _attention_backward(grad: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Scores again, and the gradients of values, weights, queries and keys: 2·B·H·T·S·(3K + 2V)."""
    batch, heads, queries, width = query.shape
    return 2 * batch * heads * queries * key.shape[2] * (3 * width + 2 * value.shape[3])


def _products(x: Tensor, weights: Sequence[Tensor]) -> int:
    """Every position of x (T, B, ·) times every weight matrix."""
    return 2 * math.prod(x.shape[:-1]) * sum(weight.numel() for weight in weights if weight.dim() == 2)


# A product of a recurrence has two in the backward pass, for its input and for its weight. oneDNN's kernel is one
# direction of one layer, cuDNN's are all at once.
FORMULAS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention_forward,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    aten.mkldnn_rnn_layer: lambda x, of_input, of_hidden, *_, **__: _products(x, (of_input, of_hidden)),
    aten.mkldnn_rnn_layer_backward: lambda x, of_input, of_hidden, *_, **__: 2 * _products(x, (of_input, of_hidden)),
    aten._cudnn_rnn: lambda x, weights, *_, **__: _products(x, weights),
    aten._cudnn_rnn_backward: lambda x, weights, *_, **__: 2 * _products(x, weights),
    aten.baddbmm_: flop_registry[aten.baddbmm],
    aten.addmv: lambda bias, matrix, *_, **__: 2 * matrix.numel(),
    aten.mv: lambda matrix, *_, **__: 2 * matrix.numel(),
    aten.dot: lambda vector, *_, **__: 2 * vector.numel(),
}
if hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # `ops.affine`
    FORMULAS[torch.ops.mkldnn._linear_pointwise] = lambda x, weight, *_, **__: _products(x, (weight,))


@final
class _Counter(TorchDispatchMode):
    """Count every operation that runs inside it, in backward passes too."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        formula = FORMULAS.get(getattr(func, "_overloadpacket", func))
        if formula is not None:
            self.total += int(formula(*args, **kwargs, out_val=out))
        return out


def count_flops(function: Callable[[], object]) -> int:
    """The operations that calling `function` once executes, backward passes that it starts included."""
    with _Counter() as counter:
        function()
    return counter.total


def shapes(batch: object) -> Hashable:
    """The shapes of the tensors in a batch, possibly nested tuples: the operations of a step depend on them."""
    fields = batch if isinstance(batch, tuple) else (batch,)
    return tuple(
        tuple(field.shape) if isinstance(field, Tensor) else shapes(field)
        for field in fields
        if isinstance(field, (Tensor, tuple))
    )


@final
class StepFlops:
    """The operations of training steps, counted while the first step of each shape runs and remembered after.

    Counting costs about 15 microseconds per operation, once per shape; no step runs twice for it. A count is exact if
    the operations of a step follow from its shapes. Recurrences on the CPU and the loss of large logits skip padding:
    the count is then that of the first step, and steps of the same shapes with more or less padding differ from it. A
    resumed training therefore needs what was `known` before: the count of each key, as text.
    """

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    @contextmanager
    def counting(self, key: Hashable) -> Iterator[None]:
        """Count the operations inside, unless `key` is known."""
        if str(key) in self.known:
            yield
            return
        with _Counter() as counter:
            yield
        self.known[str(key)] = counter.total

    def of(self, key: Hashable) -> int:
        """The operations of a step of the shapes `key`, counted before."""
        return self.known[str(key)]
