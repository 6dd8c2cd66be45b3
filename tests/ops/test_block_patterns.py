"""The named patterns are those of the papers."""

from __future__ import annotations

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from sightline.ops.block_patterns import BlockLayout, block_pattern, random_blocks, scatter

NAMES = ("bigbird", "longformer", "strided", "fixed")


def drawn(seen: torch.Tensor) -> list[str]:
    return ["".join("#" if cell else "." for cell in row) for row in seen.tolist()]


def test_strided():
    """Child et al. 2019, § 4.2, for l = 3: the last l positions and itself, and every l-th one before them."""
    assert drawn(block_pattern("strided", 8, causal=True, local=3)) == [
        "#.......",
        "##......",
        "###.....",
        "####....",
        ".####...",
        "..####..",
        "#..####.",
        ".#..####",
    ]


def test_fixed():
    """Child et al. 2019, § 4.2, for l = 3 and c = 1: the own stretch, and the last position of each one before."""
    assert drawn(block_pattern("fixed", 8, causal=True, local=3, globals=1)) == [
        "#.......",
        "##......",
        "###.....",
        "..##....",
        "..###...",
        "..####..",
        "..#..##.",
        "..#..###",
    ]


def test_longformer():
    assert drawn(block_pattern("longformer", 7, causal=False, local=3, globals=1)) == [
        "#######",
        "###....",
        "####...",
        "#.###..",
        "#..###.",
        "#...###",
        "#....##",
    ]


@pytest.mark.parametrize("causal", [True, False])
def test_bigbird_adds_its_random_blocks_to_longformer_s(causal):
    with_random = block_pattern("bigbird", 40, causal=causal, local=3, globals=2, random=3)
    without = block_pattern("longformer", 40, causal=causal, local=3, globals=2)
    assert not (without & ~with_random).any()
    added = (with_random & ~without).sum(1)
    left = (~without).tril().sum(1) if causal else (~without).sum(1)
    assert torch.equal(added, left.clamp(max=3))


def test_random_blocks_are_spread_evenly_and_differ_by_seed():
    """Each of the columns that are left is drawn about equally often: χ² over 300 rows, p > 1e-4."""
    one, other = (block_pattern("bigbird", 300, causal=False, random=5, seed=seed) for seed in (0, 1))
    assert not torch.equal(one, other)
    extra = one & ~block_pattern("longformer", 300, causal=False)
    hits = extra.sum(0)[2:].double()
    statistic = float(((hits - hits.mean()) ** 2 / hits.mean()).sum())
    assert statistic < 297 + 3.72 * (2 * 297) ** 0.5
    assert len(set(scatter(torch.arange(300).unsqueeze(1), torch.arange(300)).flatten().tolist())) > 89_900


@pytest.mark.parametrize("name", NAMES)
def test_causal_rows_do_not_depend_on_how_many_follow(name):
    whole = block_pattern(name, 30, causal=True)
    for number in range(31):
        assert torch.equal(block_pattern(name, number, causal=True), whole[:number, :number])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("dense", {}, "pattern must be bigbird, longformer, strided or fixed, got 'dense'"),
        ("bigbird", {"local": 2, "causal": False}, "bigbird looks to both sides: local must be odd, got 2"),
        ("longformer", {"local": 0}, "local must be at least 1, got 0"),
        ("strided", {"causal": False}, "strided is causal only"),
        ("fixed", {"local": 3, "globals": 4}, "globals = 4 of local = 3 blocks"),
        ("bigbird", {"random": -1}, "globals and random must not be negative, got 2 and -1"),
    ],
)
def test_refusals(name, options, message):
    with pytest.raises(ValueError, match=message):
        # Any text: annotations would refuse what a configuration file may hold.
        getattr(block_pattern, "__wrapped__", block_pattern)(name, 5, **{"causal": True, **options})


def test_random_blocks_of_a_trace_are_not_kept():
    """A tensor of `torch.export` or of fake tensors has no values, and was found in the cache by the next call."""
    layout = BlockLayout("bigbird", 1, 3, 1, 2, seed=17)
    with FakeTensorMode():
        assert type(random_blocks(layout, 0, 9, 9, False)) is not torch.Tensor
    blocks = random_blocks(layout, 0, 9, 9, False)
    assert type(blocks) is torch.Tensor
    assert int(blocks.max()) < 9
