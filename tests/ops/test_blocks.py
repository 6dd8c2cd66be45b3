"""Attention whose mask is formed block by block is attention."""

from __future__ import annotations

import pytest
import torch

import sightline.ops.execute as ops_execute
from sightline.mixers.softmax import SoftmaxConfig


@pytest.mark.parametrize("block", [1, 3, 7])
@pytest.mark.parametrize("positions", ["none", "rotary", "alibi"])
@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
@pytest.mark.parametrize("flags", ["mask", "starts", "both", "neither"])
def test_the_size_of_a_block_changes_nothing(monkeypatch, block, positions, causal, flags):
    torch.manual_seed(0)
    mixer = SoftmaxConfig(heads=2, positions=positions, causal=causal).build(6).double()
    x = torch.randn(3, 11, 6, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(3, 11) > 0.3 if flags in ("mask", "both") else None
    starts = torch.rand(3, 11) > 0.7 if flags in ("starts", "both") else None

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        y = mixer(x, mask=mask, starts=starts)
        y = y[0] if causal else y
        return y.detach(), torch.autograd.grad(y.square().sum(), x)[0]

    whole = run()
    monkeypatch.setattr(ops_execute, "BLOCK", block)
    torch.testing.assert_close(run(), whole, rtol=1e-10, atol=1e-10)


def test_a_block_over_a_cache_is_at_its_end(monkeypatch):
    torch.manual_seed(0)
    mixer = SoftmaxConfig(heads=2, positions="alibi").build(6).double()
    x = torch.randn(2, 12, 6, dtype=torch.float64)
    whole, _ = mixer(x)
    monkeypatch.setattr(ops_execute, "BLOCK", 3)
    first, state = mixer(x[:, :4])
    rest, _ = mixer(x[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, rest], 1), whole, rtol=1e-10, atol=1e-10)
