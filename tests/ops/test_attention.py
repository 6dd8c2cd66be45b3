"""`sightline.ops.attention` equals softmax over an explicit dense mask, outputs and gradients, on every path."""

from __future__ import annotations

import itertools
import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch.nn import attention as torch_attention
from torch.nn import functional as F

import sightline.ops.block_patterns as ops_patterns
import sightline.ops.execute as ops_execute
import sightline.ops.piece_kernel as piece_kernel
import sightline.ops.plan as ops_plan
import sightline.ops.softmax as ops_softmax
from sightline.core.probe import Probe
from sightline.ops import BlockLayout, BlockMask, attention, block_pattern
from sightline.ops.execute import execute
from sightline.ops.pattern import Pattern
from sightline.ops.plan import Plan
from sightline.parts.positions import alibi_slopes
from tests.unchecked import unchecked
from tests.written import Written

F64 = torch.float64


def normal(generator, *shape, dtype=F64):
    return torch.randn(*shape, generator=generator, dtype=F64).to(dtype)


def visible(steps, length, causal, window=None, sinks=0, blocks=None, mask=None, starts=None, batch=1):
    """Whom each query sees, (B, T, S), one pair at a time."""
    seen = torch.zeros(batch, steps, length, dtype=torch.bool)
    for b in range(batch):
        begin = [0] * length  # where the document of each position begins
        for s in range(1, length):
            begin[s] = s if starts is not None and starts[b, s] else begin[s - 1]
        for t in range(steps):
            at = length - steps + t
            for s in range(length):
                place, of_key = at - begin[at], s - begin[at]
                near = window is None or abs(at - s) < window or of_key < sinks
                shown = blocks is None or bool(blocks.visible[place // blocks.size, of_key // blocks.size])
                real = mask is None or bool(mask[b, s] & mask[b, at])
                seen[b, t, s] = begin[s] == begin[at] and (s <= at or not causal) and near and shown and real
    return seen


def dense(q, k, v, seen, scale=None, bias=0.0):
    """softmax over the keys that are seen, with zeros for rows that see none."""
    groups = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    seen = seen.unsqueeze(1)
    some = seen.any(-1, keepdim=True)
    logits = q @ k.mT * (1 / math.sqrt(q.shape[3]) if scale is None else scale) + bias
    weights = torch.softmax(logits.masked_fill(~seen & some, -math.inf), -1) * some
    return weights @ v


def assert_equal(q, k, v, actual, expected, tolerance=1e-10):
    """Outputs, and gradients of a random projection."""
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)
    weights = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=F64).to(actual.dtype)
    inputs = [q, k, v]
    gradients = torch.autograd.grad((actual * weights).sum(), inputs)
    expected_gradients = torch.autograd.grad((expected * weights).sum(), inputs)
    for name, one, other in zip("qkv", gradients, expected_gradients, strict=True):
        assert torch.isfinite(one).all()
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"d{n}: {m}")


def inputs(seed, batch, heads, key_heads, steps, length, width, value=None):
    generator = torch.Generator().manual_seed(seed)
    q = normal(generator, batch, heads, steps, width)
    k, v = (normal(generator, batch, key_heads, length, w) for w in (width, value or width))
    return generator, *(x.requires_grad_() for x in (q, k, v))


