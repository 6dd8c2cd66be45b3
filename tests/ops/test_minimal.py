"""minGRU's scan in one piece equals the composed one, with padding, documents and every size of a tile."""

from __future__ import annotations

import pytest
import torch

import sightline.ops.minimal as minimal
from sightline.ops.minimal import min_gru_composed, min_gru_scan

FLAGS = ("neither", "mask", "starts", "both")


def inputs(steps, flags, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    mask = torch.rand(3, steps, generator=generator) > 0.3 if flags in ("mask", "both") else None
    starts = torch.rand(3, steps, generator=generator) > 0.6 if flags in ("starts", "both") else None
    return (normal(3, steps, 8), normal(3, 4), normal(3, 4)), mask, starts


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("tile", [1, 30, 10**9])
@pytest.mark.parametrize("linear", [True, False], ids=["linear", "positive"])
@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("steps", [1, 2, 7, 50])
def test_one_piece_equals_the_composed_scan(monkeypatch, steps, flags, linear, tile):
    monkeypatch.setattr(minimal, "TILE", tile)
    given, mask, starts = inputs(steps, flags)
    h = min_gru_scan(*given, mask, starts, linear)
    expected = min_gru_composed(*given, mask, starts, linear)
    assert_equal(h, expected)
    weights = torch.randn(h.shape, dtype=torch.float64)
    used = given if starts is not None else given[:2]
    assert_equal(torch.autograd.grad(h, used, weights), torch.autograd.grad(expected, used, weights))


@pytest.mark.parametrize("flags", FLAGS)
def test_the_composed_scan_is_the_loop(flags):
    (u, initial, first), mask, starts = inputs(9, flags)
    h, outputs = initial, []
    for t in range(9):
        z, c = torch.sigmoid(u[:, t, :4]), u[:, t, 4:]
        c = torch.where(c >= 0, c + 0.5, torch.sigmoid(c))
        if starts is not None:
            h = torch.where(starts[:, t, None], first, h)
        following = (1 - z) * h + z * c
        h = following if mask is None else torch.where(mask[:, t, None], following, h)
        outputs.append(h)
    assert_equal(min_gru_composed(u, initial, first, mask, starts, False), torch.stack(outputs, 1))


@pytest.mark.parametrize("flags", FLAGS)
def test_second_derivatives(flags):
    given, mask, starts = inputs(4, flags)
    used = given if starts is not None else given[:2]
    assert torch.autograd.gradgradcheck(
        lambda *some: min_gru_scan(*some, *given[len(some) :], mask, starts), used, fast_mode=True
    )


def test_inputs_and_graph_are_left_as_they_were():
    given, mask, starts = inputs(20, "both")
    before = [part.detach().clone() for part in given]
    h = min_gru_scan(*given, mask, starts)
    once = torch.autograd.grad(h.sum(), given, retain_graph=True)
    assert_equal(torch.autograd.grad(h.sum(), given), once)
    assert all(torch.equal(part, copy) for part, copy in zip(given, before, strict=True))
