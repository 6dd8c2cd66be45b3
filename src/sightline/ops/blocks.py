"""Blocks of consecutive positions, and pieces of the attention matrix: pairs of a query block and a key block.

For 6 positions, `Blocks(0, 2, 3, 2)` is [0 1] [2 3] [4 5], and `Blocks(1, 3, 2, 2)` is [1 2 3] [3 4 5].
`Gathered(torch.tensor([[0, 2], [1, 0]]), 2)` puts blocks of two together: [0 1 4 5] and [2 3 0 1]. The piece
`Piece(Blocks(0, 2, 3, 2), Blocks(0, 2, 3, 2), causal=True)` is then the three triangles along the diagonal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from sightline.core.shapes import Bool, Float, Int, Shaped

PORTION = 2**21  # numbers in the keys of one kernel call where blocks overlap: 8 MiB, so that caches hold them

HeadRows = Shaped[Tensor, "P T *rest"]  # P rows, such as the heads of all batch entries
BlockParts = Shaped[Tensor, "P N Z *rest"]  # N blocks of Z positions of each row
MixedShare = Float[Tensor, "P N Z 1"]
MemberPositions = Int[Tensor, "N Z"]
GatheredBlocks = Int[Tensor, "N R"]
KernelMask = Float[Tensor, "1 _ _ Z"]
RealKeys = Bool[Tensor, "S"]


class Blocks(NamedTuple):
    """`number` blocks of `size` consecutive positions; each begins `step` positions after the one before."""

    first: int
    size: int
    number: int = 1
    step: int = 1

    def take(self, x: HeadRows) -> BlockParts:
        """The blocks (P, N, size, …) of x (P, T, …): a view, whose blocks share memory where they overlap."""
        span = x.narrow(1, self.first, (self.number - 1) * self.step + self.size)
        return span.unfold(1, self.size, self.step).movedim(-1, 2)

    def put(self, total: HeadRows, part: BlockParts, weight: MixedShare | None = None) -> None:
        """Write blocks `part` (P, N, size, …) into `total`, or mix them in, `weight` parts to 1 - weight."""
        place = self.take(total)
        place.copy_(part) if weight is None else place.lerp_(part, weight)

    def add(self, total: HeadRows, part: BlockParts) -> None:
        """Add blocks `part` (P, N, size, …) into `total` (P, T, …), in place."""
        width = self.size if self.number == 1 else min(self.step, self.size)
        for at in range(0, self.size, width):  # slices of this width do not overlap
            inner = Blocks(self.first + at, min(width, self.size - at), self.number, self.step)
            inner.take(total).add_(part[:, :, at : at + inner.size])

    def portion(self, first: int, last: int) -> Blocks:
        """The blocks first..last-1."""
        return Blocks(self.first + first * self.step, self.size, last - first, self.step)

    def members(self, shift: int = 0) -> MemberPositions:
        """The positions (N, size), moved by `shift`."""
        begins = shift + self.first + self.step * torch.arange(self.number).unsqueeze(1)
        return begins + torch.arange(self.size)

    def scaled(self, factor: int, shift: int = 0) -> Blocks:
        """The same blocks of things that are `factor` positions long, moved by `shift` positions."""
        return Blocks(shift + self.first * factor, self.size * factor, self.number, self.step * factor)


class Gathered(NamedTuple):
    """Blocks put together from several: the n-th has the positions shift + block·index[n, r] + 0…block-1, r = 0…R-1."""

    index: Tensor  # (N, R), long
    block: int
    shift: int = 0

    @property
    def number(self) -> int:
        return self.index.shape[0]

    @property
    def size(self) -> int:
        return self.index.shape[1] * self.block

    def take(self, x: HeadRows) -> BlockParts:
        """The blocks (P, N, R·block, …) of x (P, T, …): a copy."""
        parts, within = self._split(x), self._within()
        if parts.is_contiguous():
            taken = parts.index_select(1, within)
        else:  # `index_select` would copy all of x first
            taken = x.new_empty(x.shape[0], len(within), *parts.shape[2:])
            for row, into in zip(parts, taken, strict=True):
                torch.index_select(row, 0, within, out=into)
        return taken.unflatten(1, self.index.shape).flatten(2, 3)

    def put(self, total: HeadRows, part: BlockParts, weight: MixedShare | None = None) -> None:
        """Write blocks `part` (P, N, R·block, …) into `total`, or mix them in, `weight` parts to 1 - weight."""
        part = part if weight is None else self.take(total).lerp_(part, weight)
        self._split(total).index_copy_(1, self._within(), self._parts(part))

    def add(self, total: HeadRows, part: BlockParts) -> None:
        """Add blocks `part` (P, N, R·block, …) into `total` (P, T, …), in place."""
        self._split(total).index_add_(1, self._within(), self._parts(part))

    def portion(self, first: int, last: int) -> Gathered:
        """The blocks first..last-1."""
        return self._replace(index=self.index[first:last])

    def _parts(self, part: Tensor) -> Tensor:
        return part.unflatten(2, (self.index.shape[1], self.block)).flatten(1, 2)

    def _split(self, x: Tensor) -> Tensor:
        first = self.shift % self.block
        whole = (x.shape[1] - first) // self.block
        return x.narrow(1, first, whole * self.block).unflatten(1, (whole, self.block))

    def _within(self) -> Tensor:
        return (self.index + self.shift // self.block).flatten()


def gather(index: GatheredBlocks, size: int, shift: int = 0) -> Blocks | Gathered:
    """The n-th block is put together from the blocks `index[n]` of `size` positions, moved by `shift`.

    The result is `Blocks`, which copy nothing, where the index (N, R) is regular: [[2, 3], [4, 5]], but not [[2, 4]].
    """
    count, width = index.shape
    start = int(index[0, 0])
    step = int(index[1, 0]) - start if count > 1 else 1
    regular = start + step * torch.arange(count).unsqueeze(1) + torch.arange(width)
    if step > 0 and torch.equal(index, regular):
        return Blocks(shift + start * size, width * size, count, step * size)
    return Gathered(index, size, shift)


class Piece(NamedTuple):
    """Pairs of query and key blocks: the n-th of the queries sees the n-th of the keys.

    `causal`: the i-th query of a block sees the first i + 1 keys. `mask`, float, is added to the logits (-inf hides),
    shape (size of a query block, size of a key block) or, different for each pair, (N, 1 or size, size). The query
    blocks of one piece do not overlap.
    """

    queries: Blocks | Gathered
    keys: Blocks | Gathered
    causal: bool = False
    mask: Tensor | None = None

    def portions(self, rows: int, width: int) -> Iterator[Piece]:
        """The same pairs, few enough at a time that their keys, with gradients, stay in the caches."""
        most = max(1, PORTION // max(1, rows * width * self.keys.size))
        for first in range(0, self.queries.number, most):
            last = min(first + most, self.queries.number)
            own = self.mask if self.mask is None or self.mask.dim() == 2 else self.mask[first:last]
            yield Piece(self.queries.portion(first, last), self.keys.portion(first, last), self.causal, own)

    def kernel_mask(self, dtype: torch.dtype) -> KernelMask | None:
        """The mask as torch's kernel takes it, (1, 1 or N, 1 or size, size) in the dtype of the queries."""
        if self.mask is None:
            return None
        return (self.mask[None, None] if self.mask.dim() == 2 else self.mask[None]).to(dtype)

    def regular(self) -> tuple[Blocks, Blocks]:
        """The blocks of queries and of keys; `ValueError` where they are gathered."""
        if isinstance(self.queries, Gathered) or isinstance(self.keys, Gathered):
            raise ValueError("gathered blocks have no common distance between queries and keys")
        return self.queries, self.keys

    def without_hidden(self, real: RealKeys) -> Piece:
        """The piece without the keys that are False in `real` (S,)."""
        taken = self.keys.take(real.unsqueeze(0))[0].unsqueeze(1)  # (N, 1, size)
        if bool(taken.all()):
            return self
        return self._with_bias(torch.zeros(taken.shape).masked_fill_(~taken, -math.inf))

    def with_slope(self, offset: int, slope: float) -> Piece:
        """The piece with ALiBi's bias -slope · |distance|; query 0 is at position `offset` of the keys."""
        queries, keys = self.regular()
        at = offset + queries.first - keys.first + torch.arange(queries.size).unsqueeze(1)
        return self._with_bias(-slope * (at - torch.arange(keys.size)).abs().double())

    def _with_bias(self, bias: Tensor) -> Piece:
        """The piece with `bias`, (size, size) or (N, 1 or size, size), on its logits."""
        mask = self.mask
        if self.causal:
            mask = torch.full((self.queries.size, self.keys.size), -math.inf).triu(1)
        return self._replace(causal=False, mask=bias if mask is None else mask + bias)
