"""In float32 on a CPU the LSTM runs on oneDNN's kernel: padding, documents and directions do not push it off.

Only where rows are many and wide and a good part of them is padding are packed rows faster.
"""

from __future__ import annotations

import pytest
import torch

from sightline.mixers import lstm
from sightline.mixers.bidirectional import BidirectionalConfig
from sightline.mixers.lstm import LSTMConfig
from sightline.testing import Subject

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")

CONFIGS = {
    "lstm": LSTMConfig(),
    "1997": LSTMConfig(forget_gate=False),
    "heads": LSTMConfig(heads=2),
    "bidirectional": BidirectionalConfig("lstm"),
}
CALLS = {"lstm": 1, "1997": 1, "heads": 2, "bidirectional": 2}
MASK = torch.arange(9) < torch.tensor([9, 4, 0]).unsqueeze(1)
STARTS = torch.zeros(3, 9, dtype=torch.bool)
STARTS[0, 5] = STARTS[1, 2] = True
FLAGS = {"whole": {}, "lengths": {"mask": MASK}, "lengths and documents": {"mask": MASK, "starts": STARTS}}


def outputs(module, x, flags):
    y = module(x, **flags)
    return y[0] if isinstance(y, tuple) else y


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("name", CONFIGS)
def test_training_runs_on_onednn(name, flags):
    module, x = CONFIGS[name].build(8), torch.randn(3, 9, 8, requires_grad=True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], acc_events=True) as profile:
        outputs(module, x, flags).square().sum().backward()
    counts = {event.key: event.count for event in profile.key_averages()}
    for kernel in ("aten::mkldnn_rnn_layer", "aten::mkldnn_rnn_layer_backward"):
        assert counts.get(kernel) == CALLS[name]


@pytest.mark.parametrize("flags", FLAGS.values(), ids=FLAGS)
@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_of_onednn_are_those_of_float64(name, flags):
    subject = Subject(CONFIGS[name])
    result = []
    for dtype in (torch.float32, torch.float64):
        module, x = subject.module(dtype), subject.x(3, 9, dtype).requires_grad_()
        y = outputs(module, x, flags)
        result.append([part.double() for part in torch.autograd.grad(y.square().sum(), [x, *module.parameters()])])
    torch.testing.assert_close(*result, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("lengths", "packed"), [((4, 9, 3), True), ((9, 9, 8), False), ((2, 9), False)])
def test_much_padding_is_packed_away(monkeypatch, lengths, packed):
    monkeypatch.setattr(lstm, "ROWS", 2)
    monkeypatch.setattr(lstm, "WORK", 3 * 8)
    module = LSTMConfig().build(8)
    x, mask = torch.randn(len(lengths), 9, 8), torch.arange(9) < torch.tensor(lengths).unsqueeze(1)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], acc_events=True) as profile:
        module(x, mask=mask)[0].sum().backward()
    counts = {event.key: event.count for event in profile.key_averages()}
    assert ("aten::mkldnn_rnn_layer" not in counts) == packed


@pytest.mark.parametrize("forget_gate", [True, False])
@pytest.mark.parametrize("flags", list(FLAGS.values())[1:], ids=list(FLAGS)[1:])
def test_packed_rows_equal_the_kernel(monkeypatch, flags, forget_gate):
    module, x = LSTMConfig(forget_gate=forget_gate).build(8).double(), torch.randn(3, 9, 8, dtype=torch.float64)
    result = []
    monkeypatch.setattr(lstm, "WORK", 0)
    for rows in (0, 10**9):
        monkeypatch.setattr(lstm, "ROWS", rows)
        y, state = module(x, **flags)
        gradients = torch.autograd.grad(y.square().sum() + state.carried[1].sum(), list(module.parameters()))
        result.append([y, *state.carried, *gradients])
    torch.testing.assert_close(*result, rtol=1e-10, atol=1e-10)
