"""Linear layers as their weights, where nothing stands between a layer and its product."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sightline.core.hooks import hooked
from sightline.core.shapes import AnyFloat
from sightline.core.transforms import composed
from sightline.ops.affine import AffineMap, affine_maps, affine_pays


def is_plain(linear: Any) -> bool:
    """Whether calling the layer is x Wᵀ + b and nothing else.

    A layer of another type, or with hooks, such as one that is watched, adapted or quantised, is left to itself.
    """
    return type(linear) is nn.Linear and not hooked(linear)


def sample_of(layer: nn.Module) -> Tensor:
    """A tensor with the dtype and on the device of a layer, which may be adapted or quantised."""
    weight: Any = getattr(layer, "weight", None)
    if isinstance(weight, Tensor):
        return weight
    return next(layer.parameters(), torch.empty(0))  # quantised layers have no parameters, and float32 outputs


def project(x: AnyFloat, *linears: nn.Module) -> tuple[AnyFloat, ...]:
    """The outputs (…, O) of each of these layers for the same x (…, D), by the fastest product."""
    if not composed() and all(map(is_plain, linears)):
        maps = [AffineMap(linear.weight, linear.bias) for linear in linears]  # type: ignore[arg-type]
        if affine_pays(x, maps):
            return affine_maps(x, maps)
    return tuple(linear(x) for linear in linears)