@pytest.mark.slow
@settings(max_examples=80)
@given(
    steps=st.integers(1, 70),
    cached=st.integers(0, 20),
    window=st.integers(1, 73),
    sinks=st.integers(0, 5),
    causal=st.booleans(),
    masked=st.booleans(),
    documents=st.booleans(),
    groups=st.integers(1, 2),
    widths=st.sampled_from([(4, 4), (3, 3), (4, 6), (5, 2), (1, 1)]),
    seed=st.integers(0, 99),
)
def test_windows(steps, cached, window, sinks, causal, masked, documents, groups, widths, seed):
    length, sinks = steps + cached, sinks if causal else 0
    generator, q, k, v = inputs(seed, 2, 2, 2 // groups, steps, length, *widths)
    mask = torch.rand(2, length, generator=generator) > 0.3 if masked else None
    starts = torch.rand(2, length, generator=generator) > 0.9 if documents else None
    result = attention(q, k, v, causal=causal, window=window, sinks=sinks, mask=mask, starts=starts)
    seen = visible(steps, length, causal, window, sinks, None, mask, starts, batch=2)
    assert_equal(q, k, v, result, dense(q, k, v, seen))


@pytest.mark.slow
@settings(max_examples=40)
@given(
    steps=st.integers(1, 40),
    cached=st.integers(0, 9),
    size=st.integers(1, 9),
    density=st.sampled_from([0.1, 0.5, 0.9, 1.0]),
    causal=st.booleans(),
    masked=st.booleans(),
    documents=st.booleans(),
    seed=st.integers(0, 99),
)
def test_block_masks(steps, cached, size, density, causal, masked, documents, seed):
    length = steps + cached
    generator, q, k, v = inputs(seed, 2, 2, 1, steps, length, 4)
    number = -(-length // size) + seed % 2
    blocks = BlockMask(torch.rand(number, number, generator=generator) < density, size)
    mask = torch.rand(2, length, generator=generator) > 0.3 if masked else None
    starts = torch.rand(2, length, generator=generator) > 0.9 if documents else None
    result = attention(q, k, v, causal=causal, blocks=blocks, mask=mask, starts=starts)
    seen = visible(steps, length, causal, None, 0, blocks, mask, starts, batch=2)
    assert_equal(q, k, v, result, dense(q, k, v, seen))


@pytest.mark.slow
@settings(max_examples=60)
@given(
    kind=st.sampled_from(["bigbird", "longformer", "strided", "fixed", "both-sided bigbird", "both-sided longformer"]),
    steps=st.integers(1, 40),
    cached=st.integers(0, 9),
    size=st.integers(1, 6),
    flags=st.sampled_from(["", "mask", "starts", "mask and starts"]),
    path=st.sampled_from(["pieces", "mask"]),
    seed=st.integers(0, 99),
)
def test_named_patterns(kind, steps, cached, size, flags, path, seed):
    """Each document by itself sees what the matrix of its own blocks shows."""
    length, causal, name = steps + cached, not kind.startswith("both"), kind.split()[-1]
    generator, q, k, v = inputs(seed, 2, 2, 1, steps, length, 4)
    mask = torch.rand(2, length, generator=generator) > 0.3 if "mask" in flags else None
    starts = torch.rand(2, length, generator=generator) > 0.9 if "starts" in flags else None
    layout = BlockLayout(name, size, 3, 1, 2, seed)
    with pytest.MonkeyPatch.context() as patch:
        if path == "mask":
            patch.setattr(ops_plan, "available", lambda q: False)
        result = attention(q, k, v, causal=causal, blocks=layout, mask=mask, starts=starts)
    seen = torch.zeros(2, steps, length, dtype=torch.bool)
    for row in range(2):
        begins = [0, *([] if starts is None else (starts[row, 1:].nonzero().flatten() + 1).tolist()), length]
        for begin, end in itertools.pairwise(begins):
            number = layout.number(end - begin)
            matrix = block_pattern(name, number, causal=causal, local=3, globals=1, random=2, seed=seed)
            own = visible(end - begin, end - begin, causal, blocks=BlockMask(matrix, size))[0]
            seen[row, max(0, begin - cached) : max(0, end - cached), begin:end] = own[max(0, cached - begin) :]
    if mask is not None:
        seen &= mask.unsqueeze(1) & mask[:, cached:].unsqueeze(2)
    assert_equal(q, k, v, result, dense(q, k, v, seen))


@pytest.mark.parametrize("trim", [1, 1000], ids=["trimmed", "one-call"])
@pytest.mark.parametrize("flags", ["", "mask", "starts", "mask and starts"])
@pytest.mark.parametrize(("steps", "cached"), [(1, 0), (130, 0), (300, 0), (517, 3), (256, 40)])
def test_causal(monkeypatch, steps, cached, flags, trim):
    for module in (ops_plan, ops_softmax):
        monkeypatch.setattr(module, "TRIM_FROM", trim)
    length = steps + cached
    generator, q, k, v = inputs(steps, 2, 2, 1, steps, length, 4)
    mask = torch.rand(2, length, generator=generator) > 0.3 if "mask" in flags else None
    starts = torch.rand(2, length, generator=generator) > 0.99 if "starts" in flags else None
    result = attention(q, k, v, causal=True, mask=mask, starts=starts)
    seen = torch.ones(steps, length, dtype=torch.bool).tril(cached).expand(2, -1, -1).clone()
    if mask is not None:
        seen &= mask.unsqueeze(1) & mask[:, cached:].unsqueeze(2)
    if starts is not None:
        document = starts.cumsum(1)
        seen &= document.unsqueeze(1) == document[:, cached:].unsqueeze(2)
    assert_equal(q, k, v, result, dense(q, k, v, seen))


@pytest.mark.parametrize("path", ["pieces", "mask"])
@pytest.mark.parametrize(
    "options", [{"causal": True, "window": 7, "sinks": 2}, {"causal": False, "window": 5}], ids=str
)
def test_content_under_the_mask_reaches_nothing(options, path, monkeypatch):
    monkeypatch.setattr(ops_plan, "available", (lambda q: False) if path == "mask" else piece_kernel.available)
    generator, q, k, v = inputs(3, 2, 2, 2, 50, 50, 4)
    mask = torch.rand(2, 50, generator=generator) > 0.4
    mask[1] = False
    results = []
    for content in (0.0, math.nan, math.inf):
        given_q, given_k, given_v = (
            x.detach().masked_fill(~mask[:, None, :, None], content).requires_grad_() for x in (q, k, v)
        )
        y = attention(given_q, given_k, given_v, mask=mask, **options)
        gradients = torch.autograd.grad(y.square().sum(), (given_q, given_k, given_v))
        assert not y[:, :, ~mask[1]][1].any()
        assert all(torch.isfinite(g).all() for g in (y, *gradients))
        results.append([y, *gradients])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("window", [37, None])
@pytest.mark.parametrize("masked", [False, True])
def test_alibi(window, masked):
    generator, q, k, v = inputs(5, 2, 3, 3, 150, 160, 4)
    real = torch.rand(2, 160, generator=generator) > 0.2 if masked else None
    slopes = alibi_slopes(3)
    distance = (torch.arange(10, 160).unsqueeze(1) - torch.arange(160)).abs()
    for pattern in (Pattern(True, window), Pattern(False, window)):
        result = execute(q, k, v, Plan(pattern, real, slopes=slopes))
        seen = pattern.sees(torch.arange(10, 160).unsqueeze(1), torch.arange(160), 160).expand(2, -1, -1)
        seen = seen if real is None else seen & real.unsqueeze(1)
        assert_equal(q, k, v, result, dense(q, k, v, seen, bias=-slopes[:, None, None] * distance))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_dtypes(dtype):
    """float32 to float32's precision; 16 bits to that of the inputs, computed in float32."""
    _, q, k, v = inputs(7, 1, 2, 2, 300, 300, 16)
    narrow = [x.detach().to(dtype) for x in (q, k, v)]
    exact = attention(*(x.double() for x in narrow), causal=True, window=40)
    result = attention(*narrow, causal=True, window=40)
    assert result.dtype == dtype
    tolerance = 1e-6 if dtype == torch.float32 else 2 * torch.finfo(dtype).eps
    torch.testing.assert_close(result.double(), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("options", [{"window": 9, "sinks": 2}, {"window": None}, {"window": 80}], ids=str)
def test_the_explicit_mask_gives_the_same(options, monkeypatch):
    """The plain path, which other devices take, and the weights that a probe reads."""
    monkeypatch.setattr(ops_plan, "TRIM_FROM", 1)
    _, q, k, v = inputs(8, 2, 2, 1, 60, 70, 4)
    fast = attention(q, k, v, causal=True, **options)
    with torch_attention.sdpa_kernel(torch_attention.SDPBackend.MATH):
        assert not piece_kernel.available(q)
        plain = attention(q, k, v, causal=True, **options)
        torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-10)
        (first,) = torch.autograd.grad(plain.square().sum(), q, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), v)
        assert torch.isfinite(second).all()
    probe, seen = Probe("B H T S"), []
    probe.register_forward_hook(lambda _module, _inputs, weights: seen.append(weights))
    execute(q, k, v, Plan(Pattern(True, **options)), probe)
    torch.testing.assert_close(seen[0] @ v.repeat_interleave(2, 1), fast, rtol=1e-10, atol=1e-10)


def test_a_window_of_one_is_the_value_itself():
    _, q, k, v = inputs(9, 2, 2, 2, 50, 50, 3)
    torch.testing.assert_close(attention(q, k, v, causal=True, window=1), v, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(attention(q, k, v, causal=False, window=1), v, rtol=1e-12, atol=1e-12)


def test_strided_inputs_and_no_gradient():
    _, q, k, v = inputs(10, 2, 3, 3, 90, 90, 4)
    far = [torch.stack([x, x]).permute(1, 3, 2, 4, 0)[..., 0].transpose(1, 2).detach() for x in (q, k, v)]
    for causal in (True, False):
        expected = attention(q, k, v, causal=causal, window=11)
        assert torch.equal(attention(*far, causal=causal, window=11), expected.detach())


@pytest.mark.parametrize("shape", [(0, 2, 5, 3), (2, 2, 0, 3)])
@pytest.mark.parametrize("options", [{"window": 3}, {}, {"blocks": BlockMask(torch.ones(3, 3).bool(), 2)}], ids=str)
def test_nothing_at_all(shape, options):
    q, k, v = (torch.zeros(shape, requires_grad=True) for _ in range(3))
    flags = torch.ones(shape[0], shape[2], dtype=torch.bool)
    for given_flags in ({}, {"mask": flags}, {"starts": flags}):
        y = attention(q, k, v, causal=True, **options, **given_flags)
        assert y.shape == shape
        y.sum().backward()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"sinks": 1}, "sinks need a causal window"),
        ({"sinks": 1, "window": 2, "causal": False}, "sinks need a causal window"),
        ({"window": 2, "blocks": BlockMask(torch.ones(3, 3).bool(), 2)}, "window and blocks exclude each other"),
        ({"blocks": BlockMask(torch.ones(2, 2).bool(), 2)}, "5 positions are 3 blocks of 2, but the mask has 2"),
        ({"blocks": BlockLayout("strided", 2), "causal": False}, "strided is causal only"),
        ({"blocks": BlockLayout("bigbird", 0)}, "block must be at least 1, got 0"),
        ({"mask": torch.ones(1, 5)}, r"mask must be bool of shape \(1, 5\), got torch.float32"),
        ({"starts": torch.ones(1, 4).bool()}, r"starts must be bool of shape \(1, 5\)"),
    ],
)
def test_refusals(options, message):
    x = torch.zeros(1, 1, 5, 2)
    with pytest.raises(ValueError, match=message), unchecked():
        attention(x, x, x, **{"causal": True, **options})
    with pytest.raises(ValueError, match="6 queries cannot be the last of 5 positions"):
        attention(torch.zeros(1, 1, 6, 2), x, x, causal=True)


