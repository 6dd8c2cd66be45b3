"""Maxout over pairs of neighbours (Goodfellow et al. 2013, arXiv:1302.4389), of the decoders of 2014 and 2015."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from sightline.core.shapes import Float
from sightline.core.transforms import composed

PairedFeatures = Float[Tensor, "*batch pairs"]
Maxima = Float[Tensor, "*batch D"]


def maxout(x: PairedFeatures) -> Maxima:
    """max(x_2i, x_2i+1), (…, D), for x (…, 2D); of equal numbers the first one gets the gradient.

    A reduction over an axis of two, and its derivative, run a loop of length two for every result: a third of the
    speed of these passes over all pairs. Differentiable twice and more.
    """
    if composed():
        return x.unflatten(-1, (x.shape[-1] // 2, 2)).amax(-1)
    if torch.is_grad_enabled() and x.requires_grad:
        return _Maxout.apply(x)
    return torch.maximum(x[..., ::2], x[..., 1::2])


@final
class _Maxout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        first, second = x[..., ::2], x[..., 1::2]
        ctx.save_for_backward(first >= second)
        return torch.maximum(first, second)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (grad,), (chosen,) = grads, ctx.saved_tensors
        of_first = grad * chosen
        return torch.stack((of_first, grad - of_first), -1).reshape(*grad.shape[:-1], 2 * grad.shape[-1])
