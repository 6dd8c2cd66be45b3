"""Our mechanisms equal torch's with copied weights, in float64 at 1e-10."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sightline.core.mixer import Memory
from sightline.mixers.cross import CrossConfig
from sightline.mixers.gru import GRUConfig
from sightline.mixers.lstm import LSTMConfig
from sightline.mixers.rnn import RNNConfig
from sightline.mixers.softmax import SoftmaxConfig

D, H, B, T, M = 12, 7, 3, 9, 5


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def randomised(module: nn.Module) -> nn.Module:
    for parameter in module.double().parameters():
        nn.init.normal_(parameter, std=0.4)
    return module


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def split_bias(bias: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Our one bias as torch's two, which add up."""
    share = torch.rand_like(bias)
    return bias * share, bias * (1 - share)


@pytest.mark.parametrize(("config", "kind"), [(RNNConfig(d_hidden=H), nn.RNN), (LSTMConfig(d_hidden=H), nn.LSTM)])
def test_rnn_and_lstm_equal_torch(config, kind):
    ours, theirs = randomised(config.build(D)), kind(D, H, batch_first=True).double()
    b_input, b_hidden = split_bias(ours.bias.detach())
    theirs.load_state_dict(
        {
            "weight_ih_l0": ours.weight_input,
            "weight_hh_l0": ours.weight_hidden,
            "bias_ih_l0": b_input,
            "bias_hh_l0": b_hidden,
        }
    )
    x = torch.randn(B, T, D, dtype=torch.float64)
    y, state = ours(x)
    expected, final = theirs(x)
    assert_equal(y, expected)
    finals = final if isinstance(final, tuple) else (final,)
    for ours_last, theirs_last in zip(state.carried, finals, strict=True):
        assert_equal(ours_last, theirs_last[0])


def test_heads_are_lstms_of_their_own_over_one_input():
    """A block-diagonal matrix mixes nothing between its blocks."""
    ours, size = randomised(LSTMConfig(d_hidden=6, heads=2).build(D)), 3
    x = torch.randn(B, T, D, dtype=torch.float64)
    parts = []
    for head in range(2):
        theirs = nn.LSTM(D, size, batch_first=True).double()
        rows = [row for gate in range(4) for row in range(6 * gate + size * head, 6 * gate + size * (head + 1))]
        b_input, b_hidden = split_bias(ours.bias.detach()[rows])
        theirs.load_state_dict(
            {
                "weight_ih_l0": ours.weight_input[rows],
                "weight_hh_l0": ours.weight_hidden[rows],
                "bias_ih_l0": b_input,
                "bias_hh_l0": b_hidden,
            }
        )
        parts.append(theirs(x)[0])
    assert_equal(ours(x)[0], torch.cat(parts, 2))


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="d_hidden = 10 is not a multiple of heads = 4"):
        LSTMConfig(d_hidden=10, heads=4).build(D)


def test_gru_equals_torch():
    ours, theirs = randomised(GRUConfig(d_hidden=H).build(D)), nn.GRU(D, H, batch_first=True).double()
    b_input, b_hidden = split_bias(ours.bias.detach())
    # The candidate's two biases are not redundant: the reset gate is between them.
    b_input[2 * H :], b_hidden[2 * H :] = ours.bias.detach()[2 * H :], ours.bias_candidate.detach()
    theirs.load_state_dict(
        {
            "weight_ih_l0": ours.weight_input,
            "weight_hh_l0": ours.weight_hidden,
            "bias_ih_l0": b_input,
            "bias_hh_l0": b_hidden,
        }
    )
    x = torch.randn(B, T, D, dtype=torch.float64)
    assert_equal(ours(x)[0], theirs(x)[0])


def test_packed_sequences_equal_torch_s():
    ours, theirs = randomised(LSTMConfig(d_hidden=H).build(D)), nn.LSTM(D, H, batch_first=True).double()
    theirs.load_state_dict(
        {
            "weight_ih_l0": ours.weight_input,
            "weight_hh_l0": ours.weight_hidden,
            "bias_ih_l0": ours.bias,
            "bias_hh_l0": torch.zeros_like(ours.bias),
        }
    )
    x, lengths = torch.randn(B, T, D, dtype=torch.float64), torch.tensor([9, 4, 6])
    mask = torch.arange(T) < lengths.unsqueeze(1)
    y, state = ours(x, mask=mask)
    ragged = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    out, (hidden, cell) = theirs(ragged)
    expected, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=T)
    assert_equal(y, expected)
    assert_equal(state.carried[0], hidden[0])
    assert_equal(state.carried[1], cell[0])


