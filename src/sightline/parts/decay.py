"""Decay of a state that depends on the input: one number per head."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.core.shapes import Rates, Sequences


@final
class HeadDecay(nn.Module):
    """Log-decay -A Δ_t (B, H, T) and step Δ_t = softplus(w · x_t + b) (B, H, T) of each head (Dao & Gu 2024, § 7.1).

    A = exp(`log_rate`) > 0. As the authors' code has it, A is at first uniform in [1, 16], Δ, at x = 0, log-uniform in
    [0.001, 0.1] (Gu & Dao 2023, § 3.6, says uniform), and w as `nn.Linear` draws it. In float32 or wider.
    """

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.step = nn.Linear(d_model, heads)
        step = torch.exp(torch.empty(heads).uniform_(math.log(1e-3), math.log(1e-1)))
        with torch.no_grad():
            self.step.bias.copy_(step + torch.log(-torch.expm1(-step)))  # the inverse of softplus
        self.log_rate = nn.Parameter(torch.empty(heads).uniform_(1.0, 16.0).log())

    def forward(self, x: Sequences) -> tuple[Rates, Rates]:
        wide = torch.promote_types(x.dtype, torch.float32)
        step = _softplus(self.step(x).to(wide)).transpose(1, 2)
        return -self.log_rate.to(wide).exp().unsqueeze(1) * step, step


def _softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)). The gradient of F.softplus has other strides than the compiler plans with (torch 2.13)."""
    if torch.compiler.is_compiling() and not torch.compiler.is_exporting():
        return torch.logaddexp(x, x.new_zeros(()))
    return F.softplus(x)
