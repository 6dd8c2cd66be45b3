"""Feature maps against what their papers prove or plot."""

from __future__ import annotations

import math

import pytest
import torch

from sightline.mixers.linear import LinearConfig
from sightline.mixers.softmax import SoftmaxConfig
from sightline.parts.feature_maps import FeatureMap, orthogonal_gaussians


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_elu_is_elu_plus_one_and_exact_where_that_cancels():
    features = FeatureMap("elu", 4)
    x = normal(2, 1, 5, 4)
    torch.testing.assert_close(features.keys(x), torch.nn.functional.elu(x) + 1)
    assert features.queries(torch.full((1, 1, 1, 4), -40.0)).mean() == pytest.approx(math.exp(-40), rel=1e-5)


def test_random_features_are_orthogonal_in_blocks_and_as_long_as_gaussians():
    torch.manual_seed(0)
    rows = orthogonal_gaussians(500, 16).double()
    for block in rows.split(16):
        directions = block / block.norm(dim=1, keepdim=True)
        torch.testing.assert_close(directions @ directions.T, torch.eye(len(block)).double(), rtol=0, atol=1e-5)
    assert rows.square().sum(1).mean() == pytest.approx(16, rel=0.05)
    assert rows.mean(0).abs().max() < 0.2


def test_the_expected_product_of_random_features_is_the_softmax_kernel():
    """Lemma 1: E[φ(q) · φ(k)] / m = exp(q · k / √K)."""
    torch.manual_seed(0)
    features = FeatureMap("performer", 4, 40_000).double()
    q, k = 0.7 * normal(2, 1, 1, 6, 4)
    quotients = (features.queries(q) @ features.keys(k).transpose(2, 3)) / (q @ k.transpose(2, 3) / 2.0).exp()
    torch.testing.assert_close(
        quotients / quotients.mean(3, keepdim=True), torch.ones_like(quotients), rtol=0.1, atol=0
    )


@pytest.mark.parametrize("causal", [True, False], ids=["causal", "full"])
def test_with_many_random_features_it_is_softmax_attention(causal):
    torch.manual_seed(0)
    softmax = SoftmaxConfig(heads=2, causal=causal).build(8).double()
    linear = LinearConfig(heads=2, features="performer", random_features=20_000, causal=causal).build(8).double()
    linear.load_state_dict(softmax.state_dict() | {"features.random": linear.features.random})
    x = 0.5 * normal(2, 9, 8)
    actual, expected = linear(x), softmax(x)
    if causal:
        actual, expected = actual[0], expected[0]
    assert (actual - expected).abs().mean() < 0.02 * expected.abs().mean()


def test_wide_heads_stay_in_range():
    torch.manual_seed(0)
    features = FeatureMap("performer", 512, 64)
    keys = features.random[:, None, None] * 512**0.25  # the keys whose exponents are the largest that there are
    assert torch.isfinite(features.keys(keys)).all()
    assert torch.isfinite(features.queries(keys)).all()
    assert features.keys(keys).amax() > 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "elu", "random_features": 8}, "random_features = 8 is for performer features"),
        ({"kind": "performer", "random_features": 0}, "random_features = 0 .* at least 1"),
    ],
)
def test_what_it_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FeatureMap(d_head=4, **options)
