"""Which keys a query may see by position, as a mask and as the pieces that a kernel computes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sightline.core.shapes import AnyMask, Int
from sightline.ops.block_patterns import BlockLayout, BlockMask
from sightline.ops.block_pieces import block_pieces
from sightline.ops.blocks import Blocks, Piece
from sightline.ops.traced import any_length
from sightline.ops.window_pieces import causal_pieces, sink_pieces, window_pieces

Places = Int[Tensor, "..."]


class Pattern(NamedTuple):
    """Which keys a query sees, by position alone. The last of T queries is at the last of S >= T keys.

    `causal` hides later keys; `window` w hides keys at a distance of w or more (on both sides where not causal), except
    the first `sinks` keys; `blocks` hides all keys of some blocks. `Pattern(True, window=2, sinks=1)` over 5 positions:

        1 0 0 0 0
        1 1 0 0 0
        1 1 1 0 0
        1 0 1 1 0
        1 0 0 1 1
    """

    causal: bool
    window: int | None = None
    sinks: int = 0
    blocks: BlockMask | BlockLayout | None = None

    @property
    def everywhere(self) -> bool:
        """Whether nothing is hidden, or later keys alone."""
        return self.window is None and self.blocks is None

    def check_open(self) -> None:
        """Raise `ValueError` where who sees whom depends on a document's length, which `torch.export` leaves open."""
        if self.blocks is not None and self.blocks.counted(self.causal):
            raise ValueError(
                "two-sided bigbird draws random blocks out of all blocks of a row, whose number is left open: "
                "train with random=0 or another pattern"
            )

    def check(self, length: int) -> None:
        """Raise `ValueError` where the options contradict each other, or do not fit `length` keys."""
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be at least 1, got {self.window}")
        if self.sinks and (not self.causal or self.window is None):
            raise ValueError("sinks need a causal window")
        if self.window is not None and self.blocks is not None:
            raise ValueError("window and blocks exclude each other")
        if self.blocks is not None:
            self.blocks.check(length, self.causal)

    def reduced(self, steps: int, length: int) -> Pattern:
        """The same pattern without a causal window that hides nothing from `steps` queries over `length` keys."""
        if self.window is None or not self.causal or length > self.window + (self.sinks if steps == 1 else 0):
            return self
        return Pattern(True)

    def sees(self, at: Places, keys: Places, length: int) -> AnyMask:
        """Whether queries at positions `at` see keys at positions `keys`, bool, in a document of `length` positions."""
        seen = keys <= at if self.causal else torch.ones_like(keys <= at)
        if self.window is not None:
            seen = seen & (((at - keys).abs() < self.window) | (keys < self.sinks))
        if self.blocks is not None:
            size, number = self.blocks.size, self.blocks.number(length)
            if any_length(length):
                number = number + 1  # never 1, or the trace would be for one block or for more
            seen = seen & self.blocks.sees(at // size, keys // size, number, self.causal)
        return seen

    def pieces(self, steps: int, length: int, dtype: torch.dtype) -> list[Piece]:
        """The pairs of `steps` queries and `length` keys that this pattern shows, and few others."""
        if steps == 0:
            return []
        if self.blocks is not None:
            return block_pieces(self.blocks, self.causal, steps, length, dtype)
        if self.window is None:
            return causal_pieces(steps, length) if self.causal else [Piece(Blocks(0, steps), Blocks(0, length))]
        before = min(self.window, length) - 1
        pieces = window_pieces(steps, length, before, 0 if self.causal else before, dtype)
        return pieces + sink_pieces(steps, length, before, self.sinks, dtype)
