"""The patterns of blocks that papers name, as data: who sees whom, block by block."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

BlockPattern = Literal["bigbird", "longformer", "strided", "fixed"]


def block_pattern(
    name: BlockPattern,
    number: int,
    *,
    causal: bool,
    local: int = 3,
    globals: int = 2,
    random: int = 3,
    seed: int = 0,
) -> Tensor:
    """Whether block i of `number` sees block j, (N, N) bool, by the rule `name`; where `causal`, for j <= i only.

    `bigbird` (Zaheer et al. 2020, arXiv:2007.14062, § 2, internal construction): |i - j| <= local / 2; the first
        `globals` blocks see all and are seen by all; and `random` more blocks j for each i, drawn by `scatter`.
    `longformer` (Beltagy et al. 2020, arXiv:2004.05150, § 3.1): `bigbird` without random blocks.
    `strided` (Child et al. 2019, arXiv:1904.10509, § 4.3): i - j < l or (i - j) mod l = 0, with l = `local`.
    `fixed` (ibid.): ⌊i / l⌋ = ⌊j / l⌋ or j mod l >= l - c, with l = `local` and c = `globals`.

    Child et al. give the two sets of a pattern to different heads or layers, or join them, as here. Where causal, the
    local blocks of `bigbird` and `longformer` are a block's own and the local - 1 before it: those papers have no
    causal form with global blocks. The rows of causal patterns do not depend on `number`.

    Raises:
        ValueError: "bigbird looks to both sides: local must be odd, got 2"; "strided is causal only"; "local must be at
            least 1, got 0"; "globals = 4 of local = 3 blocks"; "globals and random must not be negative, got -1 and 0".
    """
    _check(name, causal, local, globals, random)
    row, column = torch.arange(number).unsqueeze(1), torch.arange(number)
    if name == "strided":
        seen = (row - column < local) | ((row - column) % local == 0)
    elif name == "fixed":
        seen = (row // local == column // local) | (column % local >= local - globals)
    else:
        seen = row - column < local if causal else (row - column).abs() <= local // 2
        seen = seen | (column < globals) | (row < globals)
    seen = seen & (column <= row) if causal else seen
    if name != "bigbird" or not random:
        return seen
    left = ~seen & (column <= row) if causal else ~seen
    ranked = (scatter(row, column, seed) * number + column).masked_fill(~left, torch.iinfo(torch.long).max)
    smallest = ranked.topk(min(random, number), 1, largest=False).indices
    return seen | (torch.zeros_like(seen).scatter_(1, smallest, True) & left)


def scatter(row: Tensor, column: Tensor, seed: int = 0) -> Tensor:
    """A number in 0…2³² - 1 for every pair, long: of the blocks left over, those with the smallest are drawn.

    x = 0x9E3779B1·i + 0x85EBCA77·j + 0xC2B2AE3D·seed, then x ^= x >> 15, x *= 0x2C1B3C6D, x ^= x >> 12,
    x *= 0x297A2D39, x ^= x >> 15, all modulo 2³². So the draw is the same everywhere, and row i needs no other row.
    """
    low = 2**32 - 1
    x = (0x9E3779B1 * row + 0x85EBCA77 * column + 0xC2B2AE3D * seed) & low
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        x = ((x ^ (x >> shift)) * factor) & low
    return x ^ (x >> 15)


def _check(name: str, causal: bool, local: int, globals: int, random: int) -> None:
    if name not in ("bigbird", "longformer", "strided", "fixed"):
        raise ValueError(f"a pattern is bigbird, longformer, strided or fixed, got {name!r}")
    if local < 1:
        raise ValueError(f"local must be at least 1, got {local}")
    if globals < 0 or random < 0:
        raise ValueError(f"globals and random must not be negative, got {globals} and {random}")
    if name in ("strided", "fixed"):
        if not causal:
            raise ValueError(f"{name} is causal only")
        if name == "fixed" and globals > local:
            raise ValueError(f"globals = {globals} of local = {local} blocks")
    elif not causal and local % 2 == 0:
        raise ValueError(f"{name} looks to both sides: local must be odd, got {local}")
