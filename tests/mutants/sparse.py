"""Bugs planted into attention that sees only some positions: windows, sinks, patterns of blocks, pieces joined."""

from __future__ import annotations

import torch

import sightline.mixers.block_sparse as block_sparse
import sightline.mixers.window as window
import sightline.ops.blocks as ops_blocks
import sightline.ops.softmax as ops_softmax
import sightline.parts.key_value_cache as key_value_cache
from sightline.ops.block_patterns import BlockMask

from .planting import mutant, wrap

WINDOW = window.WindowConfig(window=4, heads=2)
SINKS = window.WindowConfig(window=1, sinks=1, heads=2)
ALIBI = window.WindowConfig(window=5, heads=3, d_head=1, positions="alibi")
BIGBIRD = block_sparse.BlockSparseConfig("bigbird", block=2, local=1, globals=1, random=1, heads=2)
FULL_BIGBIRD = block_sparse.BlockSparseConfig("bigbird", block=2, local=1, globals=1, random=1, heads=2, causal=False)
FIXED = block_sparse.BlockSparseConfig("fixed", block=2, local=2, globals=1, heads=2)
LONGFORMER = block_sparse.BlockSparseConfig(
    "longformer", block=2, local=3, globals=1, heads=3, causal=False, global_projections="separate"
)
TWO_SIDED = window.WindowConfig(window=3, heads=2, causal=False)


def _pattern(patch, change):
    """Plants into what the window sees, with and without documents."""
    wrap(
        patch,
        window,
        "attend_pattern",
        lambda original, *qkv, pattern, **named: original(*qkv, pattern=change(pattern), **named),
    )
    wrap(
        patch,
        window,
        "attend_documents",
        lambda original, *given, **named: original(*given[:-1], lambda n: change(given[-1](n)), **named),
    )


@mutant("a window that sees one key more", WINDOW, "equals the reference", "any chunks = whole")
def _(patch):
    _pattern(patch, lambda pattern: pattern._replace(window=pattern.window + 1))


@mutant("a two-sided window that looks back only", TWO_SIDED, "equals the reference")
def _(patch):
    _pattern(patch, lambda pattern: pattern._replace(causal=True))


@mutant("a window's state one key short", WINDOW, "any chunks = whole", "step = parallel")
def _(patch):
    wrap(patch, window.WindowAttention, "_last", lambda original, self, part: original(self, part)[:, :, 1:])


@mutant("sinks dropped from the state", SINKS, "any chunks = whole", "step = parallel")
def _(patch):
    def last(original, self, part):
        kept = original(self, part)
        return torch.cat([torch.zeros_like(kept[:, :, :1]), kept[:, :, 1:]], 2) if part.shape[2] > self.most else kept

    wrap(patch, window.WindowAttention, "_last", last)


@mutant("a window over the borders of documents", SINKS, "packed = alone", "equals the reference")
def _(patch):
    def attend_documents(original, q, k, v, documents, pattern_of, **named):
        if documents.begins.any():
            return window.attend_pattern(q, k, v, pattern=pattern_of(0), **named)
        return original(q, k, v, documents, pattern_of, **named)

    wrap(patch, window, "attend_documents", attend_documents)


@mutant("padding takes places in the window", WINDOW, "padding", "equals the reference")
def _(patch):
    def attend_documents(original, q, k, v, documents, pattern_of, **named):
        real = torch.zeros(k.shape[0] * k.shape[2], dtype=torch.bool)
        real[documents.index[documents.valid]] = True
        return window.attend_pattern(q, k, v, pattern=pattern_of(0), real=real.view(k.shape[0], -1), **named)

    wrap(patch, window, "attend_documents", attend_documents)


@mutant("empty places of the state taken for keys", WINDOW, "padding")
def _(patch):
    wrap(
        patch,
        window.WindowAttention,
        "_flags",
        lambda original, self, state, *given: original(self, state._replace(held=None), *given),
    )


@mutant("ALiBi rewards distance in a window", ALIBI, "equals the reference")
def _(patch):
    def attend_pattern(original, q, k, v, *, slopes, **named):
        return original(q, k, v, slopes=None if slopes is None else -slopes, **named)

    wrap(patch, window, "attend_pattern", attend_pattern)


@mutant("the last piece instead of the joined ones", SINKS, "equals the reference", "step = parallel")
def _(patch):
    def join(original, queries, y, norm, served, part, of_part):
        queries.put(y, part)
        queries.put(norm, of_part)

    wrap(patch, ops_blocks, "_join", join)


@mutant("pieces joined with equal weights", SINKS, "equals the reference", "gradcheck")
def _(patch):
    def join(original, queries, y, norm, served, part, of_part):
        seen = queries.take(served).any()
        before = queries.take(y).clone()
        original(queries, y, norm, served, part, of_part)
        if seen:
            queries.put(y, (before + part) / 2)

    wrap(patch, ops_blocks, "_join", join)


