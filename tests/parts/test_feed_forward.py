"""Feed-forward variants against their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from sightline.parts.feed_forward import FeedForward


def formula(part, x):
    W, b = part.widen.weight, part.widen.bias
    wide = x @ W.T + b
    if part.activation == "relu":
        wide = wide.clamp(min=0)
    elif part.activation == "gelu":  # x Φ(x), exactly (Hendrycks & Gimpel 2016)
        wide = wide * 0.5 * (1 + torch.erf(wide / math.sqrt(2)))
    else:  # (swish(x W_g) ∘ x V) W_2 (Shazeer 2020, eq. 6)
        gate, value = wide[:, :5], wide[:, 5:]
        wide = gate / (1 + torch.exp(-gate)) * value
    return wide @ part.narrow.weight.T + part.narrow.bias


@pytest.mark.parametrize("activation", ["relu", "gelu", "swiglu"])
def test_feed_forward(activation):
    torch.manual_seed(0)
    part = FeedForward(4, 5, activation).double()
    for parameter in part.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(7, 4, dtype=torch.float64)
    torch.testing.assert_close(part(x), formula(part, x), rtol=1e-12, atol=1e-12)
