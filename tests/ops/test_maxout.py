"""Maxout takes the larger of each pair, and its gradient goes there."""

from __future__ import annotations

import torch

from sightline.ops.maxout import maxout


def test_maxima_and_gradients_of_pairs():
    x = torch.tensor([[[1.0, 2.0, 5.0, -3.0, 4.0, 4.0], [-1.0, -2.0, 0.0, 0.0, -7.0, 8.0]]], requires_grad=True)
    y = maxout(x)
    assert y.tolist() == [[[2.0, 5.0, 4.0], [-1.0, 0.0, 8.0]]]
    (gradient,) = torch.autograd.grad(y, x, torch.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]))
    assert gradient.tolist() == [[[0.0, 1.0, 2.0, 0.0, 3.0, 0.0], [4.0, 0.0, 5.0, 0.0, 0.0, 6.0]]]


def test_nan_is_passed_on():
    nan = float("nan")
    assert maxout(torch.tensor([nan, 1.0, 1.0, nan, 1.0, 2.0])).isnan().tolist() == [True, True, False]


def test_derivatives_of_any_order_and_strided_inputs():
    x = torch.randn(4, 3, 10, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: maxout(x.transpose(0, 1)), x)
    assert torch.autograd.gradgradcheck(lambda x: maxout(x.transpose(0, 1)) ** 2, x)


def test_several_gradients_and_transforms():
    x = torch.randn(3, 8, dtype=torch.float64)
    y = maxout(x.requires_grad_())
    each = torch.eye(y.numel(), dtype=torch.float64).view(-1, *y.shape)
    (rows,) = torch.autograd.grad(y, x, each, is_grads_batched=True)
    expected = torch.autograd.functional.jacobian(lambda x: x.unflatten(-1, (4, 2)).amax(-1), x).flatten(0, 1)
    assert torch.equal(rows, expected)
    assert torch.equal(torch.func.vmap(maxout)(x), y)
    assert torch.equal(torch.func.jacrev(maxout)(x).flatten(0, 1), expected)
