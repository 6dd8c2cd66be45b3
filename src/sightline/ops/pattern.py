"""Which keys a query may see by where it stands, as a mask and as the pieces that a kernel computes."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from sightline.ops.blocks import Blocks, Gathered, Piece

DIAGONAL = 128  # rows of the smallest triangle that a causal pattern is cut into


class BlockMask(NamedTuple):
    """A pattern of blocks: block i of the queries sees block j of the keys where `visible[i, j]`."""

    visible: Tensor  # (N, N) bool
    size: int  # positions in a block; the last one may be shorter

    def number(self, length: int) -> int:
        """Blocks that `length` positions fill, the last one perhaps in part."""
        return -(-length // self.size)


class Pattern(NamedTuple):
    """Whom a query sees, by positions alone. The last of T queries stands at the last of S >= T keys.

    `causal` hides keys after the query; `window` w hides those w or more positions away (before it and, where not
    causal, after it), the first `sinks` keys excepted; `blocks` hides all keys of some blocks.
    """

    causal: bool
    window: int | None = None
    sinks: int = 0
    blocks: BlockMask | None = None

    @property
    def everywhere(self) -> bool:
        """Whether nothing is hidden, a causal limit apart."""
        return self.window is None and self.blocks is None

    def visible(self, first: int, last: int, steps: int, length: int, device: torch.device) -> Tensor:
        """Whether the queries first..last-1 of `steps` see each of `length` keys, (last - first, S) bool."""
        offset = length - steps
        at = torch.arange(offset + first, offset + last, device=device).unsqueeze(1)
        return self.sees(at, torch.arange(length, device=device))

    def sees(self, at: Tensor, keys: Tensor) -> Tensor:
        """Whether queries at the places `at` see keys at the places `keys`, bool, both counted in their document."""
        seen = keys <= at if self.causal else torch.ones_like(keys <= at)
        if self.window is not None:
            seen = seen & (((at - keys).abs() < self.window) | (keys < self.sinks))
        if self.blocks is not None:
            of_block = self.blocks.visible.to(at.device)[at // self.blocks.size, keys // self.blocks.size]
            seen = seen & of_block
        return seen

    def pieces(self, steps: int, length: int, dtype: torch.dtype) -> list[Piece]:
        """What this pattern lets `steps` queries see of `length` keys, with little besides."""
        if steps == 0:
            return []
        if self.blocks is not None:
            return sparse_pieces(self.blocks, self.causal, steps, length)
        if self.window is None:
            return causal_pieces(steps, length) if self.causal else [Piece(Blocks(0, steps), Blocks(0, length))]
        before = min(self.window, length) - 1
        pieces = window_pieces(steps, length, before, 0 if self.causal else before, dtype)
        return pieces + sink_pieces(steps, length, before, self.sinks, dtype)


def causal_pieces(steps: int, length: int, block: int = DIAGONAL) -> list[Piece]:
    """Triangles of `block` rows along the diagonal, and the rectangles before them, twice as large each time.

    With c = block this costs T²/2 + cT/2 products of a query and a key, of which T²/2 are needed; torch's kernel, which
    reads keys 512 at a time, costs T² up to 512 positions and T²/2 + 256 T from there on.
    """
    offset = length - steps
    pieces = [Piece(Blocks(0, steps), Blocks(0, offset))] if offset else []
    whole, rest = divmod(steps, block)
    if whole:
        pieces.append(Piece(Blocks(0, block, whole, block), Blocks(offset, block, whole, block), causal=True))
    if rest:
        pieces.append(Piece(Blocks(whole * block, rest), Blocks(offset + whole * block, rest), causal=True))
    width = block
    while width < steps:
        pairs = steps // (2 * width)
        if pairs:
            pieces.append(Piece(Blocks(width, width, pairs, 2 * width), Blocks(offset, width, pairs, 2 * width)))
        left = 2 * width * pairs
        if left + width < steps:
            pieces.append(Piece(Blocks(left + width, steps - left - width), Blocks(offset + left, width)))
        width *= 2
    return pieces


def window_pieces(
    steps: int, length: int, before: int, after: int, dtype: torch.dtype, block: int | None = None
) -> list[Piece]:
    """`block` queries at a time over the `before + block + after` keys that one of them sees: one piece, two ends.

    A query costs products with before + block + after keys, of which before + 1 + after are needed.
    """
    block = block or min(256, max(32, (before + after + 1) // 128 * 32))
    offset = length - steps
    first = max(0, math.ceil((before - offset) / block))  # from here on no query reaches back before the first key
    last = (steps - after) // block  # up to here none reaches past the last one
    pieces = []
    if last > first:
        start = offset + first * block - before
        size = before + block + after
        mask = _band(before, block, size, before, after, dtype)
        queries = Blocks(first * block, block, last - first, block)
        pieces.append(Piece(queries, Blocks(start, size, last - first, block), mask=mask))
    else:
        first = last = 0
    for edge in (range(0, first * block, block), range(last * block, steps, block)):
        for at in edge:
            size = min(block, steps - at)
            start, stop = max(0, offset + at - before), min(length, offset + at + size + after)
            mask = _band(offset + at - start, size, stop - start, before, after, dtype)
            pieces.append(Piece(Blocks(at, size), Blocks(start, stop - start), mask=mask))
    return pieces


def sink_pieces(steps: int, length: int, before: int, sinks: int, dtype: torch.dtype) -> list[Piece]:
    """The first `sinks` keys for the queries whose window, `before` keys back, does not reach them any more."""
    offset, sinks = length - steps, min(sinks, length)
    some = min(steps, max(0, before + 1 - offset))  # from here on a query has the first sink behind its window
    every = min(steps, max(0, before + sinks - offset))  # from here on all sinks
    pieces = []
    if sinks and every > some:
        rows = torch.arange(some, every).unsqueeze(1)
        hidden = rows + offset - torch.arange(sinks) <= before  # in the window, and counted there
        mask = torch.zeros(hidden.shape, dtype=dtype).masked_fill_(hidden, -math.inf)
        pieces.append(Piece(Blocks(some, every - some), Blocks(0, sinks), mask=mask))
    if sinks and steps > every:
        pieces.append(Piece(Blocks(every, steps - every), Blocks(0, sinks)))
    return pieces


def _band(ahead: int, rows: int, keys: int, before: int, after: int, dtype: torch.dtype) -> Tensor | None:
    """0 where -after <= ahead + i - j <= before and -inf elsewhere, (rows, keys); None where nothing is hidden."""
    if ahead + rows - 1 <= before and keys - 1 - ahead <= after:
        return None
    distance = ahead + torch.arange(rows).unsqueeze(1) - torch.arange(keys)
    hidden = (distance > before) | (distance < -after)
    return torch.zeros(rows, keys, dtype=dtype).masked_fill_(hidden, -math.inf)


def sparse_pieces(blocks: BlockMask, causal: bool, steps: int, length: int) -> list[Piece]:
    """The visible blocks: gathered for each row of blocks, rows with equally many in one piece.

    Where causal, blocks on the diagonal are triangles. First columns that all rows see are read in one piece, without
    gathering. Rows of blocks of which only some queries are here, and a shorter last block, have pieces of their own.
    """
    size, offset = blocks.size, length - steps
    number = blocks.number(length)
    visible = blocks.visible[:number, :number].cpu()
    whole = length // size  # key blocks of full size
    far = visible.tril(-1)[:, :whole] if causal else visible[:, :whole]
    first = math.ceil(offset / size)  # the rows of blocks from here to `whole` have all their queries
    pieces = _whole_rows(far, first, whole, size, offset)
    if causal:
        rows = first + visible.diagonal()[first:whole].nonzero()  # (R, 1)
        if len(rows):
            pieces.append(Piece(_joined(rows, size, -offset), _joined(rows, size), causal=True))
    for row in sorted({offset // size, number - 1} - set(range(first, whole))):
        start, stop = max(offset, row * size), min(length, (row + 1) * size)
        queries = Blocks(start - offset, stop - start)
        if far[row].any():
            pieces.append(Piece(queries, _joined(far[row].nonzero().T, size)))
        if causal and visible[row, row]:
            if start > row * size:
                pieces.append(Piece(queries, Blocks(row * size, start - row * size)))
            pieces.append(Piece(queries, Blocks(start, stop - start), causal=True))
    if not causal and whole < number:
        last = Blocks(whole * size, length - whole * size)
        for begin, end in _runs(visible[:, whole]):
            start, stop = max(offset, begin * size), min(length, end * size)
            if stop > start:
                pieces.append(Piece(Blocks(start - offset, stop - start), last))
    return pieces


def _whole_rows(far: Tensor, first: int, whole: int, size: int, offset: int) -> list[Piece]:
    """Pieces for the rows first..whole-1 of `far` (N, keys in whole blocks), all of whose queries are here."""
    pieces, lead = [], 0
    while lead < min(far.shape[1], whole - 1) and bool(far[max(first, lead + 1) : whole, : lead + 1].all()):
        lead += 1
    below = max(first, lead)
    if lead and below < whole:
        far = far.clone()
        far[below:whole, :lead] = False
        pieces.append(Piece(Blocks(below * size - offset, (whole - below) * size), Blocks(0, lead * size)))
    counts = far[first:whole].sum(1)
    for count in counts.unique().tolist():
        if count:
            rows = first + (counts == count).nonzero()  # (R, 1)
            index = far[rows.squeeze(1)].nonzero()[:, 1].view(-1, count)
            pieces.append(Piece(_joined(rows, size, -offset), _joined(index, size)))
    return pieces


def _joined(index: Tensor, size: int, shift: int = 0) -> Blocks | Gathered:
    """Blocks put together from those that `index` (N, R) names, moved by `shift`: a view where they lie regularly."""
    count, width = index.shape
    start = int(index[0, 0])
    step = int(index[1, 0]) - start if count > 1 else 1
    regular = start + step * torch.arange(count).unsqueeze(1) + torch.arange(width)
    if step > 0 and torch.equal(index, regular):
        return Blocks(shift + start * size, width * size, count, step * size)
    return Gathered(index, size, shift)


def _runs(flags: Tensor) -> list[tuple[int, int]]:
    """(begin, end) of every run of True in `flags` (N,)."""
    edges = torch.nn.functional.pad(flags.int(), (1, 1)).diff()
    return list(zip((edges > 0).nonzero().flatten().tolist(), (edges < 0).nonzero().flatten().tolist()))