@mutant("a piece's gradient from its own normaliser", SINKS, "gradcheck", "any chunks = whole")
def _(patch):
    def backward(original, piece, grad, q, k, v, y, norm, scale):
        _, own = ops_blocks._forward(piece, q, k, v, scale)
        norm = norm.clone()
        piece.queries.put(norm, own)
        return original(piece, grad, q, k, v, y, norm, scale)

    wrap(patch, ops_blocks, "_backward", backward)


@mutant("random blocks that depend on the length", BIGBIRD, "any chunks = whole", "step = parallel")
def _(patch):
    def pattern(original, self, length):
        blocks = self.layout._replace(seed=self.layout.number(length))
        return original(self, length)._replace(blocks=blocks)

    wrap(patch, block_sparse.BlockSparseAttention, "pattern", pattern)


@mutant("random blocks of the longest document", FULL_BIGBIRD, "packed = alone", "padding")
def _(patch):
    def attend_documents(original, *given, bucket, **named):
        return original(*given, **named)

    wrap(patch, block_sparse, "attend_documents", attend_documents)


def _matrix(patch, mixer, change):
    """Plants into the matrix (N, N) of who sees whom, where the rows are not told apart."""

    def pattern(original, self, length, *rows):
        whole = original(self, length, *rows)
        place = torch.arange(self.layout.number(length))
        seen = self.layout.sees(place.unsqueeze(1), place, len(place), whole.causal)
        return whole._replace(blocks=BlockMask(change(self.layout, seen), self.layout.size))

    wrap(patch, mixer, "pattern", pattern)


@mutant("fixed: the first positions of a stride sum it up", FIXED, "equals the reference")
def _(patch):
    def change(layout, seen):
        row, column = torch.arange(len(seen)).unsqueeze(1), torch.arange(len(seen))
        return ((row // layout.local == column // layout.local) | (column % layout.local == 0)) & (column <= row)

    _matrix(patch, block_sparse.BlockSparseAttention, change)


@mutant("global blocks that are seen but do not see", FULL_BIGBIRD, "equals the reference")
def _(patch):
    def change(layout, seen):
        seen[: layout.globals] &= torch.eye(len(seen), dtype=torch.bool)[: layout.globals]
        return seen

    _matrix(patch, block_sparse.FullBlockSparseAttention, change)


@mutant("blocks counted from the start of the row", BIGBIRD, "padding", "packed = alone")
def _(patch):
    def attend_documents(original, q, k, v, documents, pattern_of, **named):
        real = torch.zeros(k.shape[0] * k.shape[2], dtype=torch.bool)
        real[documents.index[documents.valid]] = True
        named["real"] = real.view(k.shape[0], -1)
        return ops_softmax.attend_pattern(q, k, v, pattern=pattern_of(k.shape[2]), **named)

    wrap(patch, ops_softmax, "attend_documents", attend_documents)


@mutant("blocks of a cache counted from the chunk", BIGBIRD, "any chunks = whole", "step = parallel")
def _(patch):
    def attend_labelled(original, q, k, v, labels, places, **named):
        first = k.shape[2] - q.shape[2]
        moved = (places[:, first:] - places[:, first : first + 1]).clamp(min=0)
        return original(q, k, v, labels, torch.cat([places[:, :first], moved], 1), **named)

    def attend_pattern(original, q, k, v, *, pattern, **named):
        steps, length = q.shape[2], k.shape[2]
        if steps and steps < length:
            size, place = pattern.blocks.size, torch.arange(pattern.blocks.number(length))
            seen = pattern.blocks.sees(place.unsqueeze(1), place, len(place), pattern.causal)
            pattern = pattern._replace(blocks=BlockMask(seen.roll((length - steps) // size, 0), size))
        return original(q, k, v, pattern=pattern, **named)

    wrap(patch, key_value_cache, "attend_labelled", attend_labelled)
    wrap(patch, key_value_cache, "attend_pattern", attend_pattern)


@mutant("global queries through the common projections", LONGFORMER, "equals the reference")
def _(patch):
    wrap(
        patch,
        block_sparse.FullBlockSparseAttention,
        "pattern",
        lambda original, self, length, rows="all": original(self, length, "all" if rows == "other" else rows),
    )


@mutant("global projections drawn anew", LONGFORMER, "equals the reference")
def _(patch):
    def copied(original, linear):
        new = original(linear)
        new.reset_parameters()
        return new

    wrap(patch, block_sparse.copy, "deepcopy", copied)


@mutant("gathered blocks whose gradients overwrite each other", BIGBIRD, "probe on = off", "any chunks = whole")
def _(patch):
    def add(original, self, total, part):
        self._split(total).index_copy_(1, self._within(), self._parts(part))

    wrap(patch, ops_blocks.Gathered, "add", add)
