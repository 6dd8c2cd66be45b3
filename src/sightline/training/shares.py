"""A batch in pieces of rows, dealt out to processes: together they compute the gradient of the whole batch.

Piece p of P has the rows from B·p/P to B·(p + 1)/P, rounded down, of a batch of B rows, padded as the batch is; process
r of N takes pieces r, r + N, r + 2N, … A piece has its own random stream, whichever process computes it, so that P
decides the result and N does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, final

from torch import Tensor

from sightline.core.errors import InputError
from sightline.data.batches import START, Batches, Cursor
from sightline.training.distributed import Team


class BatchPiece(NamedTuple):
    """Some rows of a batch.

    number: among the pieces of the batch
    batch: the rows, a batch of the same kind
    counts: whether they count; a process without rows computes one that does not, since the others wait for it
    """

    number: int
    batch: Any
    counts: bool


class Share(NamedTuple):
    """The pieces of one batch that a process computes; `rows` are the numbers of all rows of the batch."""

    pieces: tuple[BatchPiece, ...]
    rows: tuple[int, ...]


@final
class SharedBatches:
    """The shares of one process in a stream of batches, which the first process of each node reads for all of it.

    pieces: of each batch
    """

    def __init__(self, batches: Batches | None, team: Team, pieces: int) -> None:
        if batches is None and team.reads:
            raise ValueError("the first process of a node needs the batches")
        self._batches, self._team, self._pieces = batches, team, pieces
        self.size_key = team.once_per_node(lambda: batches.size_key)  # type: ignore[union-attr]

    def __len__(self) -> int:
        """Batches in the first epoch."""
        return len(self._batches)  # type: ignore[arg-type]

    def stream(self, cursor: Cursor = START) -> Iterator[tuple[Share, Cursor]]:
        """This process's share of each batch from `cursor` on, with the cursor of the batch after it."""
        source = None if self._batches is None or not self._team.reads else self._batches.stream(cursor)

        def dealt() -> list[tuple[Share, Cursor]]:
            assert source is not None
            batch, following = next(source)
            return [(share, following) for share in shares(batch, self._pieces, self._team.node, self._team.size)]

        while True:
            yield self._team.deal(dealt)


def in_shares(batches: Batches | None, pieces: int | None, team: Team) -> Batches:
    """The batches as a process of the team computes them; `pieces` of each, or one for each process."""
    number = pieces or team.size
    if team.alone and number == 1:
        if batches is None:
            raise ValueError("one process needs the batches")
        return batches
    return SharedBatches(batches, team, number)


def shares(batch: Any, pieces: int, ranks: Any, size: int) -> list[Share]:
    """The shares that the processes `ranks` of `size` have in a batch."""
    count, numbers = row_count(batch), tuple(getattr(batch, "rows", ()))
    turns = -(-pieces // size)  # the same for every process

    def piece(number: int) -> BatchPiece:
        first, end = count * number // pieces, count * (number + 1) // pieces
        counts = number < pieces and first < end
        return BatchPiece(number, rows_of(batch, first, end, count) if counts else rows_of(batch, 0, 1, count), counts)

    return [Share(tuple(piece(rank + size * turn) for turn in range(turns)), numbers) for rank in ranks]


def row_count(batch: Any) -> int:
    """The number of rows of a batch: the first axis of its first tensor.

    Raises:
        InputError: "a batch of NoneType has no tensor to divide into rows".
    """
    for field in batch if isinstance(batch, tuple) else (batch,):
        if isinstance(field, Tensor) and field.dim():
            return len(field)
        if isinstance(field, tuple) and any(isinstance(inner, tuple | Tensor) for inner in field):
            return row_count(field)
    raise InputError(f"a batch of {type(batch).__name__} has no tensor to divide into rows")


def rows_of(batch: Any, first: int, end: int, count: int) -> Any:
    """Rows `first` to `end` of a batch of `count` rows: of its tensors, its tuples with an entry for each row, and the
    batches inside it. Other values stay.

    Raises:
        InputError: "a tensor of shape (3, 4) in a batch of 8 rows has no axis of rows".
    """
    if isinstance(batch, Tensor):
        if batch.dim() == 0 or len(batch) != count:
            raise InputError(f"a tensor of shape {tuple(batch.shape)} in a batch of {count} rows has no axis of rows")
        return batch[first:end].clone()  # not a view, which would be sent with all that it is a view of
    if not isinstance(batch, tuple):
        return batch
    if not any(isinstance(field, tuple | Tensor) for field in batch):
        return batch[first:end] if len(batch) == count and not hasattr(batch, "_fields") else batch
    parts = [rows_of(field, first, end, count) for field in batch]
    return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
