"""The position-wise feed-forward network (Vaswani et al. 2017, § 3.3) and its gated variant."""

from __future__ import annotations

from typing import Literal, final

from torch import Tensor, nn
from torch.nn import functional as F

from sightline.parts.plain_linear import project

Activation = Literal["relu", "gelu", "swiglu"]


@final
class FeedForward(nn.Module):
    """W_2 act(W_1 x + b_1) + b_2 on (…, D), or for `swiglu` W_2 (silu(W_g x + b_g) ∘ (W_1 x + b_1)) + b_2.

    Deviation from Shazeer 2020 (arXiv:2002.05202), whose SwiGLU has no biases: they are there unless `bias=False`.
    """

    def __init__(self, d_model: int, d_hidden: int, activation: Activation = "relu", bias: bool = True) -> None:
        super().__init__()
        if activation not in ("relu", "gelu", "swiglu"):
            raise ValueError(f"activation must be relu, gelu or swiglu, got {activation!r}")
        self.activation = activation
        self.widen = nn.Linear(d_model, d_hidden * (2 if activation == "swiglu" else 1), bias)
        self.narrow = nn.Linear(d_hidden, d_model, bias)
        for linear in (self.widen, self.narrow):
            nn.init.xavier_uniform_(linear.weight)
            if bias:
                nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        (x,) = project(x, self.widen)
        if self.activation == "swiglu":
            gate, x = x.chunk(2, -1)
            x = F.silu(gate) * x
        else:
            x = F.relu(x) if self.activation == "relu" else F.gelu(x)
        return project(x, self.narrow)[0]
