"""Gradient reach against what mathematics says of linear recurrences, windows, caches and Elman's network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sightline.core.mixer import SequenceMixer
from sightline.lab.bands import mean_band, median_band
from sightline.lab.mechanism import Mechanism, find_mechanisms
from sightline.lab.reach import (
    cotangents,
    distances,
    input_reach,
    mechanism_reach,
    recurrent_matrices,
    spectrum,
    state_reach,
)
from sightline.mixers.rnn import RNNConfig
from sightline.mixers.softmax import SoftmaxConfig
from sightline.mixers.window import WindowConfig

LAGS = [1, 2, 5, 13]


class LinearState(NamedTuple):
    hidden: Tensor


class LinearRNN(SequenceMixer[LinearState]):
    """h_t = W h_{t-1} + x_t, the output is h_t."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight_hidden = nn.Parameter(weight)
        self.d_model = self.d_out = len(weight)

    def initial_state(self, batch, memory=None):
        return LinearState(self.weight_hidden.new_zeros(batch, self.d_model))

    def forward(self, x, state=None, mask=None, starts=None):
        hidden = (self.initial_state(len(x)) if state is None else state).hidden
        outputs = []
        for x_t in x.unbind(1):
            hidden = hidden @ self.weight_hidden.T + x_t
            outputs.append(hidden)
        return torch.stack(outputs, 1), LinearState(hidden)


def weight(radius: float, size: int = 6) -> Tensor:
    """A random matrix, not normal, with this spectral radius."""
    matrix = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return matrix * radius / torch.linalg.eigvals(matrix).abs().max()


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("radius", [0.7, 1.0, 1.3])
def test_a_linear_recurrence_has_the_analytic_product(radius):
    matrix = weight(radius)
    reached = state_reach(LinearRNN(matrix), normal(1, 17, 6), LAGS)
    powers = [torch.linalg.matrix_power(matrix, k) for k in LAGS]
    frobenius = torch.stack([power.norm() / 6**0.5 for power in powers])
    spectral = torch.stack([torch.linalg.matrix_norm(power, 2) for power in powers])
    torch.testing.assert_close(reached.frobenius, frobenius, rtol=1e-10, atol=0)
    torch.testing.assert_close(reached.spectral, spectral, rtol=1e-10, atol=0)
    assert reached.numbers == 6


def test_gradients_vanish_below_a_spectral_radius_of_one_and_explode_above():
    for radius, grows in ((0.9, False), (1.1, True)):
        reached = state_reach(LinearRNN(weight(radius)), normal(1, 141, 6), [35, 70, 140]).spectral.tolist()
        assert (reached == sorted(reached)) is grows
        # ‖W^k‖ ~ radius^k for large k (Gelfand 1941)
        assert (reached[2] / reached[1]) ** (1 / 70) == pytest.approx(radius, rel=0.02)


def test_the_output_of_a_linear_recurrence_depends_on_its_inputs_by_the_same_product():
    matrix = weight(0.9)
    x = normal(1, 9, 6).expand(6, -1, -1).clone().requires_grad_()
    y, _ = LinearRNN(matrix)(x)
    reached = input_reach(y[:, -1], x, torch.eye(6, dtype=torch.float64)).flip(0)
    expected = torch.stack([torch.linalg.matrix_power(matrix, k).norm() for k in range(9)])
    torch.testing.assert_close(reached, expected, rtol=1e-10, atol=0)


def test_random_signs_estimate_the_norm():
    generator = torch.Generator().manual_seed(1)
    exact = state_reach(LinearRNN(weight(0.9, 40)), normal(1, 9, 40), [1, 4])
    estimate = state_reach(LinearRNN(weight(0.9, 40)), normal(1, 9, 40), [1, 4], exact=39, generator=generator)
    assert estimate.spectral is None
    torch.testing.assert_close(estimate.frobenius, exact.frobenius, rtol=0.15, atol=0)


@pytest.mark.parametrize("scale", [0.6, 0.9])
def test_elmans_network_stays_under_the_bound_of_its_largest_singular_value(scale):
    """‖∂h_t/∂h_{t-k}‖₂ <= σ_max(U)^k, as the derivative of tanh is at most 1 (Pascanu et al. 2013, § 2.1)."""
    module = RNNConfig().build(8).double()
    with torch.no_grad():
        module.weight_hidden *= scale
    reached = state_reach(module, normal(1, 17, 8), LAGS).spectral
    for k, value in zip(LAGS, reached.tolist()):
        assert 0.0 < value <= scale**k * (1 + 1e-6)


