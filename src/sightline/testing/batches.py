"""The laws of batch streams, over any stream of batches, ours or your own (`check_batches`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sized
from dataclasses import dataclass
from itertools import islice
from typing import Any, final

from torch import Tensor

from sightline.core.errors import CheckFailed
from sightline.core.settings import keys_of
from sightline.data.batches import START, Batches, Cursor
from sightline.testing.findings import refusal

_EPOCHS = 2
_MOST = 10_000  # batches of an epoch


@final
@dataclass(frozen=True)
class StreamSubject:
    """A stream under test.

    make: `make(size, seed)` gives a new stream over the same data, `size` being the value of its `size_key`
    items: all that must come in every epoch, such as the numbers of the items or all labels
    items_of: those of them that a batch has
    sizes: bounds of a batch; a small one, an odd one, and one larger than the data say most
    run: the class of the task's configuration, which must have the key that `size_key` names; None = any key
    """

    make: Callable[[int, int], Batches]
    items: tuple[Hashable, ...]
    items_of: Callable[[Any], Iterable[Hashable]] = lambda batch: batch.rows
    sizes: tuple[int, ...] = (1, 3, 10_000)
    run: type[Any] | None = None

    def taken(self, size: int, seed: int = 0) -> list[tuple[Cursor, Any, Cursor]]:
        """The batches of the first epochs, each between its own cursor and that of the next."""
        batches: list[tuple[Cursor, Any, Cursor]] = []
        cursor = START
        for batch, following in islice(self.make(size, seed).stream(START), _EPOCHS * _MOST):
            if cursor.epoch == _EPOCHS:
                break
            batches.append((cursor, batch, following))
            cursor = following
        return batches


def resumes(subject: StreamSubject) -> Iterator[str]:
    """A stream from any cursor, fresh or after other use, is the rest of the uninterrupted one."""
    for size in subject.sizes:
        whole = subject.taken(size)
        used = subject.make(size, 0)
        for cursor, batch, following in reversed(whole):  # backwards, so that a used stream is never where it was
            for stream in (subject.make(size, 0), used):
                again, after = next(iter(stream.stream(cursor)))
                if after != following or not same(again, batch):
                    yield f"of size {size}, from {tuple(cursor)} another batch follows than without an interruption"
                    return


def every_item_once(subject: StreamSubject) -> Iterator[str]:
    """Every epoch has every item exactly once."""
    expected = Counter(subject.items)
    for size in subject.sizes:
        epochs: dict[int, Counter[Hashable]] = {}
        for cursor, batch, _ in subject.taken(size):
            epochs.setdefault(cursor.epoch, Counter()).update(subject.items_of(batch))
        for epoch, items in epochs.items():
            if items != expected:
                missing, extra = (expected - items).total(), (items - expected).total()
                yield f"of size {size}, epoch {epoch} lacks {missing} items and has {extra} too many"


def any_size(subject: StreamSubject) -> Iterator[str]:
    """A stream can be made with batches of any size, keeps to it, and has no empty batch."""
    for size in subject.sizes:
        key, value = subject.make(size, 0).size_key
        if value != size:
            yield f"{key} is {value} where {size} was asked for"
        counts = [sum(1 for _ in subject.items_of(batch)) for _, batch, _ in subject.taken(size)]
        if not min(counts):
            yield f"of size {size}, a batch is empty"
        if max(counts) > size:
            yield f"of size {size}, a batch has {max(counts)} items"
    if not refusal(subject.make, 0, 0):
        yield "a size of 0 is accepted"


def size_key_of_the_run(subject: StreamSubject) -> Iterator[str]:
    """`size_key` names a key of the task's configuration, so that an error about memory can name a flag."""
    key, _ = subject.make(subject.sizes[0], 0).size_key
    if subject.run is not None and key not in keys_of(subject.run):
        yield f"{subject.run.__name__} has no key {key!r}"


def order_from_the_seed(subject: StreamSubject) -> Iterator[str]:
    """The same seed gives the same order; another seed, and another epoch, another one."""
    size = subject.sizes[0]
    first, again, other = (subject.taken(size, seed) for seed in (1, 1, 2))
    if not same([batch for _, batch, _ in first], [batch for _, batch, _ in again]):
        yield "two streams with the same seed differ"
    if same([batch for _, batch, _ in first], [batch for _, batch, _ in other]):
        yield "streams with different seeds are the same"
    epochs = [[batch for cursor, batch, _ in first if cursor.epoch == epoch] for epoch in range(_EPOCHS)]
    if same(*epochs):
        yield "two epochs have the same order"


def length_of_an_epoch(subject: StreamSubject) -> Iterator[str]:
    """The length of a stream that has one is the number of batches of its first epoch."""
    for size in subject.sizes:
        stream = subject.make(size, 0)
        count = sum(1 for cursor, _, _ in subject.taken(size) if cursor.epoch == 0)
        if isinstance(stream, Sized) and len(stream) != count:
            yield f"of size {size}, the length is {len(stream)}, the first epoch has {count} batches"


def refuses_other_cursors(subject: StreamSubject) -> Iterator[str]:
    """A cursor beyond the data is an `InputError`."""
    for cursor in (Cursor(0, 10**12), Cursor(1, -1)):
        if not refusal(next, iter(subject.make(subject.sizes[0], 0).stream(cursor))):
            yield f"the cursor {tuple(cursor)} is accepted"


BATCH_LAWS: dict[str, Callable[[StreamSubject], Iterator[str]]] = {
    "resumes at every cursor": resumes,
    "every item once an epoch": every_item_once,
    "any batch size": any_size,
    "size_key is a key of the run": size_key_of_the_run,
    "the seed decides the order": order_from_the_seed,
    "the length is that of an epoch": length_of_an_epoch,
    "cursors of other data are refused": refuses_other_cursors,
}


def check_batches(subject: StreamSubject, laws: Iterable[str] | None = None) -> None:
    """Check the laws of batch streams, all of `BATCH_LAWS` or those named.

    Raises:
        CheckFailed: "resumes at every cursor: of size 3, from (0, 4) another batch follows than …", all that fail.
    """
    failures = [f"{name}: {problem}" for name in laws or BATCH_LAWS for problem in BATCH_LAWS[name](subject)]
    if failures:
        raise CheckFailed("; ".join(failures))


def same(left: Any, right: Any) -> bool:
    """Whether two batches, or lists of them, are equal to the bit."""
    if isinstance(left, Tensor):
        return isinstance(right, Tensor) and left.dtype == right.dtype and left.equal(right)
    if isinstance(left, tuple | list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)
