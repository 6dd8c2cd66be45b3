"""Affine maps x Wᵀ + b of many rows on a CPU, by oneDNN's products with the bias inside, gradients too.

`F.linear` takes MKL's product in float32, which on an AMD processor needs nearly twice the time of oneDNN's where a row
of the result does not fill whole cache lines; in bfloat16 it writes the bias first and adds the product to it, a sixth
of the time. Several maps of one input, such as queries, keys and values, share its conversion to bfloat16, and the sum
of their gradients is formed by the products themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, final

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.modes import without_autocast
from sightline.core.shapes import AnyFloat, Elementwise, Float
from sightline.core.transforms import composed, several_gradients, transformed

FROM = 2**24  # multiplications of one map: 0.2 ms; for fewer the calls from Python cost more than the products gain

PACKED_FROM = 2**18  # numbers of a weight that is stored for several products

ProductRows = Float[Tensor, "_ _"]
MapWeight = Float[Tensor, "O D"]
MapBias = Float[Tensor, "O"]


@final
class AffineMap(NamedTuple):
    """W and b of x Wᵀ + b."""

    weight: MapWeight
    bias: MapBias | None = None


def affine_pays(x: AnyFloat, maps: Sequence[AffineMap]) -> bool:
    """Whether `affine_maps` is the fastest for x (…, D), as far as its shape and the processor say."""
    rows = math.prod(x.shape[:-1])
    if composed() or any(rows * weight.numel() < FROM for weight, _ in maps):
        return False
    tensors = (x, *(tensor for one in maps for tensor in one if tensor is not None))
    if not all(type(one) in (Tensor, torch.nn.Parameter) and one.device.type == "cpu" for one in tensors):
        return False
    if any(one.layout != torch.strided for one in tensors) or any(one.weight.shape[1] != x.shape[-1] for one in maps):
        return False  # sparse weights, and an error of `F.linear`
    kinds = {one.dtype for one in tensors}
    cast = torch.is_autocast_enabled("cpu") and kinds <= {torch.float32, torch.bfloat16}
    return (cast or len(kinds) == 1) and has_products(product_dtype(x))


def product_dtype(x: AnyFloat) -> torch.dtype:
    """The dtype of products with x: autocast's where it is on, which leaves float64 alone and knows no meta tensors."""
    kind = x.device.type
    cast = kind != "meta" and torch.is_autocast_enabled(kind) and x.dtype != torch.float64
    return torch.get_autocast_dtype(kind) if cast else x.dtype


def narrowed(x: Elementwise) -> Elementwise:
    """x in the dtype of products. In a loop, autocast would convert all but whole parameters at every step."""
    return x.to(product_dtype(x))


def affine_maps(x: AnyFloat, maps: Sequence[AffineMap]) -> tuple[AnyFloat, ...]:
    """x Wᵀ + b, (…, O), for each map and one x (…, D), in the dtype of `F.linear`; differentiable any number of times.

    On processors for which `affine_pays` can be true; the size does not matter.
    """
    dtype = product_dtype(x)
    flat = [None if tensor is None else tensor.to(dtype) for one in maps for tensor in one]
    flat[1::2] = [None if bias is None else bias.contiguous() for bias in flat[1::2]]  # whose strides oneDNN ignores
    rows = x.to(dtype).reshape(-1, x.shape[-1])
    return tuple(y.view(*x.shape[:-1], y.shape[1]) for y in _Maps.apply(rows, *flat))


def affine(x: AnyFloat, weight: MapWeight, bias: MapBias | None) -> AnyFloat:
    """x Wᵀ + b (…, O) of x (…, D) by the fastest product; in autocast's dtype where it is on, as `F.linear`."""
    maps = (AffineMap(weight, bias),)
    return affine_maps(x, maps)[0] if affine_pays(x, maps) else F.linear(x, weight, bias)


def has_products(dtype: torch.dtype) -> bool:
    """Whether oneDNN's products of this dtype are at hand on this processor, and fast."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    if dtype == torch.bfloat16:
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return dtype == torch.float32 and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


@final
class RepeatedProduct:
    """x Wᵀ for one weight W (O, D) and many x of about `rows` rows, without gradients.

    Where oneDNN has such products, W is stored once in the order in which they read it.
    """

    def __init__(self, weight: MapWeight, rows: int) -> None:
        self.weight = weight
        self.packed: Tensor | None = None
        if weight.device.type == "cpu" and weight.numel() >= PACKED_FROM and has_products(weight.dtype):
            self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)

    def __call__(self, x: ProductRows) -> ProductRows:
        return x @ self.weight.T if self.packed is None else _product(x, self.packed, None)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


@final
class _Maps(torch.autograd.Function):
    """The maps of rows (N, D); weights and biases in turns."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *maps: Any) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, *maps[::2])
        with without_autocast(x.device):
            return tuple(_product(x, weight, bias) for weight, bias in zip(maps[::2], maps[1::2], strict=True))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, *weights = ctx.saved_tensors
        with without_autocast(x.device):
            of_x = _of_input(grads, weights) if ctx.needs_input_grad[0] else None
            of_maps: list[Tensor | None] = []
            for number, grad in enumerate(grads):
                of_weight, of_bias = ctx.needs_input_grad[1 + 2 * number : 3 + 2 * number]
                of_maps.append(grad.T @ x if of_weight else None)
                of_maps.append((grad.new_ones(1, len(grad)) @ grad)[0] if of_bias else None)  # faster than a sum
        return of_x, *of_maps


def _of_input(grads: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """The gradient of x: the sum of the gradients times their weights."""
    # For a derivative of the derivative, or several gradients at once.
    if torch.is_grad_enabled() or transformed() or any(map(several_gradients, grads)):
        return torch.stack([grad @ weight for grad, weight in zip(grads, weights, strict=True)]).sum(0)
    of_x = _product(grads[0], weights[0].T, None)
    for grad, weight in zip(grads[1:], weights[1:], strict=True):
        torch.addmm(of_x, grad, weight, out=of_x)
    return of_x
