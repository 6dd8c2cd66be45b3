"""Scores and profiles of batches are those of their rows, whatever is padding and wherever documents begin."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from sightline.inspect.head_calls import recorded_heads, tally_heads
from sightline.inspect.heads import heads_of
from sightline.inspect.roles import EDGES, HeadTally, clear_role
from sightline.inspect.statistics import attention_statistics
from sightline.mixers.block_sparse import BlockSparseConfig
from sightline.mixers.window import WindowConfig
from sightline.models.encoder_model import EncoderConfig
from sightline.models.language_model import LanguageModelConfig
from sightline.models.transformer import TransformerConfig
from sightline.ops.block_patterns import BlockLayout
from sightline.ops.pattern import Pattern


def assert_same(one, other):
    assert list(one) == list(other)
    for name in one:
        for part in ("scores", "even", "profiles"):
            for field, actual in getattr(one[name], part)()._asdict().items():
                if field == "rare":  # by ranks of the tokens of a call
                    continue
                expected = getattr(getattr(other[name], part)(), field)
                torch.testing.assert_close(
                    actual, expected, rtol=1e-5, atol=1e-6, equal_nan=True, msg=f"{name} {field}"
                )


@torch.no_grad()
def test_a_padded_batch_has_the_scores_of_its_rows():
    torch.manual_seed(0)
    model = TransformerConfig(d_model=16, heads=2, layers=1).build(9, 9).eval()
    lengths = [(7, 5), (4, 6), (2, 2)]
    pairs = [(torch.randint(4, 9, (1, m)), torch.randint(4, 9, (1, t))) for m, t in lengths]
    source, target = torch.zeros(3, 7, dtype=torch.long), torch.zeros(3, 6, dtype=torch.long)
    for row, (own, written) in enumerate(pairs):
        source[row, : own.shape[1]], target[row, : written.shape[1]] = own, written
    together = tally_heads(model, iter([partial(model, source, source != 0, target)]))
    apart = tally_heads(model, (partial(model, own, None, written) for own, written in pairs))
    assert len(together) == 3
    assert_same(together, apart)


@torch.no_grad()
def test_packed_documents_have_the_scores_of_each_alone():
    torch.manual_seed(0)
    model = LanguageModelConfig(d_model=16, heads=2, layers=2).build(5).eval()
    documents = [torch.randint(5, (1, length)) for length in (6, 3, 4)]
    tokens = torch.cat(documents, 1)
    starts = torch.zeros_like(tokens, dtype=torch.bool)
    starts[0, [0, 6, 9]] = True
    together = tally_heads(model, iter([partial(model, tokens, None, None, starts)]))
    apart = tally_heads(model, (partial(model, one, None) for one in documents))
    assert_same(together, apart)


@torch.no_grad()
def test_shares_by_distance_are_those_of_the_statistics_without_weights():
    generator = torch.Generator().manual_seed(0)
    q, k = (2 * torch.randn(2, 3, 40, 4, generator=generator, dtype=torch.double) for _ in range(2))
    for causal in (True, False):
        logits = q @ k.mT / 2.0
        seen = torch.ones(40, 40, dtype=torch.bool).tril() if causal else torch.ones(40, 40, dtype=torch.bool)
        tally = HeadTally(causal=causal)
        tally.add(logits.masked_fill(~seen, -torch.inf).softmax(3))
        before, after, _ = tally.profiles()
        exact = attention_statistics(q, k, causal=causal).by_distance.mean(0)  # (H, S)
        torch.testing.assert_close((before + after)[:, :9], exact[:, :9])
        torch.testing.assert_close((before + after)[:, 9], exact[:, 9:17].sum(1))  # 9 to 16
        assert EDGES[9:11] == [16, 32]
        torch.testing.assert_close((before + after).sum(1), torch.ones(3, dtype=torch.double))
        assert bool(after.any()) != causal
        assert tally.scores().duplicate.isnan().all()  # without tokens


def test_even_weights_have_the_scores_that_are_called_even():
    tokens = torch.tensor([[1, 2, 1, 2, 3, 1]])
    weights = torch.ones(6, 6).tril()
    weights = (weights / weights.sum(1, keepdim=True)).expand(1, 2, 6, 6)
    tally = HeadTally()
    tally.add(weights, tokens)
    for name, value in tally.even()._asdict().items():
        torch.testing.assert_close(getattr(tally.scores(), name), value.expand(2), msg=name)
    assert float(tally.even().entropy) == pytest.approx(1.0)
    assert float(tally.even().distance) == pytest.approx(1.0)
    assert float(tally.even().first) == pytest.approx((1 / 2 + 1 / 3 + 1 / 4 + 1 / 5 + 1 / 6) / 5)


@pytest.mark.parametrize(
    "pattern",
    [
        Pattern(True, window=3),
        Pattern(True, window=3, sinks=1),
        Pattern(False, window=2),
        Pattern(True, blocks=BlockLayout("strided", 2, 2, 1, 0)),
        Pattern(False, blocks=BlockLayout("bigbird", 1, 1, 1, 1)),
    ],
    ids=["window", "window and sink", "both sides", "strided", "bigbird"],
)
@pytest.mark.parametrize("packed", [False, True])
def test_even_weights_over_the_keys_that_a_pattern_shows_have_the_scores_that_are_called_even(pattern, packed):
    lengths = [7, 5] if packed else [12]
    seen = torch.block_diag(*(pattern.sees(torch.arange(n)[:, None], torch.arange(n), n).double() for n in lengths))
    starts = torch.tensor([[place in (0, 7) for place in range(12)]]) if packed else None
    weights = (seen / seen.sum(1, keepdim=True)).expand(1, 2, 12, 12)
    tally = HeadTally(causal=pattern.causal, pattern=pattern)
    tally.add(weights, torch.arange(12)[None] % 5, None, starts)
    for name, value in tally.even()._asdict().items():
        torch.testing.assert_close(getattr(tally.scores(), name), value.expand(2), msg=name, equal_nan=True)
    assert float(tally.scores().entropy[0]) == pytest.approx(1.0)
    assert float(tally.scores().distance[0]) == pytest.approx(1.0)


@torch.no_grad()
def test_a_layer_s_window_bounds_the_keys_in_view():
    torch.manual_seed(0)
    model = nn.Sequential(WindowConfig(window=2, heads=2).build(8)).eval()
    model[0].heads.query.weight.zero_()
    model[0].heads.query.bias.zero_()  # even weights over the position itself and the one before
    tally = tally_heads(model, iter([partial(model, torch.randn(1, 20, 8))]))["0.weights"]
    even = tally.even()._asdict()
    assert even["entropy"] == pytest.approx(1.0)
    assert tally.scores().entropy.tolist() == pytest.approx([1.0, 1.0])
    assert tally.scores().previous.tolist() == pytest.approx([0.5, 0.5])
    assert clear_role({"previous": 0.5}, {"previous": float(even["previous"])}) == ""


@torch.no_grad()
@pytest.mark.parametrize("projections", ["shared", "separate"])
def test_a_layer_with_global_projections_of_its_own_is_one_layer(projections):
    torch.manual_seed(0)
    layer = BlockSparseConfig("longformer", 2, 3, 1, heads=3, causal=False, global_projections=projections)
    model = nn.Sequential(layer.build(12), layer.build(12)).eval()
    assert list(heads_of(model)) == ["0.weights", "1.weights"]
    x = torch.randn(2, 14, 12)
    with recorded_heads(model) as calls:
        model(x)
    torch.testing.assert_close(calls["0.weights"].weights.sum(-1), torch.ones(2, 3, 14))  # global rows too
    assert len(tally_heads(model, iter([partial(model, x)]))) == 2


def test_a_role_is_clear_where_it_is_large_and_not_by_chance():
    even = {"previous": 0.2, "first": 0.4, "duplicate": 0.1, "induction": 0.1}
    assert clear_role({"previous": 0.6, "first": 0.1}, even) == "previous"
    assert clear_role({"previous": 0.49, "first": 0.1}, even) == ""
    assert clear_role({"previous": 0.1, "first": 0.7}, even) == ""  # less than twice as much as even weights
    assert clear_role({"previous": 0.6, "induction": 0.9}, even) == "induction"
    assert clear_role({}, even) == ""


@torch.no_grad()
def test_what_a_layer_read_is_recorded_with_its_weights():
    model = EncoderConfig(d_model=16, heads=2, layers=1, pooling="cls").build(9, 3).eval()
    tokens, mask = torch.tensor([[4, 5, 6], [7, 8, 0]]), torch.tensor([[True, True, True], [True, True, False]])
    (name,) = heads_of(model)
    with recorded_heads(model) as calls:
        model(tokens, mask)
    assert calls[name].weights.shape == (2, 2, 4, 4)
    assert calls[name].tokens is None  # a class token comes first: there are more positions than tokens
    assert calls[name].mask.tolist() == [[True] * 4, [True, True, True, False]]
    plain = EncoderConfig(d_model=16, heads=2, layers=1).build(9, 3).eval()
    with recorded_heads(plain) as calls:
        plain(tokens, mask)
    assert torch.equal(calls[name].tokens, tokens)
    assert not any(module._forward_pre_hooks for module in plain.modules())
