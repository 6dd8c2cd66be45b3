"""Logits that are computed when somebody reads them, so that a loss may take the output projection instead."""

from __future__ import annotations

from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from sightline.parts.plain_linear import is_plain


class Projection(NamedTuple):
    """x (…, D) and the layer that projects it."""

    x: Tensor
    linear: nn.Linear


@final
class LazyLogits(Tensor):
    """linear(x), a tensor (…, V) like any other: the first operation on it, a look at its shape too, computes it.

    `projection_of` has x and the layer.
    """

    _projection: Projection
    _computed: Tensor | None

    @classmethod
    def of(cls, x: Tensor, linear: nn.Linear) -> LazyLogits:
        lazy = torch.empty(0).as_subclass(cls)
        lazy._projection, lazy._computed = Projection(x, linear), None
        return lazy

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            args, kwargs = _computed(args), _computed(kwargs or {})
        return func(*args, **kwargs)


def projection_of(logits: Tensor) -> Projection | None:
    """The factors that a loss may multiply by itself; None where logits are computed, or the layer is not plain."""
    if not isinstance(logits, LazyLogits) or logits._computed is not None:
        return None
    return logits._projection if is_plain(logits._projection.linear) else None


def _computed(value: Any) -> Any:
    """The value, with logits computed wherever they are in it."""
    if isinstance(value, LazyLogits):
        if value._computed is None:
            x, linear = value._projection
            value._computed = linear(x)
        return value._computed
    if isinstance(value, dict):
        return {name: _computed(inner) for name, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_computed(inner) for inner in value)
    return value
