"""Patterns of blocks, those with a name in the literature and explicit ones: which block sees which.

The causal `longformer` with local = 2 and globals = 1, over 5 blocks, and `strided` with local = 2:

    1 0 0 0 0      1 0 0 0 0
    1 1 0 0 0      1 1 0 0 0
    1 1 1 0 0      1 1 1 0 0
    1 0 1 1 0      0 1 1 1 0
    1 0 0 1 1      1 0 1 1 1
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sightline.core.shapes import AnyMask, Bool, Int
from sightline.ops.eager import eager
from sightline.ops.traced import any_length

BlockPattern = Literal["bigbird", "longformer", "strided", "fixed"]
NONE = torch.iinfo(torch.long).max  # a rank behind all others
PAIRS = 2**17  # pairs of blocks that random blocks are drawn from at a time, so that caches hold them

BlockNumbers = Int[Tensor, "..."]
BlockEntries = Int[Tensor, "E"]  # of lists of blocks, row after row
ChosenEntries = Bool[Tensor, "E"]
BlockRow = Int[Tensor, "R 1"]
BlockColumns = Int[Tensor, "R C"]
BlockMatrix = Bool[Tensor, "N N"]


class BlockLists(NamedTuple):
    """The key blocks that each of some consecutive query blocks sees, ascending, row after row."""

    first: int  # the first query block
    counts: Tensor  # (R,) long, how many each sees
    columns: Tensor  # (Σ counts,) long

    def rows(self) -> BlockEntries:
        """The query block of each entry, (Σ counts,)."""
        return self.first + torch.arange(len(self.counts)).repeat_interleave(self.counts)

    def where(self, chosen: ChosenEntries) -> BlockLists:
        """The entries where `chosen` (Σ counts,) bool is True."""
        counts = torch.bincount(self.rows()[chosen] - self.first, minlength=len(self.counts))
        return BlockLists(self.first, counts, self.columns[chosen])

    def between(self, first: int, last: int) -> BlockLists:
        """The rows first..last-1."""
        begin, end = max(first, self.first) - self.first, max(last, first, self.first) - self.first
        before, counts = int(self.counts[:begin].sum()), self.counts[begin:end]
        return BlockLists(self.first + begin, counts, self.columns[before : before + int(counts.sum())])

    def equal(self, count: int) -> tuple[BlockRow, BlockColumns]:
        """The rows (R, 1) that see `count` blocks, and those blocks (R, count)."""
        at = (self.counts == count).nonzero()
        begins = (self.counts.cumsum(0) - self.counts)[at]
        return self.first + at, self.columns[begins + torch.arange(count)]


class BlockMask(NamedTuple):
    """A pattern of blocks: block i of the queries sees block j of the keys where `visible[i, j]`."""

    visible: Tensor  # (N, N) bool
    size: int  # positions in a block; the last one may be shorter

    def number(self, length: int) -> int:
        """The number of blocks of `length` positions; the last one may be shorter."""
        return -(-length // self.size)

    def counted(self, causal: bool) -> bool:
        """Whether who sees whom depends on how many blocks there are."""
        return False

    def check(self, length: int, causal: bool) -> None:
        """Raise `ValueError` where the matrix is too small for `length` positions."""
        number, there = self.number(length), min(self.visible.shape)
        if there < number:
            raise ValueError(f"{length} positions are {number} blocks of {self.size}, but the mask has {there}")

    def sees(self, row: BlockNumbers, column: BlockNumbers, number: int, causal: bool) -> AnyMask:
        """Whether query blocks `row` see key blocks `column`, bool; ignores `causal`."""
        return self.visible.to(row.device)[row, column]

    def lists(self, first: int, last: int, number: int, causal: bool) -> BlockLists:
        """The blocks that query blocks first..last-1 of `number` see, up to their own where `causal`."""
        visible = self.visible[first:last, :number].cpu()
        return _listed(visible.tril(first) if causal else visible, first)


class BlockLayout(NamedTuple):
    """A named pattern (see `block_pattern`) over any number of blocks of `size` positions.

    `BlockMask(block_pattern(…), size)` shows the same, but its memory grows with the square of their number, and that
    of a layout with the blocks that are seen. `rows` "global" leaves only the first `globals` blocks seeing anything,
    "other" all but those.
    """

    pattern: BlockPattern = "bigbird"
    size: int = 64
    local: int = 3
    globals: int = 2
    random: int = 3
    seed: int = 0
    rows: Literal["all", "global", "other"] = "all"

    def number(self, length: int) -> int:
        """The number of blocks of `length` positions; the last one may be shorter."""
        return -(-length // self.size)

    def counted(self, causal: bool) -> bool:
        """Whether who sees whom depends on how many blocks there are: random ones may be any of them."""
        return self.pattern == "bigbird" and self.random > 0 and not causal

    def check(self, length: int, causal: bool) -> None:
        """Raise `ValueError` where the options contradict each other; see `block_pattern`."""
        if self.size < 1:
            raise ValueError(f"block must be at least 1, got {self.size}")
        _check(self.pattern, causal, self.local, self.globals, self.random)

    def sees(self, row: BlockNumbers, column: BlockNumbers, number: int, causal: bool) -> AnyMask:
        """Whether blocks `row` of `number` see blocks `column`, bool."""
        if self.pattern == "strided":
            seen = (row - column < self.local) | ((row - column) % self.local == 0)
        elif self.pattern == "fixed":
            seen = (row // self.local == column // self.local) | (column % self.local >= self.local - self.globals)
        else:
            seen = row - column < self.local if causal else (row - column).abs() <= self.local // 2
            seen = seen | (column < self.globals) | (row < self.globals)
            for drawn in self._drawn(0, number, number, causal).to(row.device)[row].unbind(-1):
                seen = seen | (drawn == column)
        seen = seen & (column <= row) if causal else seen
        if self.rows == "all":
            return seen
        return seen & ((row < self.globals) == (self.rows == "global"))

    def lists(self, first: int, last: int, number: int, causal: bool) -> BlockLists:
        """The blocks that query blocks first..last-1 of `number` see, up to their own where `causal`."""
        if self.pattern in ("strided", "fixed") or last <= first:
            row = torch.arange(first, max(first, last)).unsqueeze(1)
            return _listed(self.sees(row, torch.arange(number), number, causal), first)
        summary = min(self.globals, number)
        split = min(max(first, summary), last)
        of_all, of_some = torch.arange(first, split).unsqueeze(1), torch.arange(split, last).unsqueeze(1)
        whole = _listed((torch.arange(number) <= of_all) | (not causal), first)
        columns = torch.cat([self.common(of_some, number, causal), self._drawn(split, last, number, causal)], 1)
        columns = columns.sort(1).values
        there = columns >= 0
        if self.rows == "global":
            there = torch.zeros_like(there)
        elif self.rows == "other":
            whole = BlockLists(first, torch.zeros_like(whole.counts), whole.columns[:0])
        return BlockLists(first, torch.cat([whole.counts, there.sum(1)]), torch.cat([whole.columns, columns[there]]))

    def common(self, row: BlockRow, number: int, causal: bool) -> BlockColumns:
        """The global and the local blocks that blocks `row` (R, 1) of `number` see, (R, ·) long, -1 for none."""
        most = number if not any_length(number) else max(self.globals, self.local)
        summary, half = min(self.globals, most), min(self.local // 2, most)
        near = torch.arange(1 - min(self.local, most), 1) if causal else torch.arange(-half, half + 1)
        columns = torch.cat([torch.arange(summary).expand(row.shape[0], -1), row + near], 1)
        columns[:, summary:].masked_fill_(columns[:, summary:] < summary, -1)
        return columns.masked_fill_(columns > (row if causal else number - 1), -1)

    def _drawn(self, first: int, last: int, number: int, causal: bool) -> Tensor:
        if self.pattern != "bigbird" or not self.random:
            return torch.zeros(max(0, last - first), 0, dtype=torch.long)
        if any_length(number):
            return _drawn_at_once(self, first, last, number, causal)
        if last <= first:
            return torch.zeros(0, 0, dtype=torch.long)
        return random_blocks(self._replace(size=1, rows="all"), first, last, number, causal)


def random_blocks(layout: BlockLayout, first: int, last: int, number: int, causal: bool) -> BlockColumns:
    """The random blocks of the query blocks first..last-1 of `number`, (R, `random`) long; -1 where none is left.

    They are kept for later calls, except in a trace, whose tensors have no values.
    """
    traced = type(torch.empty(0)) is not Tensor
    return (_draw if traced else _kept)(layout, first, last, number, causal)


@eager
def _draw(layout: BlockLayout, first: int, last: int, number: int, causal: bool) -> Tensor:
    # The kept result must not depend on the first caller's device or gradient mode.
    with torch.inference_mode(False), torch.device("cpu"):
        step = max(1, PAIRS // number)
        drawn = torch.full((last - first, layout.random), -1)
        for begin in range(first, last, step):
            end = min(begin + step, last)
            ranked = _ranked(layout, begin, end, number, causal)
            smallest, chosen = ranked.topk(min(layout.random, ranked.shape[1]), 1, largest=False)
            drawn[begin - first : end - first, : chosen.shape[1]] = chosen.masked_fill_(smallest == NONE, -1)
        return drawn


_kept = lru_cache(maxsize=64)(_draw)


def _drawn_at_once(layout: BlockLayout, first: int, last: int, number: int, causal: bool) -> Tensor:
    """`random_blocks` for a number of blocks that `torch.export` leaves open."""
    ranked = _ranked(layout, first, last, number, causal)
    ranked = torch.cat([ranked, ranked.new_full((ranked.shape[0], layout.random), NONE)], 1)
    smallest, chosen = ranked.topk(layout.random, 1, largest=False)
    return chosen.masked_fill(smallest == NONE, -1)


def _ranked(layout: BlockLayout, begin: int, end: int, number: int, causal: bool) -> Tensor:
    """A number for every block that the query blocks begin..end-1 may draw, `NONE` for those that they may not."""
    row, column = torch.arange(begin, end).unsqueeze(1), torch.arange(end if causal else number)
    ranked = scatter(row, column, layout.seed)  # no two alike in a row: each step of it can be undone
    if causal:
        ranked[:, begin:].masked_fill_(column[begin:] > row, NONE)
    taken = layout.common(row, number, causal)
    ranked.scatter_(1, torch.where(taken < 0, row, taken), NONE)  # every block sees itself
    ranked[: max(0, layout.globals - begin)] = NONE
    return ranked


def block_pattern(
    name: BlockPattern, number: int, *, causal: bool, local: int = 3, globals: int = 2, random: int = 3, seed: int = 0
) -> BlockMatrix:
    """Whether block i of `number` sees block j, (N, N) bool, by the rule `name`; where `causal`, for j <= i only.

    `bigbird` (Zaheer et al. 2020, arXiv:2007.14062, internal construction): |i - j| <= local / 2; the first
        `globals` blocks see all and are seen by all; and `random` more blocks j for each i, drawn by `scatter`.
    `longformer` (Beltagy et al. 2020, arXiv:2004.05150): `bigbird` without random blocks.
    `strided` (Child et al. 2019, arXiv:1904.10509): i - j < l or (i - j) mod l = 0, with l = `local`.
    `fixed` (ibid.): ⌊i / l⌋ = ⌊j / l⌋ or j mod l >= l - c, with l = `local` and c = `globals`.

    Child et al. give the two sets of a pattern to different heads or layers, or join them, as here. Where causal, the
    local blocks of `bigbird` and `longformer` are a block's own and the local - 1 before it: those papers have no
    causal form with global blocks. The rows of causal patterns do not depend on `number`.

    Raises:
        ValueError: "bigbird looks to both sides: local must be odd, got 2"; "strided is causal only"; "local must be at
            least 1, got 0"; "globals = 4 of local = 3 blocks"; "globals and random must not be negative, got -1 and 0".
    """
    layout = BlockLayout(name, 1, local, globals, random, seed)
    layout.check(number, causal)
    return layout.sees(torch.arange(number).unsqueeze(1), torch.arange(number), number, causal)


def scatter(row: BlockNumbers, column: BlockNumbers, seed: int = 0) -> BlockNumbers:
    """A number in 0…2³² - 1 for every pair, long: of the remaining blocks, those with the smallest numbers are drawn.

    x = 0x9E3779B1·i + 0x85EBCA77·j + 0xC2B2AE3D·seed, then x ^= x >> 15, x *= 0x2C1B3C6D, x ^= x >> 12,
    x *= 0x297A2D39, x ^= x >> 15, all modulo 2³². So the draw is the same everywhere, and row i needs no other row.
    """
    low = 2**32 - 1
    x = (0x9E3779B1 * row + (0x85EBCA77 * column + 0xC2B2AE3D * seed)).bitwise_and_(low)
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        x.bitwise_xor_(x >> shift).mul_(factor).bitwise_and_(low)
    return x.bitwise_xor_(x >> 15)


def _listed(visible: Tensor, first: int) -> BlockLists:
    """The lists of visible (R, N)."""
    return BlockLists(first, visible.sum(1), visible.nonzero()[:, 1])


def _check(name: str, causal: bool, local: int, globals: int, random: int) -> None:
    if name not in ("bigbird", "longformer", "strided", "fixed"):
        raise ValueError(f"pattern must be bigbird, longformer, strided or fixed, got {name!r}")
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
