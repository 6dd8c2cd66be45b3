"""Sources that are texts, ready to be put into batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

from torch import Tensor

from sightline.core.front_end import FrontEndConfig
from sightline.data.batches import pad


@final
class Sentences:
    """Sources that are token ids, or words by their letters; without a front end each of these is a position."""

    def __init__(self, ids: Sequence[Any], front_end: FrontEndConfig | None = None) -> None:
        self.ids = ids
        lengths = [len(tokens) for tokens in ids]
        self.positions = lengths if front_end is None else list(map(front_end.length_out, lengths))

    def batch(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Ids (B, M) of these sources, or letters (B, M, L), and the mask."""
        return pad([self.ids[row] for row in rows])
