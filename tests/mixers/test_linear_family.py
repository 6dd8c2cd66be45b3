"""Facts of the linear family's papers beyond the equations in the references."""

from __future__ import annotations

import pytest
import torch

from sightline.core.state import nbytes
from sightline.mixers.gated_delta import GatedDeltaConfig
from sightline.mixers.gated_linear import GatedLinearConfig
from sightline.mixers.linear import LinearConfig
from sightline.mixers.retention import RetentionConfig
from sightline.ops import linear_attention
from sightline.parts.decay import HeadDecay

CONFIGS = [
    LinearConfig(),
    RetentionConfig(),
    GatedLinearConfig(),
    GatedLinearConfig("ssd"),
    GatedDeltaConfig(),
    GatedDeltaConfig(decay=False, gate=False),
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_state_does_not_grow(config):
    module = config.build(16)
    x = torch.randn(1, 300, 16)
    with torch.no_grad():
        sizes = {nbytes(module(x[:, :length])[1]) for length in (1, 7, 300)}
    assert len(sizes) == 1


def test_retention_s_rates_are_the_published_ones():
    """Sun et al. 2023, eq. 8: γ = 1 - 2^(-5 - h)."""
    rates = RetentionConfig(heads=8).build(16).log_decay().exp()
    assert rates.tolist() == pytest.approx([1 - 1 / 2**n for n in range(5, 13)], rel=1e-12)


def test_retention_s_rates_are_no_parameters_and_keep_their_precision():
    module = RetentionConfig(heads=8).build(16).to(torch.bfloat16)
    assert module.log_decay().exp()[7].item() == pytest.approx(1 - 2**-12, rel=1e-12)
    assert not [name for name in module.state_dict() if "decay" in name]


def test_open_gates_of_gla_forget_nothing():
    """α = 1: plain linear attention, without normaliser."""
    module = GatedLinearConfig(heads=2).build(8).double()
    with torch.no_grad():
        module.decay_out.bias.fill_(1e4)
    x = torch.randn(2, 70, 8, dtype=torch.float64)
    q, k, v, decay = module._read(x)
    assert not decay.any()
    _, state = module(x)
    torch.testing.assert_close(state.memory, k.transpose(2, 3) @ v)
    assert q.shape == (2, 2, 70, 2)
    assert v.shape == (2, 2, 70, 4)


def test_heads_forget_at_first_as_mamba_2_s_do():
    """A in [1, 16] and steps in [0.001, 0.1] where the input says nothing."""
    torch.manual_seed(0)
    decay, step = HeadDecay(4, 1000).double()(torch.zeros(1, 1, 4, dtype=torch.float64))
    rate = -decay / step
    assert 1.0 - 1e-5 <= rate.min() < 1.2
    assert 15.8 < rate.max() <= 16.0 + 1e-4
    assert 1e-3 - 1e-6 <= step.min() < 1.1e-3
    assert 0.09 < step.max() <= 0.1 + 1e-5
    assert step.log().mean().item() == pytest.approx(-4.6, abs=0.15)  # log-uniform: half of them below 0.01


def test_a_gated_delta_state_stays_bounded_and_a_linear_one_does_not():
    """The same key ten thousand times: the delta rule keeps its value once, linear attention the sum of all."""
    k = torch.ones(1, 1, 10_000, 1, dtype=torch.float64)
    beta = torch.full((1, 1, 10_000), 0.5, dtype=torch.float64)
    _, delta = linear_attention(k, k, k, beta=beta)
    _, linear = linear_attention(k, k, k)
    assert delta.memory.item() == pytest.approx(1.0, rel=1e-12)
    assert linear.memory.item() == 10_000


@pytest.mark.parametrize("config", [GatedDeltaConfig(heads=3), GatedLinearConfig(heads=4, d_head=None)], ids=str)
def test_a_width_that_heads_do_not_divide_is_refused(config):
    with pytest.raises(ValueError, match="is not a whole number: choose a d_model divisible by"):
        config.build(10)


def test_the_convolution_is_at_least_two_positions_wide():
    with pytest.raises(ValueError, match=r"width must be .*at least 2 positions, got 1"):
        GatedDeltaConfig(convolution=1).build(8)
