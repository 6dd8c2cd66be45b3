"""Facts of the papers beyond the equations in the references."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sightline.core.mixer import Memory
from sightline.mixers.additive import AdditiveConfig
from sightline.mixers.bidirectional import BidirectionalConfig
from sightline.mixers.gru import GRUConfig
from sightline.mixers.lru import LRUConfig
from sightline.mixers.lstm import LSTMConfig
from sightline.mixers.min_gru import MinGRUConfig
from sightline.mixers.min_lstm import MinLSTMConfig
from sightline.testing import Subject
from sightline.testing.reference import find_reference


def test_the_cell_of_1997_never_forgets():
    """The constant error carousel: with shut input gates the cell and its gradient pass on unchanged (§ 3.1)."""
    cell = LSTMConfig(d_hidden=4, d_summary=3, forget_gate=False).build(6).double()
    with torch.no_grad():
        cell.weight_input.zero_()
        cell.weight_hidden.zero_()
        cell.bias[:4] = -1e4
    memory = Memory(torch.zeros(2, 1, 1, dtype=torch.float64), None, torch.randn(2, 3, dtype=torch.float64))
    start = cell.initial_state(2, memory)
    _, state = cell(torch.randn(2, 50, 6, dtype=torch.float64), start)
    assert torch.equal(state.carried[1], start.carried[1])


def test_forget_bias_is_one_and_counted_once():
    module = LSTMConfig(d_hidden=5).build(6)
    i, f, g, o = module.bias.detach().chunk(4)
    assert torch.equal(f, torch.ones(5))
    assert not torch.cat([i, g, o]).any()
    assert [name for name, _ in module.named_parameters() if "bias" in name] == ["bias"]


@pytest.mark.parametrize("reset", ["before", "after"])
def test_an_open_update_gate_keeps_the_state(reset):
    """Cho et al. 2014, eq. 7, as torch: h_t = z h_{t-1} + (1 - z) h̃_t, so that z = 1 keeps."""
    module = GRUConfig(d_hidden=4, d_summary=3, reset=reset).build(6).double()
    with torch.no_grad():
        module.bias[4:8] = 1e4
    memory = Memory(torch.zeros(2, 1, 1, dtype=torch.float64), None, torch.randn(2, 3, dtype=torch.float64))
    start = module.initial_state(2, memory)
    _, state = module(torch.randn(2, 9, 6, dtype=torch.float64), start)
    torch.testing.assert_close(state.carried[0], start.carried[0], rtol=0, atol=1e-12)


def test_bahdanau_s_update_gate_runs_the_other_way():
    """Bahdanau et al. 2015, appendix A.1.1: s_i = (1 - z) s_{i-1} + z s̃_i, so that z = 0 keeps."""
    module = AdditiveConfig(d_hidden=4, d_memory=5, d_summary=3).build(6).double()
    with torch.no_grad():
        module.bias[4:8] = -1e4
    memory = Memory(*(torch.randn(2, *shape, dtype=torch.float64) for shape in ((3, 5),)), None)
    memory = memory._replace(summary=torch.randn(2, 3, dtype=torch.float64))
    start = module.initial_state(2, memory)
    _, state = module(torch.randn(2, 9, 6, dtype=torch.float64), start)
    torch.testing.assert_close(state.hidden, start.hidden, rtol=0, atol=1e-12)


def test_bahdanau_s_first_weights_ask_with_s_0():
    """The query of the first position is s_0 = tanh(W_s summary): the first weights do not see the first input."""
    module = AdditiveConfig(d_hidden=4, d_memory=5, d_summary=3).build(6).double()
    memory = Memory(torch.randn(2, 7, 5, dtype=torch.float64), None, torch.randn(2, 3, dtype=torch.float64))
    seen = []
    module.weights.register_forward_hook(lambda _module, _inputs, weights: seen.append(weights))
    for _ in range(2):
        module(torch.randn(2, 3, 6, dtype=torch.float64), module.initial_state(2, memory))
    assert torch.equal(seen[0], seen[3])
    assert not torch.equal(seen[1], seen[4])
    torch.testing.assert_close(seen[0].sum(-1), torch.ones(2, 1, dtype=torch.float64))


@pytest.mark.parametrize("config", AdditiveConfig.examples(), ids=str)
def test_additive_equals_its_transcription_on_a_longer_source(config):
    subject = Subject(config, d_model=6)
    module, x, memory = subject.module(), subject.x(2, 20), subject.memory(2, length=17)
    parameters = {name: value.detach().numpy() for name, value in module.state_dict().items()}
    arrays = Memory(*(None if part is None else part.numpy() for part in memory))
    expected = find_reference(config)(config, parameters, x.numpy(), None, None, arrays)
    actual, _ = module(x, module.initial_state(2, memory))
    assert np.abs(actual.detach().numpy() - expected).max() < 1e-10


@pytest.mark.parametrize("mixer", ["rnn", "lstm", "gru"])
def test_bidirectional_ends_where_the_rows_end(mixer):
    """The backward half at the first real position has read the row, and the forward half at the last one."""
    module = BidirectionalConfig(mixer, d_hidden=4).build(6).double()
    x, lengths = torch.randn(3, 8, 6, dtype=torch.float64), (8, 3, 5)
    mask = torch.arange(8) < torch.tensor(lengths).unsqueeze(1)
    y = module(x, mask)
    for row, length in enumerate(lengths):
        alone = x[row : row + 1, :length]
        _, ahead = module.forwards(alone)
        _, back = module.backwards(alone.flip(1))
        torch.testing.assert_close(y[row, length - 1, :4], ahead.carried[0][0], rtol=0, atol=1e-12)
        torch.testing.assert_close(y[row, 0, 4:], back.carried[0][0], rtol=0, atol=1e-12)


def heinsen(log_a, log_b, log_first):
    """Heinsen 2023, eq. 6: h_t = exp(Σ log a + logcumsumexp(log b - Σ log a)), the first state as b_0."""
    total = F.pad(log_a.cumsum(1), (0, 0, 1, 0))
    values = torch.cat([log_first.unsqueeze(1), log_b], 1)
    return (total + torch.logcumsumexp(values - total, 1)).exp()[:, 1:]


def log_g(x):
    """Feng et al. 2024, appendix B: the logarithm of the positive candidate."""
    return torch.where(x >= 0, (x.relu() + 0.5).log(), -F.softplus(-x))


@pytest.mark.parametrize("kind", [MinGRUConfig, MinLSTMConfig])
def test_minimal_recurrences_equal_the_paper_s_parallel_log_space_mode(kind):
    module = Subject(kind(d_hidden=5)).scattered()
    x = torch.randn(2, 40, module.d_model, dtype=torch.float64)
    *gates, candidate = (x @ module.weight_input.T + module.bias).split(5, 2)
    if kind is MinGRUConfig:
        log_take, log_forget = -F.softplus(-gates[0]), -F.softplus(gates[0])
    else:
        difference = F.softplus(-gates[0]) - F.softplus(-gates[1])
        log_forget, log_take = -F.softplus(difference), -F.softplus(-difference)
    expected = heinsen(log_forget, log_take + log_g(candidate), log_g(torch.zeros(2, 5, dtype=torch.float64)))
    torch.testing.assert_close(module(x)[0], expected, rtol=1e-10, atol=1e-10)


def test_a_saturated_min_lstm_still_has_gates():
    """f and i both vanish at -1e4; their shares do not (appendix B's reason for logarithms)."""
    module = MinLSTMConfig(d_hidden=3).build(4)
    with torch.no_grad():
        module.weight_input.zero_()
        module.bias.fill_(-1e4)
    y, _ = module(torch.zeros(1, 5, 4))
    torch.testing.assert_close(y[0, :, 0], 0.5 ** torch.arange(2.0, 7.0), rtol=1e-6, atol=0)


def test_an_lru_starts_on_the_ring():
    """Lemma 3.2: |λ|² uniform in [r_min², r_max²], the phase uniform in [0, max_phase]."""
    torch.manual_seed(0)
    module = LRUConfig(d_hidden=20000, r_min=0.5, r_max=0.9, max_phase=1.0).build(1)
    eigenvalues = module._eigenvalues().detach()
    for values, low, high in ((eigenvalues.abs() ** 2, 0.25, 0.81), (eigenvalues.angle(), 0.0, 1.0)):
        shares = (values.sort().values - low) / (high - low)
        uniform = (torch.arange(20000) + 0.5) / 20000
        assert float((shares - uniform).abs().max()) < 0.02  # Kolmogorov's distance; 1 in 1e6 by chance


def test_an_lru_keeps_the_power_of_white_input():
    """§ 3.4: with γ = √(1 - |λ|²), E |h|² = E |B x|² in the long run."""
    torch.manual_seed(0)
    module = LRUConfig(d_hidden=64, r_min=0.9, r_max=0.99).build(8)
    x = torch.randn(64, 1000, 8)
    with torch.no_grad():
        _, state = module(x)
        driven = module._driven(x) / module.gamma.exp()
    result = state.hidden.square().sum(2).mean()
    assert float(result / driven.abs().square().mean()) == pytest.approx(1.0, abs=0.1)


def test_an_lru_is_stable_whatever_its_parameters():
    module = LRUConfig(d_hidden=50).build(3)
    with torch.no_grad():
        module.nu.copy_(torch.linspace(-20, 20, 50))
    assert float(module._eigenvalues().detach().abs().max()) <= 1.0


@pytest.mark.parametrize("options", [{"r_min": 0.9, "r_max": 0.5}, {"r_max": 1.1}, {"r_min": -0.1}])
def test_a_ring_that_is_none_is_refused(options):
    with pytest.raises(ValueError, match="the ring needs 0 <= r_min < r_max <= 1"):
        LRUConfig(**options).build(4)
