"""Instance normalisation: the statistics removed from a window are restored in its forecast."""

from __future__ import annotations

import pytest
import torch

from sightline.parts.instance_norm import InstanceNorm


@pytest.mark.parametrize("kind", ["revin", "standard", "last", "none"])
def test_undoing_gives_the_values_back(kind: str) -> None:
    torch.manual_seed(0)
    norm = InstanceNorm(3, kind).double()
    if norm.scale is not None:
        torch.nn.init.uniform_(norm.scale, 0.5, 2.0)
        torch.nn.init.normal_(norm.shift)
    x = 5 + 3 * torch.randn(4, 20, 3, dtype=torch.float64)
    y, statistics = norm(x)
    back = norm.undo(y.unsqueeze(3).expand(-1, -1, -1, 2), statistics)
    torch.testing.assert_close(back, x.unsqueeze(3).expand(-1, -1, -1, 2), rtol=1e-8, atol=1e-8)


def test_windows_have_mean_zero_and_variance_one() -> None:
    x = torch.randn(4, 50, 3) * torch.tensor([1.0, 10.0, 0.1]) + torch.tensor([0.0, 100.0, -5.0])
    y, _ = InstanceNorm(3, "revin")(x)  # begins as the one without weights
    torch.testing.assert_close(y.mean(1), torch.zeros(4, 3), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.var(1, correction=0), torch.ones(4, 3), atol=2e-3, rtol=0)


def test_the_last_value_becomes_zero() -> None:
    x = torch.randn(2, 9, 1)
    y, _ = InstanceNorm(1, "last")(x)
    torch.testing.assert_close(y, x - x[:, -1:])


def test_a_constant_window_stays_finite() -> None:
    x = torch.full((1, 8, 1), 7.0, requires_grad=True)
    y, statistics = InstanceNorm(1, "revin")(x)
    back = InstanceNorm(1, "revin").undo(y.unsqueeze(3), statistics)
    back.sum().backward()
    torch.testing.assert_close(back[..., 0], x)
    assert x.grad is not None
    assert x.grad.isfinite().all()
