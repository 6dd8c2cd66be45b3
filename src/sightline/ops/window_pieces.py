"""A causal limit, a window and its sinks cut into pieces (`ops.blocks`).

`causal_pieces(8, 8, block=2)` gives four triangles of two rows on the diagonal; two squares of two, the queries [2 3]
over the keys [0 1] and [6 7] over [4 5]; and one square of four, [4 … 7] over [0 … 3]. `window_pieces(8, 8, before=2,
after=0, …, block=2)` takes two queries at a time over the four keys that either of them sees, with a mask.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sightline.ops.blocks import Blocks, Piece

DIAGONAL = 128  # rows of the smallest triangle that a causal pattern is cut into


def causal_pieces(steps: int, length: int, block: int = DIAGONAL) -> list[Piece]:
    """Triangles of `block` rows along the diagonal, and the rectangles before them, twice as large each time.

    With c = block this costs T²/2 + cT/2 products of a query and a key, of which T²/2 are needed. torch's kernel, which
    reads 512 keys at a time, costs T² up to 512 positions and T²/2 + 256 T above.
    """
    offset = length - steps
    pieces = [Piece(Blocks(0, steps), Blocks(0, offset))] if offset else []
    whole, rest = divmod(steps, block)
    if whole:
        pieces.append(Piece(Blocks(0, block, whole, block), Blocks(offset, block, whole, block), causal=True))
    if rest:
        pieces.append(Piece(Blocks(whole * block, rest), Blocks(offset + whole * block, rest), causal=True))
    return pieces + [Piece(queries, keys.scaled(1, offset)) for queries, keys in rectangles(steps, block)]


def rectangles(steps: int, width: int) -> list[tuple[Blocks, Blocks]]:
    """The rest of a causal pattern over `steps` positions, without triangles of `width` rows along the diagonal.

    In every 2·width, 4·width, … positions the later half sees the earlier half.
    """
    parts = []
    while width < steps:
        pairs = steps // (2 * width)
        if pairs:
            parts.append((Blocks(width, width, pairs, 2 * width), Blocks(0, width, pairs, 2 * width)))
        left = 2 * width * pairs
        if left + width < steps:
            parts.append((Blocks(left + width, steps - left - width), Blocks(left, width)))
        width *= 2
    return parts


def window_pieces(
    steps: int, length: int, before: int, after: int, dtype: torch.dtype, block: int | None = None
) -> list[Piece]:
    """`block` queries at a time over the `before + block + after` keys that any of them sees: one piece, and two ends.

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
    """The first `sinks` keys, for the queries whose window of `before` earlier keys no longer reaches them."""
    offset, sinks = length - steps, min(sinks, length)
    some = min(steps, max(0, before + 1 - offset))  # from here on a query has the first sink behind its window
    every = min(steps, max(0, before + sinks - offset))  # from here on all sinks
    pieces = []
    if sinks and every > some:
        rows = torch.arange(some, every).unsqueeze(1)
        hidden = rows + offset - torch.arange(sinks) <= before  # inside the window, whose pieces include it
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
