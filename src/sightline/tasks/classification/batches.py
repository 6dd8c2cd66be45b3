"""Batches of labelled items, those of similar length together, in an order determined by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.data.batches import BatchStream, in_batches, on_device, pad_arrays


class LabelledBatch(NamedTuple):
    """Some items, padded on the right.

    source: token ids (B, T), series (B, T, C), samples (B, T) or pictures (B, C, H, W)
    source_mask: (B, T) bool, True = real; None where all are
    labels: (B,) int64, or with any number of labels (B, C) bool
    rows: number of each row's item in the part
    """

    source: Tensor
    source_mask: Tensor | None
    labels: Tensor
    rows: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Number of items."""
        return len(self.rows)

    def to(self, device: torch.device | str) -> LabelledBatch:
        """The same batch on `device`."""
        return LabelledBatch(*on_device(self.source, self.source_mask, device), self.labels.to(device), self.rows)


@final
class LabelledBatches(BatchStream[LabelledBatch]):
    """Batches of `batch_size` items of similar length, of which `pictures` are never padded."""

    def __init__(
        self,
        sources: Sequence[np.ndarray],
        labels: np.ndarray,
        *,
        batch_size: int,
        seed: int = 0,
        pictures: bool = False,
        shuffle: bool = True,
    ) -> None:
        super().__init__(("batch_size", batch_size), seed=seed, shuffle=shuffle)
        if not len(sources):
            raise InputError("no items to make batches of")
        self.sources, self.labels, self.pictures = sources, labels, pictures
        self._lengths = np.array([1 if pictures else max(len(source), 1) for source in sources])

    def plan(self, epoch: int) -> list[np.ndarray]:
        return self.bucketed(self._lengths, lambda order: in_batches(order, self.size), epoch)

    def batch(self, rows: np.ndarray) -> LabelledBatch:
        sources = [self.sources[row] for row in rows.tolist()]
        source, mask = (torch.from_numpy(np.stack(sources)), None) if self.pictures else pad_arrays(sources)
        mask = None if mask is None or mask.all() else mask
        return LabelledBatch(source, mask, torch.from_numpy(self.labels[rows]), tuple(rows.tolist()))
