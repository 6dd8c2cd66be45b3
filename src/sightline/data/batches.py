"""Endless streams of batches in an order determined by a seed, and batches of pairs of token sequences.

The order of epoch e depends on (seed, e) alone, and a `Cursor` names any place in the stream: training that resumes
continues with the very batch that would have come next.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar, final, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.core.settings import check_in_range
from sightline.data.tokens.tokenizer import Tokenizer

B = TypeVar("B")
IdSequences: TypeAlias = Sequence[Sequence[int]] | Sequence[np.ndarray]  # an id, or an array of them, for each position

_WIDTH = 1.25  # a bucket's longest item over its shortest: at most a fifth of a padded batch is padding


class Cursor(NamedTuple):
    """A place in a stream: the next batch is number `index` of epoch `epoch`."""

    epoch: int = 0
    index: int = 0


START = Cursor()


@runtime_checkable
class Batches(Protocol):
    """An endless stream of batches that begins at any cursor; `sightline.testing.check_batches` has its laws.

    size_key: the setting that bounds a batch, and its value: the one to lower if memory is short
    """

    @property
    def size_key(self) -> tuple[str, int]: ...

    def stream(self, cursor: Cursor) -> Iterator[tuple[Any, Cursor]]:
        """Batches from `cursor` on, each with the cursor of the batch after it."""
        ...


class BatchStream(ABC, Generic[B]):
    """Batches that are planned an epoch at a time, as numbers of items; every item comes once per epoch.

    Raises:
        InputError: "batch_size: must be at least 1, found 0".
    """

    def __init__(self, size_key: tuple[str, int], *, seed: int, shuffle: bool) -> None:
        key, size = size_key
        check_in_range(key, size, at_least=1)
        self.size_key, self.size, self.seed, self.shuffle = size_key, size, seed, shuffle
        self._kept: tuple[int, list[np.ndarray]] | None = None  # an epoch and its plan

    @abstractmethod
    def plan(self, epoch: int) -> list[np.ndarray]:
        """The numbers of the items of each batch of an epoch, in order."""

    @abstractmethod
    def batch(self, rows: np.ndarray) -> B:
        """The batch of the items with these numbers."""

    def __len__(self) -> int:
        """Batches in the first epoch."""
        return len(self._planned(0))

    def __iter__(self) -> Iterator[B]:
        """All batches of the first epoch, in order."""
        return self.epoch()

    def epoch(self, number: int = 0) -> Iterator[B]:
        """All batches of an epoch, in order."""
        return map(self.batch, self._planned(number))

    def stream(self, cursor: Cursor = START) -> Iterator[tuple[B, Cursor]]:
        """Endless batches from `cursor` on, each with the cursor of the batch after it.

        Raises:
            InputError: "epoch 3 has no batch 700, only 80: was the data changed?"
        """
        epoch, index = cursor
        while True:
            plan = self._planned(epoch)
            if not 0 <= index < len(plan):
                raise InputError(f"epoch {epoch} has no batch {index}, only {len(plan)}: was the data changed?")
            for place in range(index, len(plan)):
                last = place + 1 == len(plan)
                yield self.batch(plan[place]), Cursor(epoch + 1, 0) if last else Cursor(epoch, place + 1)
            epoch, index = epoch + 1, 0

    def bucketed(
        self, lengths: np.ndarray, cut: Callable[[np.ndarray], list[np.ndarray]], epoch: int
    ) -> list[np.ndarray]:
        """A plan in which items of similar length share a batch; `cut` divides an order of items into batches.

        Items are shuffled inside buckets of length, then batches among each other; without `shuffle` the shortest
        come first.
        """
        if not self.shuffle:
            return cut(np.argsort(lengths, kind="stable"))
        random = generator(self.seed, "batches", epoch)
        shuffled = random.permutation(len(lengths))
        buckets = np.floor(np.log(lengths) / np.log(_WIDTH)).astype(np.int64)
        batches = cut(shuffled[np.argsort(buckets[shuffled], kind="stable")])
        return [batches[i] for i in random.permutation(len(batches))]

    def _planned(self, epoch: int) -> list[np.ndarray]:
        epoch = epoch if self.shuffle else 0
        if self._kept is None or self._kept[0] != epoch:
            self._kept = (epoch, self.plan(epoch))
        return self._kept[1]


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """The random stream of these names (`core.seeds`)."""
    return np.random.Generator(np.random.PCG64(derive(seed, *names)))


def in_batches(order: np.ndarray, size: int) -> list[np.ndarray]:
    """An order of items cut into batches of `size`; the last may be smaller."""
    return np.split(order, range(size, len(order), size))


class Batch(NamedTuple):
    """Some items with their target texts, right-padded; texts with `Tokenizer.PAD`.

    source: of texts ids (B, M) long, without special tokens; of other items what their front end reads, or of several
        sources one `Masked` each
    source_mask: (B, M) bool, True = real; None where nothing is padded or sources bring their own
    target: (B, T) long, each row BOS … EOS
    target_mask: (B, T) bool
    rows: number of each row's pair in the data
    """

    source: Any
    source_mask: Any
    target: Tensor
    target_mask: Tensor
    rows: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Number of labels: real target tokens after BOS, EOS included."""
        return int(self.target_mask[:, 1:].sum())

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on `device`."""
        source = on_device(self.source, self.source_mask, device)
        return Batch(*source, self.target.to(device), self.target_mask.to(device), self.rows)


def on_device(source: Any, mask: Tensor | None, device: torch.device | str) -> tuple[Any, Tensor | None]:
    """A source, one tensor or several, and its mask on `device`."""
    moved = source.to(device) if isinstance(source, Tensor) else tuple(one.to(device) for one in source)
    return moved, None if mask is None else mask.to(device)


def pad(sequences: IdSequences) -> tuple[Tensor, Tensor]:
    """Ids (B, M) long, right-padded with PAD, and their mask (B, M) bool; of arrays (T, …) ids are (B, M, …)."""
    lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
    width = int(lengths.max(initial=0))
    mask = np.arange(width) < lengths[:, None]  # (B, M)
    arrays = [np.asarray(s, dtype=np.int64) for s in sequences]
    each = next((array.shape[1:] for array in arrays if array.ndim > 1), ())
    ids = np.full((*mask.shape, *each), Tokenizer.PAD, dtype=np.int64)
    if width:
        ids[mask] = np.concatenate(arrays)
    return torch.from_numpy(ids), torch.from_numpy(mask)


def pad_arrays(arrays: Sequence[np.ndarray], grain: int = 1) -> tuple[Tensor, Tensor]:
    """Arrays (T, …) as one tensor (B, M, …), zeros after their ends, and the mask (B, M).

    M is a multiple of `grain`: fewer different shapes are fewer to plan for.
    """
    lengths = np.array([len(array) for array in arrays])
    width = -(-int(lengths.max()) // grain) * grain
    padded = np.zeros((len(arrays), width, *arrays[0].shape[1:]), arrays[0].dtype)
    for place, array in zip(padded, arrays, strict=True):
        place[: len(array)] = array
    return torch.from_numpy(padded), torch.from_numpy(np.arange(width) < lengths[:, None])


@final
class PairBatches(BatchStream[Batch]):
    """Batches over pairs of id sequences (without special tokens); sources may be arrays (T, …), all of one kind.

    A batch of B rows, M and T wide, has at most `max_tokens` padded tokens: B · max(M, T) <= max_tokens. With
    `shuffle`, pairs of similar length are shuffled differently in each epoch; without, every epoch is the same,
    shortest pairs first.

    A pair that is longer than `max_length` (target counted with BOS and EOS) raises, is skipped or is truncated, as
    `too_long` says; `skipped` and `truncated` count them. One that alone exceeds `max_tokens` always raises.

    Raises:
        InputError: "no examples to make batches of"; "example 17 has 5000 tokens, more than batch_tokens 4096:
            set --batch_tokens=5000, or leave out such pairs with --max_length=4096 and --too_long=skip".
    """

    def __init__(
        self,
        source_ids: IdSequences,
        target_ids: Sequence[Sequence[int]],
        *,
        max_tokens: int,
        seed: int,
        shuffle: bool = True,
        max_length: int | None = None,
        too_long: Literal["error", "skip", "truncate"] = "error",
    ) -> None:
        super().__init__(("batch_tokens", max_tokens), seed=seed, shuffle=shuffle)
        if len(source_ids) != len(target_ids):
            raise InputError(f"{len(source_ids)} sources but {len(target_ids)} targets")
        self.skipped = 0
        self.truncated = 0
        rows, sources, targets = self._fit(source_ids, target_ids, max_length, too_long)
        if not rows:
            raise InputError("no examples to make batches of")
        self._rows = np.array(rows)
        self._source, self._source_ends = _flatten(sources)
        self._target, self._target_ends = _flatten([[Tokenizer.BOS, *ids, Tokenizer.EOS] for ids in targets])
        source_lengths = np.diff(self._source_ends, prepend=0)
        target_lengths = np.diff(self._target_ends, prepend=0)
        self._lengths = np.maximum(source_lengths, target_lengths)
        longest = int(self._lengths.max())
        if longest > max_tokens:
            raise InputError(
                f"example {rows[int(self._lengths.argmax())] + 1} has {longest} tokens, more than batch_tokens "
                f"{max_tokens}: set --batch_tokens={longest}, or leave out such pairs with --max_length={max_tokens} "
                "and --too_long=skip"
            )

    @property
    def longest(self) -> tuple[int, int]:
        """The length of the longest source, and of the longest target with BOS and EOS."""
        source, target = (int(np.diff(ends, prepend=0).max()) for ends in (self._source_ends, self._target_ends))
        return source, target

    @property
    def examples(self) -> int:
        """Number of pairs in an epoch."""
        return len(self._rows)

    @property
    def tokens(self) -> int:
        """Number of labels in an epoch."""
        return len(self._target) - self.examples

    def plan(self, epoch: int) -> list[np.ndarray]:
        return self.bucketed(self._lengths, self._cut, epoch)

    def batch(self, rows: np.ndarray) -> Batch:
        source, source_mask = pad(_take(self._source, self._source_ends, rows))
        target, target_mask = pad(_take(self._target, self._target_ends, rows))
        return Batch(source, source_mask, target, target_mask, tuple(self._rows[rows].tolist()))

    def _fit(
        self,
        source_ids: IdSequences,
        target_ids: Sequence[Sequence[int]],
        max_length: int | None,
        too_long: str,
    ) -> tuple[list[int], list[Any], list[Sequence[int]]]:
        """The pairs to use, after `max_length`, with their numbers."""
        if too_long not in ("error", "skip", "truncate"):
            raise InputError(f"unknown too_long {too_long!r}; choose error, skip or truncate")
        if max_length is not None and max_length < 3:
            raise InputError(f"max_length must leave room for BOS, a token and EOS: at least 3, found {max_length}")
        rows: list[int] = []
        sources: list[Any] = []
        targets: list[Sequence[int]] = []
        for row, (source, target) in enumerate(zip(source_ids, target_ids, strict=True)):
            if max_length is not None and max(len(source), len(target) + 2) > max_length:
                if too_long == "error":
                    length = max(len(source), len(target) + 2)
                    raise InputError(f"example {row + 1} has {length} tokens, more than max_length {max_length}")
                if too_long == "skip":
                    self.skipped += 1
                    continue
                self.truncated += 1
                source, target = source[:max_length], target[: max_length - 2]
            rows.append(row)
            sources.append(source)
            targets.append(target)
        return rows, sources, targets

    def _cut(self, order: np.ndarray) -> list[np.ndarray]:
        """Cut an order of pairs into batches, filling each as far as `max_tokens` allows."""
        cuts: list[int] = []
        start, widest = 0, 0
        for position, length in enumerate(self._lengths[order].tolist()):
            if (position - start + 1) * max(widest, length) > self.size:
                cuts.append(position)
                start, widest = position, 0
            widest = max(widest, length)
        return np.split(order, cuts)


def _flatten(sequences: IdSequences) -> tuple[np.ndarray, np.ndarray]:
    """All ids in one array, and where each sequence ends in it: a tenth of the memory of lists of lists."""
    ends = np.cumsum(np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences)))
    if sequences and isinstance(sequences[0], np.ndarray):
        return np.concatenate(sequences), ends
    total = int(ends[-1]) if len(ends) else 0
    return np.fromiter((i for s in sequences for i in s), dtype=np.int32, count=total), ends


def _take(flat: np.ndarray, ends: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    return [flat[(ends[i - 1] if i else 0) : ends[i]] for i in rows.tolist()]
