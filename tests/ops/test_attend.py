"""Attention on tensors against a formula, at sizes and masks that no mechanism uses."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

import sightline.ops.dense as ops_dense
import sightline.ops.execute as ops_execute
from sightline.core.probe import Probe
from sightline.ops.dense import dense_attention, softmax_average
from sightline.ops.execute import execute
from sightline.ops.pattern import Pattern
from sightline.ops.plan import Plan, alibi_bias


def formula(q, k, v, allowed, bias, scale, softcap=None):
    """softmax over the allowed keys, one query at a time; a query without any gives zeros."""
    out = torch.zeros(*q.shape[:3], v.shape[3], dtype=torch.float64)
    groups = q.shape[1] // k.shape[1]
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            for t in range(q.shape[2]):
                keys = [s for s in range(k.shape[2]) if allowed[b, h, t, s]]
                if not keys:
                    continue
                logits = torch.stack([scale * q[b, h, t] @ k[b, h // groups, s] for s in keys])
                logits = logits if softcap is None else softcap * (logits / softcap).tanh()
                logits = logits + bias[b, h, t, keys]
                weights = (logits - logits.max()).exp()
                out[b, h, t] = (weights / weights.sum()) @ v[b, h // groups, keys]
    return out


@settings(max_examples=60)
@given(
    batch=st.integers(1, 2),
    groups=st.integers(1, 2),
    key_heads=st.integers(1, 2),
    steps=st.integers(1, 4),
    cached=st.integers(0, 3),
    width=st.sampled_from([1, 3, 4]),
    causal=st.booleans(),
    masked=st.booleans(),
    biased=st.booleans(),
    listening=st.booleans(),
    softcap=st.sampled_from([None, None, 0.7]),
    seed=st.integers(0, 99),
)
def test_dense_attention_equals_the_formula(
    batch, groups, key_heads, steps, cached, width, causal, masked, biased, listening, softcap, seed
):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    heads, length = groups * key_heads, steps + cached
    q, k, v = normal(batch, heads, steps, width), normal(batch, key_heads, length, width), None
    v = normal(batch, key_heads, length, width + 1)
    visible = torch.rand(batch, 1, steps, length, generator=generator) > 0.5 if masked else None
    bias = normal(1, heads, steps, length) if biased else None
    probe = Probe("B H T S")
    if listening:
        probe.register_forward_hook(lambda module, inputs, output: None)
    actual = dense_attention(q, k, v, visible=visible, bias=bias, causal=causal, softcap=softcap, probe=probe)
    shape = (batch, heads, steps, length)
    allowed = torch.ones(shape, dtype=torch.bool) if visible is None else visible.expand(shape).clone()
    if causal:  # the last query is at the last key
        allowed &= torch.ones(steps, length, dtype=torch.bool).tril(cached)
    zero = torch.zeros(shape, dtype=torch.float64)
    bias = zero if bias is None else bias.expand(shape)
    expected = formula(q, k, v, allowed, bias, 1 / math.sqrt(width), softcap)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def test_weights_are_shift_invariant_and_sum_to_one():
    scores, values = torch.randn(2, 3, 5, dtype=torch.float64), torch.eye(5, dtype=torch.float64).expand(2, 5, 5)
    mask = torch.tensor([[True, True, False, True, False], [True] * 5])
    weights = softmax_average(scores, values, mask, Probe("B T M"))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(softmax_average(scores + 700.0, values, mask, Probe("B T M")), weights)
    assert not weights[0, :, [2, 4]].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_softmax_is_not_done_in_half_precision(dtype):
    """2,048 equal weights: their sum in 16 bits would stop growing long before 1 / 2048 each is reached."""
    q, k = torch.zeros(1, 1, 1, 4, dtype=dtype), torch.zeros(1, 1, 2048, 4, dtype=dtype)
    v = torch.ones(1, 1, 2048, 1, dtype=dtype)
    assert dense_attention(q, k, v).item() == pytest.approx(1.0, abs=1e-2)


@pytest.mark.parametrize("listening", [False, True])
@pytest.mark.parametrize("options", [{}, {"slopes": [0.5, 0.25]}, {"softcap": 5.0}], ids=["plain", "alibi", "soft cap"])
def test_autocast_narrows_no_logits(options, listening):
    """16-bit inputs have the same weights and outputs inside autocast, whose products would be 16 bits wide."""
    q, k, v = (4 * torch.randn(3, 1, 2, 40, 16)).bfloat16()
    options = {name: torch.tensor(value) if name == "slopes" else value for name, value in options.items()}
    plan, probe, seen = Plan(Pattern(True), **options), Probe("B H T S"), []
    if listening:
        probe.register_forward_hook(lambda module, inputs, output: seen.append(output))
    expected = execute(q, k, v, plan, probe)
    with torch.autocast("cpu", torch.bfloat16):
        actual = execute(q, k, v, plan, probe)
    assert torch.equal(actual, expected)
    if listening:
        assert seen[1].dtype == torch.float32
        assert torch.equal(*seen)


def test_a_soft_cap_bounds_the_odds():
    """No key outweighs another by more than e^(2c), however large the logits."""
    q, k = torch.tensor([[[[1e4]]]]), torch.tensor([[[[1e4], [-1e4], [0.0]]]])
    weights = dense_attention(q, k, torch.eye(3)[None, None], scale=1.0, softcap=2.0)
    torch.testing.assert_close(weights[0, 0, 0].log().diff(), torch.tensor([-4.0, 2.0]))


def test_alibi_lowers_with_distance():
    bias = alibi_bias(torch.tensor([0.25, 0.5]), torch.tensor([[0, 1, 2]]), torch.float64)
    assert bias.tolist() == [[[0.0, -0.25, -0.5]], [[0.0, -0.5, -1.0]]]


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "recomputed"])
def test_a_soft_cap_by_blocks_of_queries(kept, monkeypatch):
    """Some queries at a time, their weights kept for the backward or recomputed there: the formula either way."""
    monkeypatch.setattr(ops_execute, "CAPPED", 3)
    monkeypatch.setattr(ops_execute, "BLOCK", 50 if kept else 5)
    q, k, v = (torch.randn(1, 2, steps, 3, dtype=torch.float64, requires_grad=True) for steps in (8, 10, 10))
    slopes = torch.tensor([0.5, 0.25], dtype=torch.float64)
    bias = alibi_bias(slopes, (torch.arange(2, 10).unsqueeze(1) - torch.arange(10)).abs(), torch.float64)[None]
    actual = execute(q, k, v, Plan(Pattern(True), slopes=slopes, softcap=0.7))
    allowed = torch.ones(1, 2, 8, 10, dtype=torch.bool).tril(2)
    expected = formula(q, k, v, allowed, bias, 1 / math.sqrt(3), 0.7)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
    weights = torch.randn(expected.shape, dtype=torch.float64)
    gradients = [torch.autograd.grad((y * weights).sum(), (q, k, v)) for y in (actual, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("width", [ops_dense.WIDE - 1, ops_dense.WIDE])
@pytest.mark.parametrize("rows", [ops_dense.MANY // 4 - 1, ops_dense.MANY // 4])
def test_one_query_of_many_rows_equals_the_formula(monkeypatch, rows, width, masked):
    """On both sides of the sizes from which two products take the place of torch's kernel; one row sees no key."""
    products = []
    of_products = ops_dense._by_products
    monkeypatch.setattr(ops_dense, "_by_products", lambda *one: products.append(1) or of_products(*one))
    q, k, v = torch.randn(rows, 4, 1, width), torch.randn(rows, 4, 6, width), torch.randn(rows, 4, 6, 5)
    seen = torch.rand(rows, 1, 1, 6) < 0.6
    seen[2] = False
    allowed = seen.expand(rows, 4, 1, 6) if masked else torch.ones(rows, 4, 1, 6, dtype=torch.bool)
    expected = formula(q.double(), k.double(), v.double(), allowed, torch.zeros(rows, 4, 1, 6), 0.5)
    with torch.no_grad():
        y = dense_attention(q, k, v, visible=seen if masked else None, scale=0.5)
    torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-6)
    assert bool(products) == (4 * rows >= ops_dense.MANY and width >= ops_dense.WIDE)
