"""Batches of labelled items, those of similar length together, in an order that a seed decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.data.batches import Cursor, planned

_WIDTH = 1.25  # the longest item of a bucket over its shortest


class LabelledBatch(NamedTuple):
    """Some items, padded on the right.

    source: token ids (B, T), series (B, T, C), samples (B, T) or pictures (B, C, H, W)
    source_mask: (B, T) bool, True = real; None where all are
    labels: (B,) int64, or with any number of labels (B, C) bool
    rows: index of each row's item in the part that the batches were made of
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
        mask = None if self.source_mask is None else self.source_mask.to(device)
        return LabelledBatch(self.source.to(device), mask, self.labels.to(device), self.rows)


def pad_rows(rows: Sequence[np.ndarray]) -> tuple[Tensor, Tensor | None]:
    """Arrays (T, …) as one tensor (B, T, …), zeros after their ends, and the mask (B, T); None where none is padded."""
    lengths = np.array([len(row) for row in rows])
    if lengths.min() == lengths.max():
        return torch.from_numpy(np.stack(rows)), None
    padded = np.zeros((len(rows), int(lengths.max()), *rows[0].shape[1:]), rows[0].dtype)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    return torch.from_numpy(padded), torch.from_numpy(np.arange(padded.shape[1]) < lengths[:, None])


class LabelledBatches:
    """Batches of `batch_size` items, of which `pictures` are never padded.

    Every item comes exactly once per epoch. With `shuffle` the order of epoch e depends on (seed, e) alone: items are
    shuffled inside buckets of similar length, and batches among each other; without, the shortest come first.
    """

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
        if not len(sources):
            raise InputError("no items to make batches of")
        self.sources, self.labels, self.pictures = sources, labels, pictures
        self.batch_size, self.seed, self.shuffle = batch_size, seed, shuffle
        self._lengths = np.array([1 if pictures else max(len(source), 1) for source in sources])
        self._buckets = np.floor(np.log(self._lengths) / np.log(_WIDTH)).astype(np.int64)
        self._plan: tuple[int, list[np.ndarray]] | None = None

    @property
    def size_key(self) -> tuple[str, int]:
        """The setting that bounds a batch, and its value."""
        return "batch_size", self.batch_size

    def epoch(self, number: int) -> Iterator[LabelledBatch]:
        """All batches of an epoch, in order."""
        return map(self._batch, self._order(number))

    def stream(self, cursor: Cursor = Cursor()) -> Iterator[tuple[LabelledBatch, Cursor]]:  # noqa: B008  a value
        """Endless batches from `cursor` on, each with the cursor of the batch after it.

        Raises:
            InputError: "epoch 3 has no batch 700" when the cursor is not of this data.
        """
        return planned(self._order, self._batch, cursor)

    def _order(self, epoch: int) -> list[np.ndarray]:
        if self._plan is None or self._plan[0] != epoch:
            self._plan = (epoch, self._plan_epoch(epoch))
        return self._plan[1]

    def _plan_epoch(self, epoch: int) -> list[np.ndarray]:
        cuts = range(self.batch_size, len(self.sources), self.batch_size)
        if not self.shuffle:
            return np.split(np.argsort(self._lengths, kind="stable"), cuts)
        random = np.random.Generator(np.random.PCG64(derive(self.seed, "batches", epoch)))
        shuffled = random.permutation(len(self.sources))
        batches = np.split(shuffled[np.argsort(self._buckets[shuffled], kind="stable")], cuts)
        return [batches[i] for i in random.permutation(len(batches))]

    def _batch(self, chosen: np.ndarray) -> LabelledBatch:
        rows = [self.sources[i] for i in chosen.tolist()]
        source, mask = (torch.from_numpy(np.stack(rows)), None) if self.pictures else pad_rows(rows)
        return LabelledBatch(source, mask, torch.from_numpy(self.labels[chosen]), tuple(chosen.tolist()))
