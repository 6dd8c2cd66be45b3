"""Attention statistics by chunks equal those of the full matrix of weights."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch.utils._python_dispatch import TorchDispatchMode

import sightline.inspect.statistics as statistics
from sightline.inspect.statistics import attention_statistics
from sightline.mixers.cross import CrossConfig
from sightline.mixers.softmax import SoftmaxConfig
from sightline.testing import Subject
from sightline.testing.subject import packed, ragged


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def assert_those_of(result, weights, logits, distances=None):
    """Every statistic, one query at a time, from weights and logits (B, H, T, S); hidden keys have weight 0."""
    top = result.top_keys.shape[-1]
    mass = torch.zeros(*weights.shape[:2], weights.shape[3], dtype=torch.float64)
    seeing = torch.zeros(weights.shape[0], dtype=torch.float64)
    for b in range(weights.shape[0]):
        for t in range(weights.shape[2]):
            for h in range(weights.shape[1]):
                w = weights[b, h, t]
                seen = w.nonzero().flatten().tolist()
                entropy = -sum(float(w[s]) * math.log(float(w[s])) for s in seen)
                assert float(result.entropy[b, h, t]) == pytest.approx(entropy, abs=1e-10)
                assert float(result.largest[b, h, t]) == pytest.approx(max([float(w[s]) for s in seen], default=0.0))
                total = torch.logsumexp(logits[b, h, t, seen], 0) if seen else torch.tensor(-math.inf).double()
                assert_equal(result.logsumexp[b, h, t], total)
                heaviest = sorted(seen, key=lambda s: -float(w[s]))[:top]
                assert result.top_keys[b, h, t].tolist() == heaviest + [-1] * (top - len(heaviest))
                assert_equal(result.top_weights[b, h, t, : len(heaviest)], w[heaviest])
                assert not result.top_weights[b, h, t, len(heaviest) :].any()
                if distances is not None:
                    for s in seen:
                        mass[b, h, int(distances[b, t, s])] += w[s]
            seeing[b] += bool(seen)
    if distances is None:
        assert result.by_distance is None
    else:
        assert_equal(result.by_distance, mass / seeing.clamp(min=1)[:, None, None])


@pytest.mark.slow
@settings(max_examples=60)
@given(
    groups=st.integers(1, 2),
    key_heads=st.integers(1, 2),
    steps=st.integers(1, 9),
    cached=st.integers(0, 4),
    causal=st.booleans(),
    window=st.sampled_from([None, 1, 3]),
    sinks=st.sampled_from([0, 1, 2]),
    masked=st.booleans(),
    documents=st.booleans(),
    softcap=st.sampled_from([None, 0.8]),
    sloped=st.booleans(),
    seed=st.integers(0, 99),
)
def test_chunks_equal_the_full_matrix(
    groups, key_heads, steps, cached, causal, window, sinks, masked, documents, softcap, sloped, seed
):
    sinks = sinks if causal and window is not None else 0
    generator = torch.Generator().manual_seed(seed)
    heads, length, batch = groups * key_heads, steps + cached, 2
    q = 3 * torch.randn(batch, heads, steps, 3, generator=generator, dtype=torch.float64)
    k = torch.randn(batch, key_heads, length, 3, generator=generator, dtype=torch.float64)
    mask = torch.rand(batch, length, generator=generator) > 0.3 if masked else None
    starts = torch.rand(batch, length, generator=generator) > 0.7 if documents else None
    slopes = torch.rand(heads, generator=generator, dtype=torch.float64) if sloped else None
    places, of = torch.zeros(batch, length, dtype=torch.long), torch.zeros(batch, length, dtype=torch.long)
    for b in range(batch):
        place = document = 0
        for s in range(length):
            if starts is not None and starts[b, s]:
                place, document = 0, document + 1
            places[b, s], of[b, s] = place, document
            place += 1 if mask is None else int(mask[b, s])
    distances = torch.zeros(batch, steps, length, dtype=torch.long)
    logits = torch.full((batch, heads, steps, length), -math.inf, dtype=torch.float64)
    for b in range(batch):
        for t in range(steps):
            i = cached + t
            for s in range(length):
                distances[b, t, s] = apart = abs(int(places[b, i] - places[b, s]))
                far = window is not None and apart >= window and places[b, s] >= sinks
                hidden = (causal and s > i) or far or of[b, i] != of[b, s]
                if hidden or (mask is not None and not (mask[b, i] and mask[b, s])):
                    continue
                for h in range(heads):
                    logit = q[b, h, t] @ k[b, h // groups, s] / math.sqrt(3)
                    logit = logit if softcap is None else softcap * torch.tanh(logit / softcap)
                    logits[b, h, t, s] = logit - (0.0 if slopes is None else slopes[h] * apart)
    weights = torch.softmax(logits, -1).nan_to_num(0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "QUERIES", 4)
        patch.setattr(statistics, "KEYS", 3)
        result = attention_statistics(
            q, k, causal=causal, window=window, sinks=sinks, mask=mask, starts=starts, softcap=softcap, slopes=slopes,
            top=3,
        )  # fmt: skip
    assert_those_of(result, weights, logits, distances)


CONFIGS = {
    "rotary": SoftmaxConfig(heads=4, key_heads=2, d_head=3, positions="rotary"),
    "alibi": SoftmaxConfig(heads=3, positions="alibi", softcap=1.5),
    "full": SoftmaxConfig(heads=2, causal=False, qk_norm="rms"),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_they_are_those_of_the_weights_that_a_probe_shows(name):
    """The weights of a mechanism come by another way: its own masks, its own softmax."""
    config = CONFIGS[name]
    subject = Subject(config)
    module, x, mask, starts = subject.module(), subject.x(), ragged(), packed()
    seen = []
    handle = module.weights.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    with torch.no_grad():
        subject.whole(module, x, None, mask, starts)
        handle.remove()
        places, _ = statistics.advance(torch.zeros(len(x), dtype=torch.long), x.shape[1], mask, starts)
        x = x.masked_fill(~mask.unsqueeze(-1), 0.0)
        q, k = module.positions.turn(module.heads.queries(x), module.heads.keys_values(x)[0], places)
    slopes = statistics_slopes(config)
    result = attention_statistics(
        q, k, causal=config.causal, mask=mask, starts=starts, softcap=config.softcap, slopes=slopes, top=2
    )
    weights = seen[0].masked_fill(~mask[:, None, :, None], 0.0)
    assert_equal(result.largest, weights.amax(-1))
    assert_equal(result.entropy, -torch.xlogy(weights, weights).sum(-1))
    assert_equal(result.top_weights, weights.topk(2).values)
    assert_equal(result.by_distance.sum(-1), torch.ones(result.by_distance.shape[:2], dtype=torch.float64))


def statistics_slopes(config):
    if config.positions != "alibi":
        return None
    assert config.heads == 3  # two slopes of two heads, and the first of four (Press et al. 2022)
    return torch.tensor([2.0**-4, 2.0**-8, 2.0**-2], dtype=torch.float64)


def test_a_memory_has_no_order():
    subject = Subject(CrossConfig(heads=2))
    module, x, memory = subject.module(), subject.x(), subject.memory()
    seen = []
    handle = module.weights.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    with torch.no_grad():
        state = module.initial_state(len(x), memory)
        module(x, state)
        handle.remove()
        q = module.heads.queries(x)
    result = attention_statistics(q, state.keys.tensor, causal=False, memory=True, mask=memory.mask, top=5)
    assert result.by_distance is None
    assert_equal(result.entropy, -torch.xlogy(seen[0], seen[0]).sum(-1))
    assert_equal(result.top_weights, seen[0].sort(-1, descending=True).values)
    with pytest.raises(ValueError, match="a memory has no order"):
        attention_statistics(q, state.keys.tensor, memory=True)


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation gives."""

    def __init__(self):
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else (result,):
            if isinstance(part, torch.Tensor):
                self.numel = max(self.numel, part.numel())
        return result


