"""Bugs planted into attention that sees only some positions: windows, sinks, patterns of blocks, pieces joined."""

from __future__ import annotations

import torch

import sightline.mixers.block_sparse as block_sparse
import sightline.mixers.window as window
import sightline.ops.blocks as ops_blocks
import sightline.ops.piece_kernel as piece_kernel
import sightline.ops.plan as ops_plan
import sightline.parts.key_value_cache as key_value_cache
import sightline.parts.self_attention as self_attention
from sightline.ops.block_patterns import BlockLayout, BlockMask

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


def _plan(patch, mixer, change):
    """Plants into the plan of a mixer's calls; change(plan, q, k) gives another plan."""
    wrap(patch, mixer, "execute", lambda original, q, k, v, plan, probe: original(q, k, v, change(plan, q, k), probe))


def _as_one_document(plan, q, k):
    """Padding takes up positions, and a row is one document."""
    if plan.documents is None:
        return plan
    real = torch.zeros(k.shape[0] * k.shape[2], dtype=torch.bool)
    real[plan.documents.index[plan.documents.valid]] = True
    return plan._replace(real=real.view(k.shape[0], -1), documents=None)


@mutant("a window that sees one key more", WINDOW, "equals the reference", "any chunks = whole")
def _(patch):
    _plan(
        patch, window, lambda plan, q, k: plan._replace(pattern=plan.pattern._replace(window=plan.pattern.window + 1))
    )


@mutant("a two-sided window that looks back only", TWO_SIDED, "equals the reference")
def _(patch):
    _plan(patch, self_attention, lambda plan, q, k: plan._replace(pattern=plan.pattern._replace(causal=True)))


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
    def change(plan, q, k):
        several = plan.documents is not None and plan.documents.begins.any()
        return plan._replace(documents=None) if several else plan

    _plan(patch, window, change)


@mutant("padding takes places in the window", WINDOW, "padding", "equals the reference")
def _(patch):
    _plan(patch, window, _as_one_document)


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
    _plan(patch, window, lambda plan, q, k: plan._replace(slopes=-plan.slopes))


@mutant("the last piece instead of the joined ones", SINKS, "equals the reference", "step = parallel")
def _(patch):
    def join(original, queries, y, norm, served, part, of_part):
        queries.put(y, part)
        queries.put(norm, of_part)

    wrap(patch, piece_kernel, "_join", join)


@mutant("pieces joined with equal weights", SINKS, "equals the reference", "gradcheck")
def _(patch):
    def join(original, queries, y, norm, served, part, of_part):
        seen = queries.take(served).any()
        before = queries.take(y).clone()
        original(queries, y, norm, served, part, of_part)
        if seen:
            queries.put(y, (before + part) / 2)

    wrap(patch, piece_kernel, "_join", join)


@mutant("a piece's gradient from its own normaliser", SINKS, "gradcheck", "any chunks = whole")
def _(patch):
    def backward(original, piece, grad, q, k, v, y, norm, scale):
        _, own = piece_kernel._forward(piece, q, k, v, scale)
        norm = norm.clone()
        piece.queries.put(norm, own)
        return original(piece, grad, q, k, v, y, norm, scale)

    wrap(patch, piece_kernel, "_backward", backward)


@mutant("random blocks that depend on the length", BIGBIRD, "any chunks = whole", "step = parallel")
def _(patch):
    wrap(
        patch,
        BlockLayout,
        "_drawn",
        lambda original, self, first, last, number, causal: original(
            self._replace(seed=number), first, last, number, causal
        ),
    )


@mutant("random blocks of the longest document", FULL_BIGBIRD, "packed = alone", "padding")
def _(patch):
    wrap(patch, ops_plan, "_alike", lambda original, pattern, length: original(pattern._replace(causal=True), length))


def _matrix(patch, change):
    """Plants into the matrix (N, N) of who sees whom, block by block."""

    class Changed(BlockMask):
        def matrix(self, number, causal):
            place = torch.arange(number)
            return change(self.layout, self.layout.sees(place.unsqueeze(1), place, number, causal))

        def sees(self, row, column, number, causal):
            return self.matrix(number, causal)[row, column]

        def lists(self, first, last, number, causal):
            return BlockMask(self.matrix(number, causal), self.size).lists(first, last, number, causal)

    def pattern(original, causal, *, blocks):
        changed = Changed(torch.empty(0), blocks.size)
        changed.layout = blocks
        return original(causal, blocks=changed)

    wrap(patch, block_sparse, "Pattern", pattern)


@mutant("fixed: the first positions of a stride sum it up", FIXED, "equals the reference")
def _(patch):
    def change(layout, seen):
        row, column = torch.arange(len(seen)).unsqueeze(1), torch.arange(len(seen))
        return ((row // layout.local == column // layout.local) | (column % layout.local == 0)) & (column <= row)

    _matrix(patch, change)


@mutant("global blocks that are seen but do not see", FULL_BIGBIRD, "equals the reference")
def _(patch):
    def change(layout, seen):
        seen[: layout.globals] &= torch.eye(len(seen), dtype=torch.bool)[: layout.globals]
        return seen

    _matrix(patch, change)


@mutant("blocks counted from the start of the row", BIGBIRD, "padding", "packed = alone")
def _(patch):
    _plan(patch, key_value_cache, _as_one_document)


@mutant("blocks of a cache counted from the chunk", BIGBIRD, "any chunks = whole", "step = parallel")
def _(patch):
    def change(plan, q, k):
        first, blocks = k.shape[2] - q.shape[2], plan.pattern.blocks
        if plan.places is not None:
            moved = (plan.places[:, first:] - plan.places[:, first : first + 1]).clamp(min=0)
            return plan._replace(places=torch.cat([plan.places[:, :first], moved], 1))
        if not 0 < first < k.shape[2]:
            return plan
        place = torch.arange(blocks.number(k.shape[2]))
        seen = blocks.sees(place.unsqueeze(1), place, len(place), True).roll(first // blocks.size, 0)
        return plan._replace(pattern=plan.pattern._replace(blocks=BlockMask(seen, blocks.size)))

    _plan(patch, key_value_cache, change)


@mutant("global queries through the common projections", LONGFORMER, "equals the reference")
def _(patch):
    def pattern(original, causal, *, blocks):
        rows = "all" if blocks.rows == "other" else blocks.rows
        return original(causal, blocks=blocks._replace(rows=rows))

    wrap(patch, block_sparse, "Pattern", pattern)


@mutant("global projections drawn again", LONGFORMER, "equals the reference")
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
