"""Linear layers in the form that torch's compiler reads: weights stored narrow, products in float32."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.precision import Precision

FEW = 1  # rows for which a product is a sum that the compiler fuses with what is around it
BLOCK = 64  # torch's kernel for 8-bit weights reads as many inputs at a time


@final
class StoredLinear(nn.Module):
    """x Wᵀ + b, with W stored in bfloat16, or in 8 bits with a scale for each of its rows.

    A step of one row takes as long as reading W. It is therefore written as a sum over inputs, into which the compiler
    fuses the conversion of W: x stays in float32, so that 8-bit steps are nearer to float32 than `Int8Linear`, which
    rounds x too. For several rows torch's kernels take x in bfloat16.
    """

    scales: Tensor | None
    narrow_scales: Tensor | None
    bias: Tensor | None

    def __init__(self, linear: Any, precision: Precision) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        self.inputs = weight.shape[1]
        scales = None
        if precision == "int8":
            scales = weight.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / 127
            weight = F.pad(weight / scales.unsqueeze(1), (0, -self.inputs % BLOCK)).round()
        self.register_buffer("weight", weight.to(torch.bfloat16 if scales is None else torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("narrow_scales", None if scales is None else scales.bfloat16())
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())

    def forward(self, x: Tensor) -> Tensor:
        rows = x.shape[:-1].numel()
        if rows <= FEW:
            x = x.contiguous()
            x = x.as_strided(x.shape, x.stride())  # has x stored: else the compiler computes it again for each output
            y = (self.weight[:, : self.inputs].float() * x.unsqueeze(-2)).sum(-1)
            y = y if self.scales is None else y * self.scales
        elif self.narrow_scales is None:
            y = F.linear(x.bfloat16(), self.weight).float()
        else:
            wide = F.pad(x, (0, self.weight.shape[1] - self.inputs)).bfloat16().reshape(rows, -1)
            y = torch._weight_int8pack_mm(wide, self.weight, self.narrow_scales).float()
            y = y.view(*x.shape[:-1], -1)
        return y if self.bias is None else y + self.bias
