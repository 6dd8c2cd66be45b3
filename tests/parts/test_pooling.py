"""Pooling: formulas, masks, empty rows, and the weights that a reader may look at and change."""

from __future__ import annotations

import pytest
import torch

from sightline.parts.pooling import POOLINGS, AdditivePooling, ClassToken
from tests.unchecked import unchecked

WIDTH = 6


def pooling(name: str):
    torch.manual_seed(0)
    return POOLINGS[name](WIDTH).double()


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(4, 5, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 1, 0, 1, 0]]).bool()
    return x, mask


def test_formulas():
    x, mask = rows()
    for row in range(4):
        real = x[row, mask[row]]  # (t, D)
        torch.testing.assert_close(pooling("mean")(x, mask)[row], real.mean(0))
        torch.testing.assert_close(pooling("last")(x, mask)[row], real[-1])
        of = pooling("additive")
        w, b, v = of.project.weight, of.project.bias, of.score.weight[0]
        scores = torch.stack([v @ torch.tanh(w @ h + b) for h in real])
        expected = sum(torch.exp(s) * h for s, h in zip(scores, real, strict=True)) / torch.exp(scores).sum()
        torch.testing.assert_close(of(x, mask)[row], expected, rtol=1e-12, atol=1e-12)


def test_the_class_token_is_first_and_real():
    x, mask = rows()
    of = ClassToken(WIDTH).double()
    read, seen = of.prepare(x, mask)
    assert read.shape == (4, 6, WIDTH)
    assert seen is not None
    assert torch.equal(read[:, 0], of.token.expand(4, -1))
    assert torch.equal(read[:, 1:], x)
    assert seen[:, 0].all()
    assert torch.equal(seen[:, 1:], mask)
    assert torch.equal(of(read, seen), read[:, 0])


@pytest.mark.parametrize("name", POOLINGS)
def test_content_under_the_mask_reaches_neither_output_nor_gradient(name):
    x, mask = rows()
    poisoned = x.masked_fill(~mask.unsqueeze(2), float("nan")).requires_grad_()
    clean = x.clone().requires_grad_()
    results = []
    for given in (clean, poisoned):
        of = pooling(name)
        y = of(*of.prepare(given, mask))
        y.square().sum().backward()
        results.append([y.detach(), given.grad, *(p.grad for p in of.parameters())])
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(clean.grad[~mask], torch.zeros_like(clean.grad[~mask]))


@pytest.mark.parametrize("name", sorted(set(POOLINGS) - {"cls"}))
@pytest.mark.parametrize("length", [0, 1, 3])
def test_a_row_without_real_positions_gives_zeros_and_finite_gradients(name, length):
    of = pooling(name)
    x = torch.full((2, length, WIDTH), float("nan"), dtype=torch.float64, requires_grad=True)
    mask = torch.zeros(2, length, dtype=torch.bool)
    y = of(x, mask)
    assert torch.equal(y, torch.zeros(2, WIDTH, dtype=torch.float64))
    y.sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in of.parameters())
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", POOLINGS)
def test_no_mask_is_a_mask_of_all(name):
    x, _ = rows()
    of = pooling(name)
    torch.testing.assert_close(of(x), of(x, torch.ones(4, 5, dtype=torch.bool)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_mask_of_another_kind_is_refused(name):
    x, mask = rows()
    with unchecked(), pytest.raises(ValueError, match="mask must be bool"):
        pooling(name)(x, mask.long())


def test_weights_can_be_read_and_replaced():
    x, mask = rows()
    of = AdditivePooling(WIDTH).double()
    seen = []
    handle = of.weights.register_forward_hook(lambda _, inputs, output: seen.append(output))
    before = of(x, mask)
    (weights,) = seen
    torch.testing.assert_close(weights.sum(1), torch.ones(4, dtype=torch.float64))
    assert torch.equal(weights[~mask], torch.zeros_like(weights[~mask]))
    handle.remove()
    torch.testing.assert_close(of(x, mask), before)
    even = mask.double() / mask.sum(1, keepdim=True)
    of.weights.register_forward_hook(lambda *_: even)
    torch.testing.assert_close(of(x, mask), pooling("mean")(x, mask))
