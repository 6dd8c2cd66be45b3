"""Clipping: torch's to the bit, without a pass over gradients that are small enough."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sightline.training.step import clip


def parameters(norm: float) -> list[nn.Parameter]:
    """Two parameters whose gradients have this global norm, to rounding."""
    both = [nn.Parameter(torch.zeros(5)), nn.Parameter(torch.zeros(2, 3))]
    for number, parameter in enumerate(both):
        parameter.grad = torch.linspace(0.1, 0.9 + number, parameter.numel()).reshape(parameter.shape)
    size = norm / float(nn.utils.get_total_norm([p.grad for p in both]))
    for parameter in both:
        parameter.grad *= size
    return both


@pytest.mark.parametrize("limit", [1.0, 3.7, 1e-5, 1e-7], ids=str)
@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 1 - 1e-6, 1.0, 1 + 1e-6, 1.5, 100.0, math.inf], ids=str)
def test_equals_torchs_to_the_bit(limit: float, share: float) -> None:
    mine, torchs = parameters(share * limit), parameters(share * limit)
    norm = nn.utils.get_total_norm([p.grad for p in mine])
    clip(mine, limit, norm, float(norm))
    nn.utils.clip_grad_norm_(torchs, limit)
    for one, other in zip(mine, torchs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=0.0, atol=0.0, equal_nan=True)


@pytest.mark.parametrize("limit", [1.0, None], ids=str)
def test_gradients_below_the_limit_are_not_written(limit: float | None) -> None:
    both = parameters(0.9)
    before = [p.grad._version for p in both]
    norm = nn.utils.get_total_norm([p.grad for p in both])
    clip(both, limit, norm, float(norm))
    assert [p.grad._version for p in both] == before
