"""Patterns of blocks cut into pieces (`ops.blocks`), whose number grows only with the visible blocks.

`bigbird`, `longformer` and explicit masks are read from lists of blocks, row by row. `strided` and `fixed` have rows
that grow with the length: they are the causal pattern over some of the blocks, and are cut like that pattern.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sightline.ops.block_patterns import BlockLayout, BlockLists, BlockMask
from sightline.ops.blocks import Blocks, Gathered, Piece, gather
from sightline.ops.window_pieces import DIAGONAL, causal_pieces, rectangles, window_pieces


def block_pieces(
    blocks: BlockMask | BlockLayout, causal: bool, steps: int, length: int, dtype: torch.dtype
) -> list[Piece]:
    """The pairs of blocks that `blocks` lets `steps` queries see of `length` keys, and no others."""
    if isinstance(blocks, BlockLayout) and blocks.pattern == "strided":
        return _strided(blocks, steps, length, dtype)
    if isinstance(blocks, BlockLayout) and blocks.pattern == "fixed":
        return _fixed(blocks, steps, length)
    return _listed(blocks, causal, steps, length)


def _listed(blocks: BlockMask | BlockLayout, causal: bool, steps: int, length: int) -> list[Piece]:
    """The blocks of the lists: gathered for each row of blocks, rows with equally many in one piece.

    Where causal, blocks on the diagonal are triangles. First columns that all rows see, and rows that see all columns,
    are read in one piece, without gathering. Rows of blocks of which only some queries are here, and a shorter last
    block, have pieces of their own.
    """
    size, offset = blocks.size, length - steps
    number, whole = blocks.number(length), length // size  # whole: key blocks of full size
    first = math.ceil(offset / size)  # the rows of blocks from here to `whole` have all their queries
    seen = blocks.lists(offset // size, number, number, causal)
    row = seen.rows()
    own = row[seen.columns == row]  # blocks that see themselves
    far = seen.where(seen.columns < row if causal else seen.columns < whole)
    pieces = _whole_rows(far.between(first, whole), whole, size, offset)
    if causal:
        pieces += _diagonal(own[(own >= first) & (own < whole)], size, offset)
    for edge in _edges(blocks, steps, length):
        triangle = causal and bool((own == edge).any())
        pieces += _edge(edge, far.between(edge, edge + 1).columns, triangle, size, offset, length)
    if not causal and whole < number:
        last = Blocks(whole * size, length - whole * size)
        reading = torch.zeros(number, dtype=torch.bool)
        reading[row[seen.columns == whole]] = True
        for begin, end in _runs(reading):
            start, stop = max(offset, begin * size), min(length, end * size)
            if stop > start:
                pieces.append(Piece(Blocks(start - offset, stop - start), last))
    return pieces


def _whole_rows(far: BlockLists, whole: int, size: int, offset: int) -> list[Piece]:
    """Pieces for rows of blocks all of whose queries are here, over blocks of full size."""
    pieces, first = [], far.first
    lead = _lead(far, whole)
    below = max(first, lead)
    if lead and below < whole:
        pieces.append(Piece(Blocks(below * size - offset, (whole - below) * size), Blocks(0, lead * size)))
        far = far.where((far.rows() < below) | (far.columns >= lead))
    for begin, end in _runs(far.counts == whole) if whole else []:
        pieces.append(Piece(Blocks((first + begin) * size - offset, (end - begin) * size), Blocks(0, whole * size)))
    for count in far.counts.unique().tolist():
        if 0 < count < whole:
            rows, index = far.equal(count)
            pieces.append(Piece(gather(rows, size, -offset), gather(index, size)))
    return pieces


def _lead(far: BlockLists, whole: int) -> int:
    """The number of first columns that all later rows see."""
    before = far.columns < far.rows()
    seen_by = torch.bincount(far.columns[before], minlength=whole)[:whole]
    rows = whole - torch.arange(1, whole + 1).clamp(min=far.first)
    missing = (seen_by < rows).nonzero()
    return max(0, min(whole - 1, int(missing[0]) if len(missing) else whole))


def _diagonal(rows: Tensor, size: int, offset: int) -> list[Piece]:
    """The triangles of the blocks `rows` (R,) along the diagonal."""
    if not len(rows):
        return []
    return [Piece(gather(rows.unsqueeze(1), size, -offset), gather(rows.unsqueeze(1), size), causal=True)]


def _edges(blocks: BlockMask | BlockLayout, steps: int, length: int) -> list[int]:
    """The rows of blocks of which only some queries are here."""
    first, last = (length - steps) // blocks.size, blocks.number(length) - 1
    whole = range(math.ceil((length - steps) / blocks.size), length // blocks.size)
    return [row for row in sorted({first, last}) if row not in whole]


def _edge(row: int, columns: Tensor, triangle: bool, size: int, offset: int, length: int) -> list[Piece]:
    """A row of blocks of which only some queries are here: whole blocks `columns` (R,) and, causal, its own."""
    start, stop = max(offset, row * size), min(length, (row + 1) * size)
    queries, pieces = Blocks(start - offset, stop - start), []
    if len(columns):
        pieces.append(Piece(queries, gather(columns.unsqueeze(0), size)))
    if triangle:
        if start > row * size:
            pieces.append(Piece(queries, Blocks(row * size, start - row * size)))
        pieces.append(Piece(queries, Blocks(start, stop - start), causal=True))
    return pieces


def _strided(layout: BlockLayout, steps: int, length: int, dtype: torch.dtype) -> list[Piece]:
    """A window of local - 1 blocks before each, and the causal pattern over every local-th block.

    Block a·l + r is the a-th of class r. Blocks of a period a of which not all l are here have pieces of their own.
    """
    size, period, offset = layout.size, layout.local, length - steps
    first, whole = math.ceil(offset / size), length // size
    pieces = _blocks_before(first, whole, period - 1, size, offset, dtype)
    begin, end = math.ceil(first / period), whole // period  # the periods that are whole
    if begin < end:
        classes = torch.arange(period).unsqueeze(1)
        for piece in causal_pieces(end - begin, end, max(1, DIAGONAL // size)):
            queries, keys = piece.regular()
            members = (queries.members(begin), keys.members())
            index = [(classes.unsqueeze(1) + period * part).flatten(0, 1) for part in members]
            pieces.append(Piece(gather(index[0], size, -offset), gather(index[1], size), piece.causal))
    apart = [(first, whole)] if begin >= end else [(first, begin * period), (end * period, whole)]
    for low, high in apart:
        for a in range(low // period, math.ceil(high / period)) if low < high else []:
            rows = torch.arange(max(low, a * period), min(high, (a + 1) * period)).unsqueeze(1)
            if a:
                index = rows % period + period * torch.arange(a)
                pieces.append(Piece(gather(rows, size, -offset), gather(index, size)))
            pieces += _diagonal(rows.squeeze(1), size, offset)
    for edge in _edges(layout, steps, length):
        columns = layout.lists(edge, edge + 1, layout.number(length), True).columns
        pieces += _edge(edge, columns[:-1], True, size, offset, length)
    return pieces


def _blocks_before(first: int, whole: int, before: int, size: int, offset: int, dtype: torch.dtype) -> list[Piece]:
    """The rows of blocks first..whole-1 over the `before` blocks before each, their own excepted."""
    first = max(first, 1)
    if not before or first >= whole:
        return []
    together = max(1, min(256, max(32, before * size // 128 * 32)) // size)  # small blocks share a kernel's call
    pieces = []
    for piece in window_pieces(whole - first, whole - 1, before - 1, 0, dtype, together):
        mask = piece.mask
        mask = None if mask is None else mask.repeat_interleave(size, 0).repeat_interleave(size, 1)
        queries, keys = piece.regular()
        pieces.append(Piece(queries.scaled(size, first * size - offset), keys.scaled(size), mask=mask))
    return pieces


def _fixed(layout: BlockLayout, steps: int, length: int) -> list[Piece]:
    """The causal pattern inside each stretch of `local` blocks, and the last `globals` of each one before."""
    size, stretch, offset = layout.size, layout.local * layout.size, length - steps
    begin, end = math.ceil(offset / stretch), length // stretch  # the stretches that are whole

    def summaries(stretches: Tensor) -> Blocks | Gathered:
        """The last blocks of `stretches` (N, R)."""
        last = torch.arange(layout.local - layout.globals, layout.local)
        return gather((stretches.unsqueeze(2) * layout.local + last).flatten(1), size)

    pieces = []
    if begin < end:
        body = Blocks(begin * stretch - offset, (end - begin) * stretch)
        for piece in causal_pieces(stretch, stretch):
            pieces += _repeated(piece, body.first, begin * stretch, end - begin, stretch)
        if begin and layout.globals:
            pieces.append(Piece(body, summaries(torch.arange(begin).unsqueeze(0))))
        for queries, keys in rectangles(end - begin, 1) if layout.globals else []:
            pieces.append(Piece(queries.scaled(stretch, body.first), summaries(keys.members(begin))))
    apart = [(offset, length)] if begin > end else [(offset, begin * stretch), (end * stretch, length)]
    for low, high in apart:
        if low < high:
            before = low // stretch
            for piece in causal_pieces(high - low, high - before * stretch):
                pieces += _repeated(piece, low - offset, before * stretch)
            if before and layout.globals:
                queries = Blocks(low - offset, high - low)
                pieces.append(Piece(queries, summaries(torch.arange(before).unsqueeze(0))))
    return pieces


def _repeated(piece: Piece, queries: int, keys: int, times: int = 1, step: int = 1) -> list[Piece]:
    """A piece moved by `queries` and `keys` positions, repeated `times` times at a distance of `step`."""
    of_queries, of_keys = piece.regular()
    of_queries, of_keys = of_queries.scaled(1, queries), of_keys.scaled(1, keys)
    if times == 1:
        return [piece._replace(queries=of_queries, keys=of_keys)]
    alone = range(of_queries.number)
    parts = [[Blocks(b.first + n * b.step, b.size, times, step) for n in alone] for b in (of_queries, of_keys)]
    return [piece._replace(queries=one, keys=other) for one, other in zip(*parts, strict=True)]


def _runs(flags: Tensor) -> list[tuple[int, int]]:
    """(begin, end) of every run of True in `flags` (N,)."""
    edges = torch.nn.functional.pad(flags.int(), (1, 1)).diff()
    return list(zip((edges > 0).nonzero().flatten().tolist(), (edges < 0).nonzero().flatten().tolist()))
