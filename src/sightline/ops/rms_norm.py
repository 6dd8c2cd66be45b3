"""RMS norm of many rows on a CPU: fewer passes over memory than torch's single operations, and no intermediate kept."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.core.modes import without_autocast
from sightline.core.shapes import Float
from sightline.core.transforms import composed, several_gradients, transformed

FROM = 2**17  # numbers; for fewer the calls from Python cost as much as the passes
TILE = 2**18  # numbers that are worked on at a time, 1 MiB: caches hold them, and smaller ones only cost more calls
ROWS = 512  # rows at a time at most: the gradient of the gain is first summed over these, which keeps its error small

Normed = Float[Tensor, "*rows D"]
Gain = Float[Tensor, "D"]


def rms_norm(x: Normed, gain: Gain, eps: float) -> Normed:
    """x / √(mean(x²) + eps) · gain over the last axis (Zhang & Sennrich 2019, eq. 4); differentiable twice and more."""
    plain = type(x) is Tensor and x.device.type == "cpu" and x.dtype == gain.dtype == torch.float32
    if not plain or x.numel() < FROM or x.shape[-1:] != gain.shape or composed():
        return F.rms_norm(x, gain.shape, gain, eps)
    return _RMSNorm.apply(x.reshape(-1, x.shape[-1]), gain, eps).view(x.shape)


@final
class _RMSNorm(torch.autograd.Function):
    """The norm of rows (N, D)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor, eps: float) -> Tensor:
        y, rates = torch.empty_like(x), x.new_empty(len(x), 1)  # rates: 1 / √(mean(x²) + eps)
        for rows, rate, out in zip(*_tiles(x, rates, y), strict=True):
            torch.linalg.vector_norm(rows, dim=1, keepdim=True, out=rate)
            rate.square_().div_(x.shape[1]).add_(eps).rsqrt_()
            torch.mul(rows, rate, out=out).mul_(gain)
        ctx.save_for_backward(x, gain, rates)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, gain, rates = ctx.saved_tensors
        grad = grads[0]
        if torch.is_grad_enabled() or transformed() or several_gradients(grad):
            return *_plain_gradients(x, gain, ctx.eps, grad), None
        with without_autocast(x.device):
            return *_gradients(x, gain, rates, grad), None


def _gradients(x: Tensor, gain: Tensor, rates: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """With r the rate of a row: ∂x = r (gain ∘ ∂y - x r² Σ(gain ∘ ∂y ∘ x) / D) and ∂gain = Σ over rows of r ∂y ∘ x."""
    of_x, of_gain = torch.empty_like(x), []
    column, size = gain.unsqueeze(1), x.shape[1]
    for rows, rate, to, out in zip(*_tiles(x, rates, grad, of_x), strict=True):
        products = torch.mul(to, rows, out=out)
        of_gain.append(torch.mv(products.T, rate.squeeze(1)))
        shift = torch.mm(products, column).mul_(rate.square()).div_(-size)  # (rows, 1)
        torch.mul(to, gain, out=out).addcmul_(rows, shift).mul_(rate)
    return of_x, torch.stack(of_gain).sum(0)


def _plain_gradients(x: Tensor, gain: Tensor, eps: float, grad: Tensor) -> tuple[Tensor, Tensor]:
    """The same by operations that can be differentiated and batched."""
    rates = (x.square().mean(1, keepdim=True) + eps).rsqrt()
    to = grad * gain
    of_x = rates * (to - x * rates.square() * (to * x).mean(1, keepdim=True))
    return of_x, (grad * x * rates).sum(0)


def _tiles(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """The same rows of each tensor (N, ·) at a time."""
    size = max(1, min(ROWS, TILE // tensors[0].shape[1]))
    return [tensor.split(size) for tensor in tensors]