def test_a_cache_keeps_every_earlier_key_whole():
    """∂h_t/∂h_{t-k} of a cache is the identity on its earlier part, so that the root mean square gain is 1."""
    reached = state_reach(SoftmaxConfig(heads=2).build(4).double(), normal(1, 9, 4), [1, 3])
    torch.testing.assert_close(reached.frobenius, torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(reached.spectral, torch.ones(2, dtype=torch.float64))


def test_nothing_outside_a_window_reaches_the_output():
    reach = mechanism_reach(Mechanism("window", WindowConfig(heads=2, window=8), 8), length=24, sequences=6)
    by_lag = dict(zip(reach.input.at, reach.input.centre))
    assert min(by_lag[k] for k in (0, 1, 4, 6)) > 0
    assert [by_lag[k] for k in by_lag if k >= 8] == [0.0] * sum(k >= 8 for k in by_lag)


def test_attention_reaches_far_and_elmans_network_does_not():
    near, far = {}, {}
    for mechanism in find_mechanisms(["rnn", "softmax"], 8):
        reach = mechanism_reach(mechanism, length=65, sequences=6)
        values = dict(zip(reach.input.at, reach.input.centre))
        near[mechanism.name], far[mechanism.name] = values[4.0], values[64.0]
    assert far["rnn"] < 1e-3 * near["rnn"]
    assert far["softmax"] > 0.1 * near["softmax"]


def test_the_gradient_of_a_reader_of_a_memory_is_that_of_the_memory():
    reach = mechanism_reach(*find_mechanisms(["cross"], 8), length=9, sequences=6)
    assert reach.over == "memory"
    assert reach.state is None  # the projected memory never changes
    assert min(reach.input.centre) > 0


def test_the_state_of_a_reader_of_a_memory_is_what_changes():
    reach = mechanism_reach(*find_mechanisms(["additive"], 8), length=9, sequences=6)
    assert reach.numbers == 8


def test_the_spectrum_of_a_rotation_and_of_a_shear():
    c, s = np.cos(0.3), np.sin(0.3)
    rotation = spectrum("r", torch.tensor([[c, -s], [s, c]]))
    assert (rotation.radius, rotation.largest, rotation.smallest) == pytest.approx((1, 1, 1))
    shear = spectrum("s", torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    golden = (1 + 5**0.5) / 2
    assert (shear.radius, shear.largest, shear.smallest) == pytest.approx((1, golden, 1 / golden), rel=1e-6)


def test_recurrent_weights_are_read_gate_by_gate():
    matrices = recurrent_matrices(nn.ModuleDict({"cell": find_mechanisms(["lstm"], 5)[0].build()}))
    assert [matrix.name for matrix in matrices] == [
        f"hidden to {gate}" for gate in ("input", "forget", "candidate", "output")
    ]
    assert all(matrix.largest == pytest.approx(1.0, abs=1e-5) for matrix in matrices)  # orthogonal at first


def test_distances_begin_with_one_and_end_below_the_length():
    assert distances(9) == [1, 2, 3, 4, 6, 8]


def test_cotangents_are_signs():
    signs = cotangents(5, 7, torch.zeros(1), torch.Generator().manual_seed(0), complete=False)
    assert signs.shape == (5, 7)
    assert set(signs.unique().tolist()) == {-1.0, 1.0}


def test_an_interval_of_a_median_is_that_of_order_statistics():
    """Of 10 values the 95 % interval of the median is from the second to the ninth (Conover 1999, table A3)."""
    band = median_band([1], np.arange(10.0)[:, None])
    assert (band.centre, band.low, band.high) == ([4.5], [1.0], [8.0])
    assert median_band([1], np.zeros((3, 1))).low == [None]
    assert median_band([1], np.full((3, 1), np.nan)).centre == [None]


def test_an_interval_of_a_mean_is_students():
    band = mean_band([1], np.array([[1.0], [2.0], [3.0]]))
    half = 4.302653 / 3**0.5  # t quantile of 97.5 % with 2 degrees of freedom
    assert (band.low[0], band.high[0]) == pytest.approx((2 - half, 2 + half), rel=1e-6)
    assert mean_band([1], np.array([[1.0]])).low == [None]
