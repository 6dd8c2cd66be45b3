"""Heads whose role is set by hand have it, every score equals a count by loops, and ablation is what it says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sightline.inspect.heads import Head, ablated_heads, head_importance, head_scores, heads_of, mean_outputs
from sightline.inspect.record import attention_probes, recorded_attention, replaced_attention
from sightline.inspect.roles import ROLES, score_heads
from sightline.mixers.softmax import SoftmaxConfig
from sightline.models.language_model import LanguageModelConfig

SYMBOLS, LENGTH, SHARP = 7, 13, 60.0
BEGIN = SYMBOLS - 1  # at position 0, which has no position before it and copies itself


class Planted(nn.Module):
    """Head 1.0 attends to the position before and copies its token; head 2.0 attends where that copy is the token.

    x = [token, position, token before], one-hot. The second head of each layer attends evenly.
    """

    def __init__(self) -> None:
        super().__init__()
        size = 2 * SYMBOLS + LENGTH
        # Heads as wide as the input, so that a projection can be the identity on a part of it.
        self.first = SoftmaxConfig(heads=2, d_head=size, bias=False).build(size)
        self.second = SoftmaxConfig(heads=2, d_head=size, bias=False).build(size)
        token, place, before = slice(0, SYMBOLS), slice(SYMBOLS, SYMBOLS + LENGTH), slice(SYMBOLS + LENGTH, size)
        scale = SHARP * math.sqrt(size)
        with torch.no_grad():
            for layer in (self.first, self.second):
                for linear in (layer.heads.query, layer.heads.key, layer.heads.value, layer.heads.out):
                    linear.weight.zero_()
            shift = torch.zeros(LENGTH, LENGTH)
            shift[torch.arange(LENGTH - 1), torch.arange(1, LENGTH)] = scale  # row t - 1 of place t
            self.first.heads.query.weight[:size][place, place] = shift
            self.first.heads.key.weight[:size][place, place] = torch.eye(LENGTH)
            self.first.heads.value.weight[:size][token, token] = torch.eye(SYMBOLS)
            self.first.heads.out.weight[:, :size][before, token] = torch.eye(SYMBOLS)
            self.second.heads.query.weight[:size][token, token] = scale * torch.eye(SYMBOLS)
            self.second.heads.key.weight[:size][token, before] = torch.eye(SYMBOLS)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        token = nn.functional.one_hot(tokens, SYMBOLS).float()
        place = torch.eye(LENGTH)[: tokens.shape[1]].expand(len(tokens), -1, -1)
        x = torch.cat([token, place, torch.zeros_like(token)], 2)
        x = x + self.first(x)[0]
        return self.second(x)[0]


def test_planted_previous_and_induction_heads_score_one_and_rank_first():
    # Each token occurs twice, the second time after the same neighbour, so that one earlier place answers each query.
    half = torch.stack([torch.randperm(BEGIN) for _ in range(20)])
    tokens = torch.cat([torch.full((20, 1), BEGIN), half, half], 1)
    model = Planted()
    scores = head_scores(model, tokens, lambda: model(tokens))
    assert list(scores) == ["first.weights", "second.weights"]
    assert float(scores["first.weights"].previous[0]) >= 0.99
    assert float(scores["second.weights"].induction[0]) >= 0.99
    for role, head in (("previous", ("first.weights", 0)), ("induction", ("second.weights", 0))):
        every = {(name, h): float(getattr(of_layer, role)[h]) for name, of_layer in scores.items() for h in range(2)}
        assert max(every, key=lambda key: every[key]) == head
        assert sorted(every.values())[-2] < 0.5


def brute(weights, tokens, mask, causal):
    """All scores by loops."""
    batch, heads, length, _ = weights.shape
    counts = {}
    for b in range(batch):
        for t in range(length):
            if mask[b, t]:
                counts[int(tokens[b, t])] = counts.get(int(tokens[b, t]), 0) + 1
    sums = {name: [[] for _ in range(heads)] for name in (*ROLES, "distance", "entropy")}
    for b in range(batch):
        for t in range(length):
            keys = [s for s in range(length) if mask[b, t] and mask[b, s] and (s <= t or not causal)]
            if not keys:
                continue
            same = [s for s in keys if s < t and tokens[b, s] == tokens[b, t]]
            after = [s for s in keys if s - 1 in same and s <= t]
            often = {s: counts[int(tokens[b, s])] for s in keys}
            for h in range(heads):
                w = weights[b, h, t]
                chosen = {"previous": [t - 1] if t - 1 in keys else [], "first": [0] if 0 in keys and t > 0 else []}
                chosen |= {"duplicate": same, "induction": after}
                for name, places in chosen.items():
                    if places:
                        sums[name][h].append(sum(float(w[s]) for s in places))
                if len(set(often.values())) > 1:
                    sums["rare"][h].append(float(often.get(int(w.argmax()), math.inf) == min(often.values())))
                if len(keys) > 1:
                    even = sum(abs(t - s) for s in keys) / len(keys)
                    sums["distance"][h].append(sum(float(w[s]) * abs(t - s) for s in keys) / even)
                    nats = -sum(float(w[s]) * math.log(float(w[s])) for s in keys if w[s] > 0)
                    sums["entropy"][h].append(nats / math.log(len(keys)))
    return {name: [sum(values) / len(values) for values in of_heads] for name, of_heads in sums.items()}


@pytest.mark.parametrize("causal", [True, False])
def test_every_score_equals_loops(causal):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(4, (3, 9), generator=generator)
    mask = torch.arange(9) < torch.tensor([[9], [7], [4]])
    visible = (
        mask[:, None, :] & mask[:, :, None] & (torch.ones(9, 9).tril().bool() if causal else torch.ones(9, 9).bool())
    )
    logits = torch.randn(3, 2, 9, 9, generator=generator, dtype=torch.double)
    weights = logits.masked_fill(~visible.unsqueeze(1), -1e9).softmax(3) * visible.unsqueeze(1)
    expected = brute(weights, tokens, mask, causal)
    scores = score_heads(weights, tokens, mask, causal=causal)
    for name, values in expected.items():
        assert getattr(scores, name).tolist() == pytest.approx(values, abs=1e-12), name


def test_weights_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"for tokens \(2, 9\), got \(2, 4, 9, 8\)"):
        score_heads(torch.zeros(2, 4, 9, 8), torch.zeros(2, 9, dtype=torch.long))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LanguageModelConfig(d_model=16, layers=2, heads=4, dropout=0.0).build(7).eval()


def test_an_ablated_head_contributes_nothing_and_the_others_what_they_did(model):
    tokens = torch.arange(6).expand(2, -1)
    layer = next(iter(heads_of(model).values()))
    joined = []
    handle = layer.out.register_forward_pre_hook(lambda _module, inputs: joined.append(inputs[0]))
    name = next(iter(heads_of(model)))
    with torch.no_grad():
        model(tokens, None)
        with ablated_heads(model, [Head(name, 1)]):
            model(tokens, None)
    handle.remove()
    whole, without = (x.unflatten(2, (4, 4)) for x in joined[:2])
    # The hook of this test is called first: the second call's input is seen before the head is taken out.
    assert torch.equal(whole, without)
    seen = []
    handle = layer.out.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    with torch.no_grad(), ablated_heads(model, [Head(name, 1)]):
        model(tokens, None)
    handle.remove()
    kept = seen[0].unflatten(2, (4, 4))
    assert not kept[:, :, 1].any()
    assert torch.equal(kept[:, :, [0, 2, 3]], whole[:, :, [0, 2, 3]])


def test_importance_is_the_change_of_the_loss_and_nothing_stays_attached(model):
    tokens = torch.arange(6).expand(2, -1)

    def loss():
        return model(tokens, None)[0].logsumexp(2)

    whole = loss()
    means = mean_outputs(model, loss)
    importance = head_importance(model, loss, means)
    assert len(importance) == 8
    head = list(importance)[5]
    with ablated_heads(model, [head], means):
        assert torch.equal(importance[head], loss() - whole)
    assert torch.equal(loss(), whole)
    assert not any(probe.attached for probe in attention_probes(model).values())


def test_recording_changes_nothing_and_replacing_does(model):
    tokens = torch.arange(6).expand(2, -1)
    whole = model(tokens, None)[0]
    with recorded_attention(model) as weights:
        listened = model(tokens, None)[0]
    torch.testing.assert_close(listened, whole, rtol=1e-5, atol=1e-6)
    assert [tuple(each.shape) for each in weights.values()] == [(2, 4, 6, 6)] * 2
    with replaced_attention(model, lambda name, own: weights[name]):
        torch.testing.assert_close(model(tokens, None)[0], listened)
    with replaced_attention(model, lambda _, own: torch.zeros_like(own)):
        assert not torch.allclose(model(tokens, None)[0], whole)