@pytest.mark.slow
def test_memory_grows_with_the_length_and_not_with_its_square():
    length = 100_000
    q = torch.randn(1, 1, length, 2)
    with Largest() as largest:
        result = attention_statistics(q, q, window=100, top=4)
    assert largest.numel <= 4 * length  # the four keys of every query
    torch.testing.assert_close(result.by_distance.sum(), torch.tensor(1.0))
    assert not result.by_distance[..., 100:].any()
    with Largest() as largest:
        attention_statistics(q[:, :, :700], q, top=4)  # the past of 100,000 positions, all of it
    assert largest.numel <= 256 * 1024


def test_they_equal_those_of_the_whole_matrix_at_2000():
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(1, 1, 2000, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    logits = (q @ k.mT / 2.0).masked_fill(torch.ones(2000, 2000, dtype=torch.bool).triu(1), -math.inf)
    weights = logits.softmax(3)
    result = attention_statistics(q, k, top=3)
    assert_equal(result.entropy, -torch.xlogy(weights, weights).sum(3))
    assert_equal(result.largest, weights.amax(3))
    assert_equal(result.logsumexp, logits.logsumexp(3))
    assert_equal(result.top_weights[:, :, 2:], weights.topk(3, 3).values[:, :, 2:])
    by_distance = torch.stack([weights.diagonal(-d, 2, 3).sum(2) for d in range(2000)], 2) / 2000
    assert_equal(result.by_distance, by_distance)


@pytest.mark.parametrize("level", [1e4, -1e4])
def test_large_logits(level):
    """Entropy is a difference of large numbers unless they are taken relative to the largest."""
    q, k = torch.tensor([[[[1.0]]]]), torch.tensor([[[[level], [level], [level - 1.0]]]])
    result = attention_statistics(q[..., :1], k, scale=1.0, top=1)
    weights = torch.softmax(torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64), 0)
    assert float(result.entropy) == pytest.approx(-float(torch.xlogy(weights, weights).sum()), rel=1e-5)
    assert float(result.largest) == pytest.approx(float(weights[0]), rel=1e-6)


def test_no_queries_and_no_keys():
    none = attention_statistics(torch.zeros(2, 3, 0, 4), torch.zeros(2, 3, 5, 4), top=2)
    assert none.entropy.shape == (2, 3, 0)
    assert none.top_keys.shape == (2, 3, 0, 2)
    empty = attention_statistics(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 0, 4), causal=False, memory=True, top=2)
    assert bool((empty.logsumexp == -math.inf).all())
    assert not empty.largest.any()
    with pytest.raises(ValueError, match="5 queries cannot be the last of 3 positions"):
        attention_statistics(torch.zeros(1, 1, 5, 2), torch.zeros(1, 1, 3, 2))
    with pytest.raises(ValueError, match="sinks need a causal window"):
        attention_statistics(torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 3, 2), sinks=1)