@pytest.mark.slow
@pytest.mark.parametrize("causal", [False, True], ids=["both sides", "causal"])
def test_long_rows_with_alibi_form_no_square(causal):
    length = 8200
    q, k, v = torch.randn(3, 1, 1, length, 4)
    with torch.no_grad(), Written() as written:
        execute(q, k, v, Plan(Pattern(causal), slopes=torch.tensor([0.5])))
    assert written.most < length * length / 6


@pytest.mark.parametrize("kind", ["bigbird", "longformer", "strided", "fixed", "both-sided bigbird"])
def test_named_patterns_form_no_square(kind):
    """No operation writes more than a few numbers for each position, or what random blocks are drawn from at a time."""
    length, causal, name = 8192, not kind.startswith("both"), kind.split()[-1]
    q, k, v = torch.randn(3, 1, 1, length, 4).unbind(0)
    ops_patterns._kept.cache_clear()
    with torch.no_grad(), Written() as written:
        attention(q, k, v, causal=causal, blocks=BlockLayout(name, 2, 3, 1, 2))
    assert written.most <= max(ops_patterns.PAIRS, 64 * length) == 64 * length < (length // 2) ** 2 / 16


@pytest.mark.parametrize(
    ("threads", "steps", "pieces"), [(1, 800, True), (2, 800, False), (2, 400, True), (1, 300, False)]
)
def test_causal_calls_are_cut_where_that_gains(threads, steps, pieces, monkeypatch):
    """From 768 positions on torch's own kernel is as fast with more threads than one; what comes out is the same."""
    taken = []
    cut = ops_execute._by_pieces
    monkeypatch.setattr(ops_execute, "_by_pieces", lambda *arguments: taken.append(True) or cut(*arguments))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    q, k, v = torch.randn(3, 1, 2, steps, 8, generator=torch.Generator().manual_seed(0)).unbind(0)
    y = attention(q, k, v, causal=True)
    assert bool(taken) is pieces
    torch.testing.assert_close(y, F.scaled_dot_product_attention(q, k, v, is_causal=True), rtol=1e-5, atol=1e-5)
