"""Which keys a query may see by where it stands, as a mask and as the pieces that a kernel computes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sightline.ops.block_patterns import BlockLayout, BlockMask
from sightline.ops.blocks import Blocks, Piece
from sightline.ops.pieces import causal_pieces, sink_pieces, window_pieces
from sightline.ops.sparse_pieces import sparse_pieces


class Pattern(NamedTuple):
    """Whom a query sees, by positions alone. The last of T queries stands at the last of S >= T keys.

    `causal` hides keys after the query; `window` w hides those w or more positions away (before it and, where not
    causal, after it), the first `sinks` keys excepted; `blocks` hides all keys of some blocks.
    """

    causal: bool
    window: int | None = None
    sinks: int = 0
    blocks: BlockMask | BlockLayout | None = None

    @property
    def everywhere(self) -> bool:
        """Whether nothing is hidden, a causal limit apart."""
        return self.window is None and self.blocks is None

    def visible(self, first: int, last: int, steps: int, length: int, device: torch.device) -> Tensor:
        """Whether the queries first..last-1 of `steps` see each of `length` keys, (last - first, S) bool."""
        offset = length - steps
        at = torch.arange(offset + first, offset + last, device=device).unsqueeze(1)
        return self.sees(at, torch.arange(length, device=device), length)

    def sees(self, at: Tensor, keys: Tensor, length: int) -> Tensor:
        """Whether queries at the places `at` see keys at `keys`, bool, both counted in a document of `length`."""
        seen = keys <= at if self.causal else torch.ones_like(keys <= at)
        if self.window is not None:
            seen = seen & (((at - keys).abs() < self.window) | (keys < self.sinks))
        if self.blocks is not None:
            size, number = self.blocks.size, self.blocks.number(length)
            seen = seen & self.blocks.sees(at // size, keys // size, number, self.causal)
        return seen

    def pieces(self, steps: int, length: int, dtype: torch.dtype) -> list[Piece]:
        """What this pattern lets `steps` queries see of `length` keys, with little besides."""
        if steps == 0:
            return []
        if self.blocks is not None:
            return sparse_pieces(self.blocks, self.causal, steps, length, dtype)
        if self.window is None:
            return causal_pieces(steps, length) if self.causal else [Piece(Blocks(0, steps), Blocks(0, length))]
        before = min(self.window, length) - 1
        pieces = window_pieces(steps, length, before, 0 if self.causal else before, dtype)
        return pieces + sink_pieces(steps, length, before, self.sinks, dtype)
