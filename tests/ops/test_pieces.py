"""Attention joined from pieces equals attention, and computes little besides visible pairs."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

import sightline.ops.blocks as ops_blocks
from sightline.ops.block_patterns import BlockLayout, BlockMask, block_pattern
from sightline.ops.block_pieces import block_pieces
from sightline.ops.blocks import Blocks, Gathered, Piece
from sightline.ops.pattern import Pattern
from sightline.ops.piece_kernel import BACKWARD, FORWARD, attention_by_pieces
from sightline.ops.window_pieces import causal_pieces, sink_pieces, window_pieces

F64 = torch.float64


def inputs(seed, rows, steps, length, width=4):
    generator = torch.Generator().manual_seed(seed)
    sizes = (steps, length, length)
    return [torch.randn(1, rows, n, width, generator=generator, dtype=F64).requires_grad_() for n in sizes]


def dense(q, k, v, visible, scale):
    some = visible.any(-1, keepdim=True)
    logits = (q @ k.mT * scale).masked_fill(~visible & some, -math.inf)
    return torch.softmax(logits, -1) * some @ v


def computed(pieces, steps, length):
    """How many times the pieces let a kernel form each logit (T, S), and what it makes of those that a mask leaves."""
    formed, seen = torch.zeros(steps, length, dtype=torch.long), torch.zeros(steps, length, dtype=torch.long)
    for piece in pieces:
        at = piece.queries.take(torch.arange(steps).unsqueeze(0))[0]  # (N, rows)
        keys = piece.keys.take(torch.arange(length).unsqueeze(0))[0]
        allowed = torch.ones(at.shape[0], at.shape[1], keys.shape[1], dtype=torch.bool)
        if piece.causal:
            allowed = allowed.tril()
        if piece.mask is not None:
            allowed = allowed & (piece.mask == 0)
        for n in range(len(at)):
            place = at[n].unsqueeze(1), keys[n].unsqueeze(0)
            formed[place] += 1
            seen[place] += allowed[n]
    return formed, seen


def assert_attends(pieces, steps, length, visible, seed):
    """Every visible key once and no other, and so are outputs and gradients."""
    _, seen = computed(pieces, steps, length)
    assert torch.equal(seen, visible.long())
    q, k, v = inputs(seed, 2, steps, length)
    actual, expected = attention_by_pieces(q, k, v, pieces, 0.7), dense(q, k, v, visible, 0.7)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)
    weights = torch.randn(actual.shape, dtype=F64, generator=torch.Generator().manual_seed(seed))
    one = torch.autograd.grad((actual * weights).sum(), (q, k, v))
    other = torch.autograd.grad((expected * weights).sum(), (q, k, v))
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@settings(max_examples=50)
@given(st.integers(1, 60), st.integers(0, 9), st.integers(1, 12), st.integers(0, 99))
def test_causal(steps, cached, block, seed):
    length = steps + cached
    visible = torch.ones(steps, length, dtype=torch.bool).tril(cached)
    assert_attends(causal_pieces(steps, length, block), steps, length, visible, seed)


@settings(max_examples=80)
@given(
    steps=st.integers(1, 60),
    cached=st.integers(0, 15),
    before=st.integers(0, 20),
    after=st.integers(0, 20),
    sinks=st.integers(0, 6),
    block=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_windows(steps, cached, before, after, sinks, block, seed):
    length = steps + cached
    at, keys = torch.arange(cached, length).unsqueeze(1), torch.arange(length)
    visible = (at - keys <= before) & (keys - at <= after)
    pieces = window_pieces(steps, length, before, after, F64, block)
    if after == 0:
        visible |= (keys < sinks) & (keys <= at)
        pieces += sink_pieces(steps, length, before, sinks, F64)
    assert_attends(pieces, steps, length, visible, seed)


@settings(max_examples=80)
@given(
    steps=st.integers(1, 40),
    cached=st.integers(0, 15),
    size=st.integers(1, 7),
    density=st.sampled_from([0.0, 0.2, 0.8, 1.0]),
    shared=st.integers(0, 2),
    causal=st.booleans(),
    seed=st.integers(0, 99),
)
def test_block_masks(steps, cached, size, density, shared, causal, seed):
    length = steps + cached
    number = -(-length // size)
    blocks = torch.rand(number, number, generator=torch.Generator().manual_seed(seed)) < density
    blocks[:, :shared] = True
    pieces = block_pieces(BlockMask(blocks, size), causal, steps, length, F64)
    at, keys = torch.arange(cached, length).unsqueeze(1), torch.arange(length)
    visible = blocks[at // size, keys // size] & ((keys <= at) | (not causal))
    assert_attends(pieces, steps, length, visible, seed)


@pytest.mark.slow
@settings(max_examples=200)
@given(
    kind=st.sampled_from(["bigbird", "longformer", "both-sided bigbird", "both-sided longformer", "strided", "fixed"]),
    steps=st.integers(1, 60),
    cached=st.integers(0, 30),
    size=st.integers(1, 7),
    local=st.integers(1, 6),
    summary=st.integers(0, 3),
    random=st.integers(0, 3),
    seed=st.integers(0, 99),
)
def test_named_patterns(kind, steps, cached, size, local, summary, random, seed):
    """Pieces cut from the rule are those of the matrix of all blocks."""
    causal, name = not kind.startswith("both"), kind.split()[-1]
    local = local if causal else local // 2 * 2 + 1
    summary = min(summary, local) if name == "fixed" else summary
    layout = BlockLayout(name, size, local, summary, random, seed)
    length = steps + cached
    blocks = block_pattern(
        name, layout.number(length), causal=causal, local=local, globals=summary, random=random, seed=seed
    )
    at, keys = torch.arange(cached, length).unsqueeze(1), torch.arange(length)
    visible = blocks[at // size, keys // size] & ((keys <= at) | (not causal))
    assert_attends(block_pieces(layout, causal, steps, length, F64), steps, length, visible, seed)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["strided", "fixed"])
@pytest.mark.parametrize(("size", "local", "summary"), [(1, 40, 7), (16, 20, 3), (3, 77, 77), (64, 3, 1)])
@pytest.mark.parametrize("cached", [0, 333])
def test_long_strides(name, size, local, summary, cached):
    """Strides, and stretches, that are cut up in turn."""
    length = 1531
    layout = BlockLayout(name, size, local, summary)
    blocks = block_pattern(name, layout.number(length), causal=True, local=local, globals=summary)
    at, keys = torch.arange(cached, length).unsqueeze(1), torch.arange(length)
    visible = blocks[at // size, keys // size] & (keys <= at)
    assert_attends(block_pieces(layout, True, length - cached, length, F64), length - cached, length, visible, 0)


def test_portions_change_nothing(monkeypatch):
    visible = torch.ones(60, 60, dtype=torch.bool).tril().triu(-9)
    monkeypatch.setattr(ops_blocks, "PORTION", 1)
    assert_attends(window_pieces(60, 60, 9, 0, F64, 4), 60, 60, visible, 0)
    blocks = torch.rand(12, 12, generator=torch.Generator().manual_seed(0)) < 0.5
    pieces = block_pieces(BlockMask(blocks, 5), True, 60, 60, F64)
    visible = blocks.repeat_interleave(5, 0).repeat_interleave(5, 1).tril()
    assert_attends(pieces, 60, 60, visible, 0)


def test_a_view_where_blocks_lie_regularly_and_a_copy_elsewhere():
    x = torch.arange(48.0).view(2, 24, 1)
    overlapping = Blocks(2, 8, 4, 4).take(x)
    assert overlapping.data_ptr() == x[:, 2:].data_ptr()
    assert overlapping[1, 3, :, 0].tolist() == list(range(38, 46))
    gathered = Gathered(torch.tensor([[0, 2], [1, 0]]), 4, 6).take(x)
    assert gathered[0, 0, :, 0].tolist() == [6, 7, 8, 9, 14, 15, 16, 17]
    band = torch.ones(6, 6, dtype=torch.bool).tril(-1).triu(-2)
    assert not any(isinstance(p.keys, Gathered) for p in block_pieces(BlockMask(band, 4), True, 24, 24, F64))


@pytest.mark.slow
def test_gradcheck():
    q, k, v = inputs(0, 2, 9, 11, 3)
    blocks = BlockMask(torch.rand(4, 4, generator=torch.Generator().manual_seed(1)) < 0.6, 3)
    for pieces in (
        causal_pieces(9, 11, 2),
        window_pieces(9, 11, 3, 1, F64, 2),
        block_pieces(blocks, True, 9, 11, F64),
    ):
        assert torch.autograd.gradcheck(lambda *qkv, p=pieces: attention_by_pieces(*qkv, p, 0.6), (q, k, v))


def test_no_gradient_of_the_gradient():
    q, k, v = inputs(0, 1, 5, 5)
    (first,) = torch.autograd.grad(
        attention_by_pieces(q, k, v, causal_pieces(5, 5, 2), 1.0).sum(), q, create_graph=True
    )
    with pytest.raises(RuntimeError, match="has no gradient of its gradient"):
        first.sum().backward()


def test_joining_survives_large_logits():
    """Equal weights over all keys at every size of the logits; and one key that outweighs the others."""
    q, k, v = (x.detach() for x in inputs(0, 1, 64, 64))
    for size in (0.0, 1e4):
        flat = torch.full_like(k, size)
        y = attention_by_pieces(torch.ones_like(q), flat, v, causal_pieces(64, 64, 4), 1.0)
        expected = v.cumsum(2) / torch.arange(1, 65).unsqueeze(1)
        torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-9)
    k[:, :, 0] = 1e4 * q.sign()[:, :, -1]
    y = attention_by_pieces(q, k, v, causal_pieces(64, 64, 4), 1.0)
    torch.testing.assert_close(y[:, :, -1], v[:, :, 0], rtol=1e-12, atol=1e-12)


class TestCost:
    """Logits that are computed, against those that are visible."""

    @pytest.mark.parametrize("steps", [512, 1024, 1000])
    def test_causal(self, steps):
        formed, _ = computed(causal_pieces(steps, steps), steps, steps)
        assert formed.sum() <= steps * (steps + 128) / 2 <= (0.63 if steps == 512 else 0.57) * steps**2

    @pytest.mark.parametrize(("window", "excess"), [(256, 1.25), (128, 1.25), (1024, 1.25)])
    @pytest.mark.parametrize("causal", [True, False])
    def test_windows(self, window, excess, causal):
        formed, seen = computed(Pattern(causal, window).pieces(4096, 4096, F64), 4096, 4096)
        assert formed.sum() <= excess * seen.sum()

    @pytest.mark.parametrize("causal", [True, False])
    def test_block_masks(self, causal):
        blocks = torch.rand(20, 20, generator=torch.Generator().manual_seed(0)) < 0.3
        formed, _ = computed(block_pieces(BlockMask(blocks, 8), causal, 157, 157, F64), 157, 157)
        seen = (blocks.tril() if causal else blocks).repeat_interleave(8, 0).repeat_interleave(8, 1)[:157, :157]
        assert torch.equal(formed.bool(), seen)
        assert formed.max() == 1


class TestKernel:
    """The behaviour of torch's private kernel that we rely on."""

    forward, backward = (staticmethod(getattr(torch.ops.aten, name)) for name in (FORWARD, BACKWARD))

    @pytest.mark.parametrize("dtype", [torch.float32, F64])
    @pytest.mark.parametrize("causal", [True, False])
    def test_it_returns_the_logarithm_of_the_normaliser(self, dtype, causal):
        q, k, v = (x.detach().to(dtype) for x in inputs(0, 3, 9, 9))
        y, norm = self.forward(q, k, v, 0.0, causal, scale=0.7)
        visible = torch.ones(9, 9, dtype=torch.bool)
        visible = visible.tril() if causal else visible
        logits = (q @ k.mT * 0.7).masked_fill(~visible, -math.inf)
        assert norm.dtype == dtype
        torch.testing.assert_close(norm, logits.logsumexp(-1))
        torch.testing.assert_close(y, dense(q, k, v, visible, 0.7))

    def test_its_gradient_follows_from_the_outputs_and_normalisers_that_it_is_given(self):
        """P = exp(logit - norm), dV = Pᵀ dY, dS = P ∘ (dY Vᵀ - rowsum(dY ∘ Y)), and norm = ∞ switches a query off."""
        q, k, v = (x.detach() for x in inputs(0, 2, 7, 7))
        grad, y = torch.randn(2, 1, 2, 7, 4, dtype=F64, generator=torch.Generator().manual_seed(2))
        norm = (q @ k.mT * 0.7).logsumexp(-1) + 1.5
        norm[..., 3] = math.inf
        weights = (q @ k.mT * 0.7 - norm.unsqueeze(-1)).exp()
        by_logit = weights * (grad @ v.mT - (grad * y).sum(-1, keepdim=True))
        expected = (0.7 * by_logit @ k, 0.7 * by_logit.mT @ q, weights.mT @ grad)
        actual = self.backward(grad, q, k, v, y, norm, 0.0, False, scale=0.7)
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("shape", [(1, 1, 5, 6), (1, 3, 5, 6), (1, 3, 1, 6)], ids=str)
    def test_it_broadcasts_masks_and_reads_overlapping_blocks(self, shape):
        q = torch.randn(2, 3, 5, 4, dtype=F64)
        k = Blocks(1, 6, 3, 2).take(torch.randn(2, 12, 4, dtype=F64))
        mask = torch.zeros(shape, dtype=F64)
        mask[..., 2] = -math.inf
        y, norm = self.forward(q, k, k, 0.0, False, attn_mask=mask, scale=1.0)
        logits = q @ k.mT + mask
        torch.testing.assert_close(norm, logits.logsumexp(-1))
        torch.testing.assert_close(y, logits.softmax(-1) @ k)


def test_what_is_not_seen_by_any_piece_is_zero():
    q, k, v = inputs(0, 2, 6, 6)
    pieces = [Piece(Blocks(2, 2), Blocks(0, 3))]
    y = attention_by_pieces(q, k, v, pieces, 1.0)
    assert not y[:, :, [0, 1, 4, 5]].any()
    gradients = torch.autograd.grad(y.square().sum(), (q, k, v))
    assert not any(g[:, :, 4:].any() for g in gradients)
