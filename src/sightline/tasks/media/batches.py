"""Batches of sounds, pictures and texts with their target texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.data.batches import Batch, BatchStream, PairBatches, pad, pad_arrays
from sightline.data.media.columns import Column, MediaPart
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.parts.several import Masked
from sightline.tasks.media.config import MediaTextConfig
from sightline.tasks.media.sources import column_front_end, column_reader


@final
class MediaInputs:
    """The source columns of some items, ready to be put into batches; `tokenizer` is that of texts."""

    def __init__(self, columns: Sequence[Column], config: MediaTextConfig, tokenizer: Tokenizer) -> None:
        self.columns, self.config = tuple(columns), config
        self.front_ends = [column_front_end(column.kind, config, tokenizer.size) for column in self.columns]
        reader = column_reader(config, tokenizer)
        self._ids = {column.name: reader.encode_batch(column.texts) for column in self.columns if column.kind == "text"}

    @property
    def positions(self) -> list[int]:
        """The number of positions of all sources of each item together."""
        each = [
            map(front_end.length_out, self._lengths(column))
            for column, front_end in zip(self.columns, self.front_ends, strict=True)
        ]
        return [sum(row) for row in zip(*each, strict=True)]

    def _lengths(self, column: Column) -> list[int]:
        """The length of each item's input: tokens, words or samples; of pictures that of their first axis."""
        if column.kind == "text":
            return [len(ids) for ids in self._ids[column.name]]
        return [column.shape(row)[0] for row in range(len(column))]

    def batch(self, rows: Sequence[int]) -> tuple[Any, Tensor | None]:
        """The model's source for these items, and its mask."""
        parts = [self._column(column, rows) for column in self.columns]
        return parts[0] if len(parts) == 1 else (tuple(parts), None)

    def _column(self, column: Column, rows: Sequence[int]) -> Masked:
        if column.kind == "text":
            return Masked(*pad([self._ids[column.name][row] for row in rows]))
        arrays = [column.array(row) for row in rows]
        if column.kind == "image":
            return Masked(torch.from_numpy(np.stack(arrays)))
        frames = self.config.sound.front_end
        return Masked(*pad_arrays(arrays, frames.hop * frames.stride))


@final
class MediaBatches(BatchStream[Batch]):
    """`PairBatches` over items whose sources are read as they are needed: the same order, the same bound.

    A batch of B items, M and T positions wide, has at most `max_tokens` padded ones: B · max(M, T) <= max_tokens.

    Raises:
        InputError: "clips.csv:17: has 2000 positions, more than batch_tokens 1024: …".
    """

    def __init__(
        self,
        part: MediaPart,
        inputs: MediaInputs,
        target_ids: Sequence[Sequence[int]],
        *,
        max_tokens: int,
        seed: int,
        shuffle: bool = True,
    ) -> None:
        super().__init__(("batch_tokens", max_tokens), seed=seed, shuffle=shuffle)
        positions = inputs.positions
        lengths = [max(source, len(target) + 2) for source, target in zip(positions, target_ids, strict=True)]
        longest = max(lengths, default=0)
        if longest > max_tokens:
            raise InputError(
                f"has {longest} positions, more than batch_tokens {max_tokens}: set --batch_tokens={longest}, or "
                "cut it",
                where=part.places[lengths.index(longest)],
            )
        self._inputs = inputs
        sources = [range(count) for count in positions]
        self._pairs = PairBatches(sources, target_ids, max_tokens=max_tokens, seed=seed, shuffle=shuffle)

    @property
    def longest(self) -> tuple[int, int]:
        """The positions of the longest source, and the length of the longest target with BOS and EOS."""
        return self._pairs.longest

    @property
    def tokens(self) -> int:
        """Number of labels in an epoch."""
        return self._pairs.tokens

    def plan(self, epoch: int) -> list[np.ndarray]:
        return self._pairs.plan(epoch)

    def batch(self, rows: np.ndarray) -> Batch:
        pairs = self._pairs.batch(rows)
        return Batch(*self._inputs.batch(pairs.rows), pairs.target, pairs.target_mask, pairs.rows)
