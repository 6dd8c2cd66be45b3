"""Statistics of softmax weights against Jacobians by torch, and what scaling does to them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sightline.lab.saturation import by_depth, by_layer, by_width, softmax_statistics
from sightline.mixers.block_sparse import BlockSparseConfig
from sightline.mixers.softmax import SoftmaxConfig
from sightline.mixers.window import WindowConfig


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("slopes", [None, torch.tensor([0.5, 0.25], dtype=torch.float64)])
def test_statistics_equal_those_of_the_weights(slopes):
    q, k = normal(1, 2, 5, 4), normal(1, 2, 5, 4)
    found = softmax_statistics(q, k, 0.7, slopes=slopes, causal=True)
    at = torch.arange(5)
    logits = 0.7 * q @ k.transpose(-1, -2)
    if slopes is not None:
        logits = logits - slopes[:, None, None] * (at[:, None] - at)
    entropy, largest, gradient = [], [], []
    for head in range(2):
        for t in range(1, 5):  # the first query sees one key alone
            x = logits[0, head, t, : t + 1]
            p = x.softmax(0)
            entropy.append(-(p * p.log()).sum() / math.log(t + 1))
            largest.append(p.max())
            jacobian = torch.autograd.functional.jacobian(lambda x: x.softmax(0), x)
            gradient.append(jacobian.norm())
    for measured, expected in zip(found, (entropy, largest, gradient)):
        np.testing.assert_allclose(measured, torch.stack(expected).numpy(), rtol=1e-10, atol=1e-9)


def test_uniform_weights_have_full_entropy_and_a_certain_one_has_no_gradient():
    even = softmax_statistics(torch.zeros(1, 1, 1, 2), normal(1, 1, 9, 2), 1.0, causal=False)
    assert (even.entropy[0], even.largest[0]) == pytest.approx((1.0, 1 / 9))
    assert even.gradient[0] == pytest.approx(math.sqrt(8) / 9)  # of I/n - 1 1ᵀ/n²
    certain = torch.zeros(1, 1, 9, 2)
    certain[0, 0, 3] = 1e3
    one = softmax_statistics(torch.ones(1, 1, 1, 2), certain, 1.0, causal=False)
    assert (one.entropy[0], one.largest[0], one.gradient[0]) == pytest.approx((0, 1, 0), abs=1e-9)


def test_unscaled_logits_saturate_with_the_width_and_scaled_ones_do_not():
    scaled, unscaled = by_width(keys=200, widths=(8, 64, 512))
    assert (scaled.name, unscaled.name, scaled.along, scaled.keys) == ("scaled", "unscaled", "d_k", 200)
    assert max(scaled.entropy.centre) - min(scaled.entropy.centre) < 0.02
    assert min(scaled.entropy.centre) > 0.85
    assert unscaled.entropy.centre == sorted(unscaled.entropy.centre, reverse=True)
    assert unscaled.largest.centre[-1] > 0.95
    assert unscaled.gradient.centre[-1] < 0.1 * unscaled.gradient.centre[0]


def test_any_length_gives_statistics():
    """Of normal logits of variance 1, E largest weight ~ e^√(2 ln n) / (n √e), which vanishes with n."""
    short, long = (by_width(keys=n, widths=(16,))[0] for n in (100, 5000))
    assert long.largest.centre[0] < 0.1 * short.largest.centre[0]


def test_depth_is_read_layer_by_layer():
    scaled, unscaled = by_depth(keys=40, d_model=32, layers=3)
    assert scaled.entropy.at == unscaled.entropy.at == [1.0, 2.0, 3.0]
    assert all(s > u for s, u in zip(scaled.entropy.centre, unscaled.entropy.centre))


@pytest.mark.parametrize("sinks", [0, 1])
def test_a_window_is_read_as_it_sees(sinks):
    mixer = WindowConfig(heads=2, window=3, sinks=sinks).build(8)
    with torch.no_grad():
        mixer.heads.query.weight.zero_()
    found = by_layer("w", mixer, lambda: mixer(torch.randn(1, 20, 8)), 20)
    assert found.largest.centre[0] == pytest.approx(1 / (3 + sinks))
    assert found.entropy.centre[0] == pytest.approx(1.0)


def test_all_weight_on_a_sink_leaves_no_entropy():
    """The key of the first position alone is large: the layer's own weights, by its probe, are all on it."""
    mixer = WindowConfig(heads=2, window=3, sinks=1).build(8)
    x = torch.zeros(1, 20, 8)
    x[:, 0, 0] = 1.0
    with torch.no_grad():
        mixer.heads.query.weight.zero_()
        mixer.heads.query.bias.fill_(1.0)
        mixer.heads.key.weight.zero_()
        mixer.heads.key.weight[:, 0] = 1e3
    seen = []
    handle = mixer.weights.register_forward_hook(lambda _probe, _inputs, weights: seen.append(weights.detach()))
    mixer(x)
    handle.remove()
    assert float(seen[0][..., 0].min()) == pytest.approx(1.0)
    found = by_layer("w", mixer, lambda: mixer(x), 20)
    assert (found.entropy.centre[0], found.largest.centre[0]) == pytest.approx((0.0, 1.0), abs=1e-9)


def test_layers_that_cannot_be_read_are_left_out():
    for config in (BlockSparseConfig(heads=2), SoftmaxConfig(heads=2, softcap=2.0)):
        mixer = config.build(8)
        assert by_layer("b", mixer, lambda mixer=mixer: mixer(torch.randn(1, 20, 8)), 20) is None
