"""Training batches of running text: documents packed into rows, or read on where the last batch ended.

Blocks of a corpus are taken in groups of about `group_bytes`, one group in memory at a time. What a group gives depends
on (seed, epoch, group) alone, and a cursor names a batch of a group: a run that stops goes on with the very batch that
would have come next, having read no more than one group again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.data.batches import START, Cursor, generator
from sightline.data.text.part import TextPart
from sightline.data.text.readers import Fragment
from sightline.data.tokens.text import TextTokenizer

GROUP_BYTES = 1 << 23
_BITS = 24  # of a cursor's index that number the batch within its group


class TextBatch(NamedTuple):
    """Some rows of running text.

    tokens: (B, T) long, what is read; labels: (B, T) long, the token after each
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


class Positions(NamedTuple):
    """Documents one after another: what is read at each position, what follows, and where a document begins."""

    tokens: np.ndarray  # (N,) int32
    labels: np.ndarray  # (N,) int32
    starts: np.ndarray  # (N,) bool


def positions(ids: np.ndarray, begins: bool, ends: bool, before: int = TextTokenizer.BOS) -> Positions:
    """The positions of a text: BOS, or the token `before` it, then its ids; EOS follows the last where it `ends`."""
    tail = np.array([TextTokenizer.EOS] if ends else [], dtype=np.int32)
    labels = np.concatenate([ids, tail])
    tokens = np.concatenate([np.array([before], dtype=np.int32), labels])[: len(labels)]
    starts = np.zeros(len(labels), dtype=bool)
    starts[:1] = begins
    return Positions(tokens, labels, starts)


def joined(parts: Sequence[Positions]) -> Positions:
    """Several stretches one after another."""
    if not parts:
        return Positions(np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, bool))
    return Positions(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def documents(fragments: Iterable[tuple[int, Fragment]], tokenizer: TextTokenizer) -> list[Positions]:
    """Whole documents, or as much of each as stands in blocks that follow each other.

    `fragments` come with the numbers of their blocks. Text whose beginning is not at hand begins with BOS like a
    document, so that each of its tokens is a label somewhere.
    """
    found: list[list[Positions]] = []
    open_after = -2  # the block at whose end a document goes on
    before = TextTokenizer.BOS
    for number, fragment in fragments:
        ids = tokenizer.encode(fragment.text)
        goes_on = not fragment.begins and open_after == number - 1
        here = positions(ids, not goes_on, fragment.ends, before if goes_on else TextTokenizer.BOS)
        if goes_on:
            found[-1].append(here)
        else:
            found.append([here])
        open_after = -2 if fragment.ends else number
        before = int(ids[-1]) if len(ids) else before
    return [joined(parts) for parts in found]


class TextBatches(ABC):
    """Endless batches of a part of a corpus, `rows` rows of at most `length` positions.

    Raises:
        InputError: "corpus has no text to train on"; "length must be at least 1, found 0".
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
            if value < 1:
                raise InputError(f"{name} must be at least 1, found {value}")
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
                found = self.batches(groups[number], epoch, number)
                for index in range(skip):
                    if next(found, None) is None:
                        raise InputError(f"epoch {epoch} has no batch {index} in group {number}: was the data changed?")
                following = Cursor(epoch + 1, 0) if number + 1 == len(groups) else Cursor(epoch, (number + 1) << _BITS)
                batch, index = next(found, None), skip
                while batch is not None:
                    ahead, index = next(found, None), index + 1
                    yield batch, following if ahead is None else Cursor(epoch, (number << _BITS) + index)
                    batch = ahead
                skip = 0
            epoch, group = epoch + 1, 0

    def _cut(self, order: np.ndarray) -> list[np.ndarray]:
        """An order of blocks in groups of about `group_bytes`."""
        before = np.cumsum(self.part.sizes[order]) - self.part.sizes[order]
        number = before // self.group_bytes
        return np.split(order, np.flatnonzero(np.diff(number)) + 1)

    def _documents(self, blocks: np.ndarray) -> list[Positions]:
        return documents(self.part.numbered(blocks.tolist()), self.tokenizer)

    def _random(self, *names: int) -> np.random.Generator:
        return generator(self.seed, "text", *names)


class PackedRows(TextBatches):
    """Rows of `length` positions, documents packed one after another, `starts` where one begins.

    Blocks are shuffled over the whole corpus, documents within a group, then rows within it. A document longer than
    what is left of its row goes on in another row, where what came before is not seen. Each label comes exactly once
    an epoch. Where rows begin differs from epoch to epoch.
    """

    def groups(self, epoch: int) -> list[np.ndarray]:
        runs = self.part.runs
        order = [np.arange(runs[i].start, runs[i].stop) for i in self._random(epoch).permutation(len(runs))]
        return self._cut(np.concatenate(order))

    def batches(self, blocks: np.ndarray, epoch: int, group: int) -> Iterator[TextBatch]:
        random = self._random(epoch, group)
        found = self._documents(blocks)
        stream = joined([found[i] for i in random.permutation(len(found))])
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


class Lanes(TextBatches):
    """Contiguous text for truncated back-propagation through time (Mikolov et al. 2010; Williams & Peng 1990).

    Each of the `rows` rows of a batch goes on where the same row of the batch before it ended, so that a state can be
    carried over. A group is a stretch of the corpus cut into as many equal lanes; where a lane begins, `starts` is set
    and the state with it begins anew. Groups come in an order that the seed decides.
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
    """The column (N,) in rows (rows, length), `phase` places after the beginning; zeros where there is nothing."""
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
