"""Training batches of running text: documents packed into rows, or continued where the last batch ended.

Blocks of a corpus are taken in groups of about `group_bytes`, one group in memory at a time. The batches of a group
depend on (seed, epoch, group) alone, and a cursor names a batch of a group: training that resumes continues with the
very batch that would have come next, and reads at most one group again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.settings import check_in_range
from sightline.data.batches import START, Cursor, generator
from sightline.data.text.part import TextPart
from sightline.data.text.positions import TextPositions, documents, joined
from sightline.data.tokens.text import TextTokenizer

GROUP_BYTES = 1 << 23
_BITS = 24  # of a cursor's index that number the batch within its group


class TextBatch(NamedTuple):
    """Some rows of running text.

    tokens: (B, T) long; labels: (B, T) long, the token after each
    mask: (B, T) bool, True = real; None = all are
    starts: (B, T) bool, True where a new document begins; None = nowhere but, in packed rows, at the left edge
    rows: numbers of the rows within their group
    """

    tokens: Tensor
    labels: Tensor
    mask: Tensor | None
    starts: Tensor | None
    rows: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of real labels."""
        return self.labels.numel() if self.mask is None else int(self.mask.sum())

    def to(self, device: torch.device | str) -> TextBatch:
        """The same batch on `device`."""
        mask, starts = (None if part is None else part.to(device) for part in (self.mask, self.starts))
        return TextBatch(self.tokens.to(device), self.labels.to(device), mask, starts, self.rows)


class TextBatches(ABC):
    """Endless batches of a part of a corpus, `rows` rows of at most `length` positions.

    Raises:
        InputError: "corpus has no text to train on"; "length: must be at least 1, found 0".
    """

    def __init__(
        self,
        part: TextPart,
        tokenizer: TextTokenizer,
        *,
        length: int,
        rows: int,
        seed: int,
        group_bytes: int = GROUP_BYTES,
    ) -> None:
        for name, value in (("length", length), ("rows", rows), ("group_bytes", group_bytes)):
            check_in_range(name, value, at_least=1)
        if not part.size:
            raise InputError(f"the {part.name} part has no text to make batches of")
        self.part, self.tokenizer = part, tokenizer
        self.length, self.rows, self.seed, self.group_bytes = length, rows, seed, group_bytes
        self.size_key = "batch_tokens", rows * length

    @abstractmethod
    def groups(self, epoch: int) -> list[np.ndarray]:
        """Numbers of the blocks of each group, in order."""

    @abstractmethod
    def batches(self, blocks: np.ndarray, epoch: int, group: int) -> Iterator[TextBatch]:
        """The batches of a group."""

    def __len__(self) -> int:
        """Batches in the first epoch, counted by making them, which reads the whole part."""
        return sum(1 for number, blocks in enumerate(self.groups(0)) for _ in self.batches(blocks, 0, number))

    def stream(self, cursor: Cursor = START) -> Iterator[tuple[TextBatch, Cursor]]:
        """Endless batches from `cursor` on, each with the cursor of the batch after it.

        Raises:
            InputError: "epoch 3 has no batch 700 in group 2: was the data changed?"
        """
        epoch, (group, skip) = cursor.epoch, divmod(cursor.index, 1 << _BITS)
        while True:
            groups = self.groups(epoch)
            if not 0 <= group < len(groups):
                raise InputError(f"epoch {epoch} has no group {group}, only {len(groups)}: was the data changed?")
            for number in range(group, len(groups)):
                batches = self.batches(groups[number], epoch, number)
                for index in range(skip):
                    if next(batches, None) is None:
                        raise InputError(f"epoch {epoch} has no batch {index} in group {number}: was the data changed?")
                following = Cursor(epoch + 1, 0) if number + 1 == len(groups) else Cursor(epoch, (number + 1) << _BITS)
                batch, index = next(batches, None), skip
                while batch is not None:
                    ahead, index = next(batches, None), index + 1
                    yield batch, following if ahead is None else Cursor(epoch, (number << _BITS) + index)
                    batch = ahead
                skip = 0
            epoch, group = epoch + 1, 0

    def _cut(self, order: np.ndarray) -> list[np.ndarray]:
        """An order of blocks in groups of about `group_bytes`."""
        before = np.cumsum(self.part.sizes[order]) - self.part.sizes[order]
        number = before // self.group_bytes
        return np.split(order, np.flatnonzero(np.diff(number)) + 1)

    def _documents(self, blocks: np.ndarray) -> list[TextPositions]:
        return documents(self.part.numbered(blocks.tolist()), self.tokenizer)

    def _random(self, *names: int) -> np.random.Generator:
        return generator(self.seed, "text", *names)