def heads(x, linear, count):
    return linear(x).unflatten(2, (count, -1)).transpose(1, 2)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("key_heads", [4, 2, 1])
def test_softmax_equals_sdpa(causal, key_heads):
    ours = randomised(SoftmaxConfig(heads=4, key_heads=key_heads, d_head=3, causal=causal).build(D))
    x = torch.randn(B, T, D, dtype=torch.float64)
    result = ours(x)[0] if causal else ours(x)
    part = ours.heads
    q, k, v = heads(x, part.query, 4), heads(x, part.key, key_heads), heads(x, part.value, key_heads)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)
    assert_equal(result, part.out(y.transpose(1, 2).flatten(2)))


def multihead(query: nn.Linear, key: nn.Linear, value: nn.Linear, out: nn.Linear, count: int) -> nn.MultiheadAttention:
    theirs = nn.MultiheadAttention(query.in_features, count, batch_first=True).double()
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([query.weight, key.weight, value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([query.bias, key.bias, value.bias]))
        theirs.out_proj.load_state_dict(out.state_dict())
    return theirs


@pytest.mark.parametrize("causal", [True, False])
def test_softmax_equals_multihead_attention_with_padding(causal):
    ours = randomised(SoftmaxConfig(heads=4, causal=causal).build(D))
    part = ours.heads
    theirs = multihead(part.query, part.key, part.value, part.out, 4)
    x = torch.randn(B, T, D, dtype=torch.float64)
    mask = torch.arange(T) < torch.tensor([9, 4, 6]).unsqueeze(1)
    actual = ours(x, mask=mask)[0] if causal else ours(x, mask)
    future = torch.ones(T, T, dtype=torch.bool).triu(1) if causal else None  # there, True = not allowed
    expected, weights = theirs(x, x, x, key_padding_mask=~mask, attn_mask=future, average_attn_weights=False)
    assert_equal(actual[mask], expected[mask])
    seen = []
    handle = ours.weights.register_forward_hook(lambda module, inputs, output: seen.append(output))
    ours(x, mask=mask)
    handle.remove()
    rows = mask[:, None, :, None].expand_as(weights)
    assert_equal(seen[0][rows], weights[rows])


def test_cross_equals_multihead_attention():
    ours = randomised(CrossConfig(heads=4).build(D))
    part = ours.heads
    theirs = multihead(part.query, part.key, part.value, part.out, 4)
    x, values = torch.randn(B, T, D, dtype=torch.float64), torch.randn(B, M, D, dtype=torch.float64)
    mask = torch.arange(M) < torch.tensor([5, 2, 4]).unsqueeze(1)
    y, _ = ours(x, ours.initial_state(B, Memory(values, mask)))
    assert_equal(y, theirs(x, values, values, key_padding_mask=~mask)[0])


@pytest.mark.parametrize("forget_gate", [True, False])
def test_uniform_initial_values_are_those_of_torch(forget_gate):
    """Bounds and variances of torch.nn.LSTM's: its two biases of variance 1/(3H) each are one here."""
    ours = LSTMConfig(d_hidden=100, forget_gate=forget_gate, initial="uniform").build(80)
    theirs = torch.nn.LSTM(80, 100)
    bias = theirs.bias_ih_l0 + theirs.bias_hh_l0
    for one, other in ((ours.weight_input, theirs.weight_ih_l0), (ours.weight_hidden, theirs.weight_hh_l0)):
        assert one.abs().max() <= 0.1
        torch.testing.assert_close(one.std(), other.std(), rtol=0.02, atol=0.0)
    assert 0.1 < ours.bias.abs().max() <= 0.2
    torch.testing.assert_close(ours.bias.std(), bias.std(), rtol=0.15, atol=0.0)
    assert ours.bias.mean().abs() < 0.02  # no gate is opened
