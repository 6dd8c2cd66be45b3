"""Linear layers in the form that torch's compiler reads: products of few rows as sums in float32."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.precision import Precision

FEW = 8  # rows for which a product is a sum that the compiler fuses with what is around it
BLOCK = 64  # torch's kernel for 8-bit weights reads as many inputs at a time


@final
class StoredLinear(nn.Module):
    """x Wᵀ + b, with W stored in float32, in bfloat16, or in 8 bits with a scale for each of its rows.

    A step of few rows takes as long as reading W. It is therefore written as sums over inputs, one for each row of x:
    the compiler computes them in one loop, which reads and converts each weight once. x stays in float32, so that 8-bit
    steps are nearer to float32 than `Int8Linear`, which rounds x too. For more rows torch's kernels are called: for
    weights in bfloat16 they take x in bfloat16, for those in 8 bits x as `Int8Linear` rounds it, where the processor
    adds products of four such numbers in 32 bits (VNNI), and else x in bfloat16.

    The weight is not called `weight`, since caches begin with the dtype of that (`parts.plain_linear.sample_of`).
    """

    scales: Tensor | None
    narrow_scales: Tensor | None
    bias: Tensor | None

    def __init__(self, linear: Any, precision: Precision) -> None:
        super().__init__()
        self.inputs = linear.weight.shape[1]
        if precision == "float32":
            self.stored = linear.weight
        else:
            self._store(linear.weight.detach().float(), precision)
        if precision != "int8":
            self.scales = self.narrow_scales = None
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())

    def _store(self, weight: Tensor, precision: Precision) -> None:
        if precision == "int8":
            scales = weight.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / 127
            weight = F.pad(weight / scales.unsqueeze(1), (0, -self.inputs % BLOCK)).round()
            self.register_buffer("scales", scales)
            self.register_buffer("narrow_scales", scales.bfloat16())
        self.register_buffer("stored", weight.to(torch.int8 if precision == "int8" else torch.bfloat16))

    def forward(self, x: Tensor) -> Tensor:
        rows = math.prod(x.shape[:-1])  # `numel` would fix a size that is a symbol
        if isinstance(rows, int) and rows <= FEW:  # a number of rows that is a symbol stays one
            flat = x.reshape(rows, self.inputs).contiguous()
            flat = flat.as_strided(flat.shape, flat.stride())  # stored: else it is computed again for each output
            wide = self.stored[:, : self.inputs].float()
            y = torch.stack([(wide * row).sum(-1) for row in flat.unbind(0)])
            y = (y if self.scales is None else y * self.scales).view(*x.shape[:-1], -1)
        elif self.stored.dtype == torch.float32:
            y = F.linear(x, self.stored)
        elif self.scales is None or self.narrow_scales is None:
            y = F.linear(x.bfloat16(), self.stored).float()
        else:
            wide = F.pad(x, (0, self.stored.shape[1] - self.inputs)).reshape(rows, -1)
            y = self._in_8_bits(wide, self.scales, self.narrow_scales).view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias

    def _in_8_bits(self, x: Tensor, scales: Tensor, narrow_scales: Tensor) -> Tensor:
        """x Wᵀ (R, O) of x (R, I), by torch's kernels for weights of 8 bits."""
        if not torch.cpu._is_vnni_supported():
            return torch._weight_int8pack_mm(x.bfloat16(), self.stored, narrow_scales).float()
        largest = x.abs().amax(1, keepdim=True).clamp_min(1e-30)
        rounded = (x * (127.0 / largest)).round().to(torch.int8)
        return torch._int_mm(rounded, self.stored.t()) * (largest / 127.0) * scales