@final
class PackedRows(TextBatches):
    """Rows of `length` positions, documents packed one after another, `starts` where one begins.

    Blocks are shuffled over the whole corpus, documents within a group, then rows within it. A document longer than
    the rest of its row continues in another row, which does not see what came before. Each label comes exactly once
    an epoch. Where rows begin differs from epoch to epoch.
    """

    def groups(self, epoch: int) -> list[np.ndarray]:
        runs = self.part.runs
        order = [np.arange(runs[i].start, runs[i].stop) for i in self._random(epoch).permutation(len(runs))]
        return self._cut(np.concatenate(order))

    def batches(self, blocks: np.ndarray, epoch: int, group: int) -> Iterator[TextBatch]:
        random = self._random(epoch, group)
        texts = self._documents(blocks)
        stream = joined([texts[i] for i in random.permutation(len(texts))])
        total = len(stream.labels)
        phase = int(random.integers(self.length)) if total > 2 * self.length else 0
        count = -(-(total + phase) // self.length)  # rows
        rows = [_rows(column, phase, count, self.length) for column in (*stream, np.ones(total, dtype=bool))]
        order = random.permutation(count)
        for first in range(0, count, self.rows):
            chosen = order[first : first + self.rows]
            tokens, labels, starts, real = (column[chosen] for column in rows)
            inside = starts[:, 1:].any() or not real[:, 0].all()
            yield _batch(tokens, labels, real, starts if inside else None, chosen)


@final
class Lanes(TextBatches):
    """Contiguous text for truncated back-propagation through time (Mikolov et al. 2010; Williams & Peng 1990).

    Each of the `rows` rows of a batch continues the same row of the batch before it, so that a state can be carried
    over. A group is a stretch of the corpus cut into as many equal lanes; where a lane begins, `starts` is set
    and the state is reset. The seed decides the order of the groups.
    """

    def groups(self, epoch: int) -> list[np.ndarray]:
        groups = self._cut(np.arange(len(self.part.blocks)))
        return [groups[i] for i in self._random(epoch).permutation(len(groups))]

    def batches(self, blocks: np.ndarray, epoch: int, group: int) -> Iterator[TextBatch]:
        stream = joined(self._documents(blocks))
        total = len(stream.labels)
        width = -(-total // self.rows)  # positions of a lane
        tokens, labels, starts, real = (
            _rows(column, 0, self.rows, width) for column in (*stream, np.ones(total, dtype=bool))
        )
        starts[:, 0] = True
        for first in range(0, width, self.length):
            here = slice(first, first + self.length)
            begins = starts[:, here] if starts[:, here].any() else None
            yield _batch(tokens[:, here], labels[:, here], real[:, here], begins, np.arange(self.rows))


def _rows(column: np.ndarray, phase: int, rows: int, length: int) -> np.ndarray:
    """The column (N,) in rows (rows, length), `phase` places after the beginning; zeros elsewhere."""
    padded = np.zeros(rows * length, dtype=column.dtype)
    padded[phase : phase + len(column)] = column
    return padded.reshape(rows, length)


def _batch(
    tokens: np.ndarray, labels: np.ndarray, real: np.ndarray, starts: np.ndarray | None, rows: np.ndarray
) -> TextBatch:
    return TextBatch(
        torch.from_numpy(tokens.astype(np.int64)),
        torch.from_numpy(labels.astype(np.int64)),
        None if real.all() else torch.from_numpy(real.copy()),
        None if starts is None else torch.from_numpy(starts.copy()),
        tuple(rows.tolist()),
    )
