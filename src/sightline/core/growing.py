"""A cache that grows, as a value: see `core.caches`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor

from sightline.core.branches import Paths, begun, may_branch, repeats, selected
from sightline.core.shapes import AnyTensor, RowIndex
from sightline.core.transforms import in_place

SPARE = 8  # columns that a copied cache has room for at least


@final
class _Tail:
    """The written length of a buffer, shared by all `Growing` values on it, and what they found out about it.

    ordered: the buffer with the axis first, once that is known to be contiguous
    unchanging: its dtype, the axis and the other sizes, once somebody asked
    """

    __slots__ = ("length", "ordered", "unchanging")

    def __init__(self, length: int) -> None:
        self.length = length
        self.ordered: Tensor | None = None
        self.unchanging: tuple[Any, ...] | None = None


@final
class _Retracted:
    """The buffer of a value that was retracted."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("this cache was retracted and has no content")


_RETRACTED: Any = _Retracted()


@final
class Growing:
    """A tensor that is appended to along one axis, as a value: `append` returns a new one and never changes this one.

    Successive values share one buffer. `append` writes in place only when this value ends where the written part of
    the buffer ends, so that no other value can see the items written, and copies into a buffer of twice the length
    otherwise: O(1) amortised per appended item. While gradients are recorded, or `torch.func` transforms, it
    concatenates instead.

    `select` of a row several times copies nothing: the rows become branches of the stored one (`core.branches`), each
    of which appends columns of its own. `branched` reads them so; `tensor` copies every row.
    """

    __slots__ = ("__weakref__", "_buffer", "_paths", "_tail", "axis", "length")

    def __init__(self, tensor: AnyTensor, axis: int) -> None:
        if axis < 1:
            raise ValueError(f"axis must be positive (axis 0 is the batch), got {axis}")
        self.axis = axis
        self.length = tensor.shape[axis]
        self._buffer = tensor
        self._tail = _Tail(self.length)
        self._paths: Paths | None = None

    @property
    def tensor(self) -> AnyTensor:
        """The content, of length `length` along `axis`: a view, or for branches a copy that is kept."""
        if self._paths is not None:
            content = self._gathered(self._paths)
            if torch.compiler.is_exporting():
                return content
            self._buffer, self._paths, self._tail = content, None, _Tail(self.length)
        return self._buffer.narrow(self.axis, 0, self.length)

    @property
    def branched(self) -> tuple[AnyTensor, Paths] | None:
        """The stored rows and the paths of this value's rows through them; None where each row is stored by itself."""
        if self._paths is None:
            return None
        return self._buffer.narrow(self.axis, 0, self._paths.end), self._paths

    @property
    def paths(self) -> Paths | None:
        """The paths of this value's rows, where all are branches of one stored row."""
        return self._paths if self._paths is not None and self._paths.branches.rows == 1 else None

    @property
    def kind(self) -> tuple[Any, ...]:
        """What does not depend on sizes."""
        return self._buffer.dtype, self._buffer.dim(), self.axis, self.paths is not None

    @property
    def unchanging(self) -> tuple[Any, ...]:
        """`kind`, and the sizes that stay the same when items are appended."""
        tail = self._tail
        if tail.unchanging is None:
            shape = self._buffer.shape
            tail.unchanging = self._buffer.dtype, self.axis, (*shape[: self.axis], *shape[self.axis + 1 :])
        return self.paths is not None, tail.unchanging

    @property
    def capacity(self) -> int:
        """Items that the buffer has room for."""
        return self._buffer.shape[self.axis]

    @property
    def nbytes(self) -> int:
        """Bytes of the content, that of branches once."""
        end = self.length if self._paths is None else self._paths.end
        return self._buffer.narrow(self.axis, 0, end).numel() * self._buffer.element_size()

    def append(self, new: AnyTensor) -> Growing:
        """This content followed by `new`, whose other axes must agree."""
        added = new.shape[self.axis]
        if added == 0:
            return self
        exporting = torch.compiler.is_exporting()
        if exporting and self._tail.length == self._end < self._buffer.shape[self.axis]:  # `room`: it ends there
            return self._written(new)
        if exporting or not in_place():
            return Growing(torch.cat([self.tensor, new], self.axis) if self.length else new, self.axis)
        frozen = self._buffer.is_inference() and not torch.is_inference_mode_enabled()
        if self._paths is not None and added == 1 and not frozen:
            return self._append_columns(self._paths, new)
        content, length = self.tensor, self.length + added
        if self._tail.length != self.length or length > self.capacity or frozen:
            if not self.length:
                return Growing(new.clone(), self.axis)
            return self._with_room(content, max(2 * self.length, length)).append(new)
        self._buffer.narrow(self.axis, self.length, added).copy_(new)
        self._tail.length = length
        return self._sharing(length, None)

    @property
    def _end(self) -> int:
        """The columns that this value has in the buffer."""
        return self.length if self._paths is None else self._paths.end

    def _written(self, new: Tensor) -> Growing:
        """This content followed by `new` in a way that torch.export records as writing in place."""
        after, length = None, self.length + new.shape[self.axis]
        if self._paths is not None:
            new = self._paths.branches.group(new.squeeze(self.axis)).movedim(1, self.axis)
            after = self._paths.following()
        end = self._end + new.shape[self.axis]
        places = torch.arange(self._end, end, device=new.device)
        self._buffer.movedim(self.axis, 0).index_put_((places,), new.movedim(self.axis, 0))
        self._tail.length = end
        return self._sharing(length, after)

    def _append_columns(self, paths: Paths, new: Tensor) -> Growing:
        """One position more for every branch, in a column of its own."""
        width = paths.branches.width
        if self._tail.length != paths.end or paths.end + width > self.capacity or paths.branches.sparse:
            compact = self._compacted(paths)
            return compact._append_columns(paths.compact()[2], new)
        after = paths.following()
        columns = paths.branches.group(new.squeeze(self.axis)).movedim(1, self.axis)
        self._buffer.narrow(self.axis, paths.end, width).copy_(columns)
        self._tail.length = after.end
        return self._sharing(self.length + 1, after)

    def _compacted(self, paths: Paths) -> Growing:
        """The columns that are still seen, in a buffer with room for as many again."""
        rows, order, after = paths.compact()
        content = self._buffer.narrow(self.axis, 0, paths.end)
        content = content if len(rows) == len(content) else content.index_select(0, rows)
        index, shape = [1] * content.dim(), list(content.shape)
        index[0], index[self.axis] = order.shape
        shape[self.axis] = 2 * after.end + SPARE * after.branches.width
        copy = Growing(content.new_empty(shape), self.axis)
        columns = copy._buffer.narrow(self.axis, 0, after.end)
        torch.gather(content, self.axis, order.view(index).expand_as(columns), out=columns)
        copy._paths, copy.length, copy._tail.length = after, self.length, after.end
        return copy

    def _gathered(self, paths: Paths) -> Tensor:
        content = self._buffer.movedim(self.axis, 1)
        return content[paths.branches.owner.unsqueeze(1), paths.columns].movedim(1, self.axis)

    def select(self, index: RowIndex, known: dict[Any, Any]) -> Growing:
        """The rows `index`, in that order; `known` has what other caches of the same state found out about `index`."""
        if not may_branch(index, known):
            return self.map(lambda content: content.index_select(0, index))
        if self._paths is None:
            again = repeats(index, known)
            if not self.length and not (again and len(self._buffer) == 1):  # the rows of one source branch at once
                return self.map(lambda content: content.index_select(0, index))
            if not again:
                content = self.tensor.index_select(0, index)
                return self._with_room(content, 2 * self.length + SPARE)
            return self._sharing(self.length, begun(index, known, len(self._buffer), self.length))
        return self._sharing(self.length, selected(self._paths, index, known))

    def room(self, added: int) -> tuple[AnyTensor, Growing]:
        """The buffer (L + added, …) that `added` items are to be written into, and this value followed by them.

        The buffer is contiguous and has the axis first, so that its strides do not depend on its capacity. Branches of
        one stored row stay branches: then L counts columns, and an item is a column for each of them.
        """
        paths = self.paths
        if paths is not None and added == 1:
            after = self.with_room(paths).following()
            self._tail.length = after.end
            return self._first(after.end), self._sharing(self.length + 1, after)
        length = self.length + added
        ends = self._paths is None and self._tail.length == self.length and length <= self.capacity
        if not (ends and self._is_ordered()):
            self._move(self.tensor, 2 * length + SPARE)
        self._tail.length = length
        return self._first(length), self._sharing(length, None)

    def with_room(self, paths: Paths) -> Paths:
        """Make room for a column of each branch of one stored row, without columns that none sees; the paths then."""
        width = paths.branches.width
        ends = self._tail.length == paths.end and paths.end + width <= self.capacity
        if not (ends and self._is_ordered()):
            _, order, paths = paths.compact()
            content = self._buffer.index_select(self.axis, order[0])
            self._move(content, 2 * content.shape[self.axis] + SPARE * width)
            self._paths = paths
        return paths

    def _is_ordered(self) -> bool:
        """Whether the buffer is contiguous with the axis first."""
        if self._tail.ordered is None:
            ordered = self._buffer.movedim(self.axis, 0)
            self._tail.ordered = ordered if ordered.is_contiguous() else None
        return self._tail.ordered is not None

    def _first(self, count: int) -> Tensor:
        """So many items of a buffer that is contiguous with the axis first, which they have first."""
        ordered = self._tail.ordered
        return (self._buffer.movedim(self.axis, 0) if ordered is None else ordered).narrow(0, 0, count)

    def _move(self, content: Tensor, capacity: int) -> None:
        """Store this value's content in a buffer that is contiguous with the axis first."""
        content = content.movedim(self.axis, 0)
        buffer = content.new_empty((capacity, *content.shape[1:]))
        buffer[: len(content)] = content
        self._buffer, self._tail = buffer.movedim(0, self.axis), _Tail(len(content))
        self._tail.ordered = buffer

    def room_shape(self, added: int) -> tuple[int, ...]:
        """The shape of the buffer that `room` gives."""
        paths = self.paths
        if paths is not None and added == 1:
            self.with_room(paths)
        shape = list(self._buffer.shape if self._paths is None or paths is not None else self.tensor.shape)
        del shape[self.axis]
        if paths is not None and added == 1:
            return self._end + paths.branches.width, *shape
        return self.length + added, *shape

    def follows(self, before: Growing, added: int) -> bool:
        """Whether this is `before` with so many items added in place."""
        return self._buffer is before._buffer and self.length - before.length == added

    @classmethod
    def within(cls, buffer: AnyTensor, axis: int, added: int, paths: Paths | None = None) -> Growing:
        """The value that `room` gave this buffer (L + added, …) of, without the items that are to be written."""
        value = cls(buffer.movedim(0, axis), axis)
        value.length = value._tail.length = buffer.shape[0] - added
        if paths is not None:
            value._paths, value.length, value._tail.length = paths, paths.length, paths.end
        return value

    def _with_room(self, content: Tensor, capacity: int) -> Growing:
        """A value of its own with this content."""
        shape, length = list(content.shape), content.shape[self.axis]
        shape[self.axis] = capacity
        copy = Growing(content.new_empty(shape), self.axis)
        copy._buffer.narrow(self.axis, 0, length).copy_(content)
        copy._tail.length = copy.length = length
        return copy

    def _sharing(self, length: int, paths: Paths | None) -> Growing:
        shared = object.__new__(Growing)
        shared.axis, shared.length = self.axis, length
        shared._buffer, shared._tail, shared._paths = self._buffer, self._tail, paths
        return shared

    def map(self, function: Callable[[AnyTensor], AnyTensor]) -> Growing:
        """`function` of the content, in a buffer of its own."""
        return Growing(function(self.tensor), self.axis)

    def ending(self, length: int, fill: int = 0) -> Growing:
        """The last `length` items of the content, after as many of the value `fill` as are missing."""
        content = self.tensor
        if length <= self.length:
            return Growing(content.narrow(self.axis, self.length - length, length), self.axis)
        shape = list(content.shape)
        shape[self.axis] = length - self.length
        return Growing(torch.cat([content.new_full(shape, fill), content], self.axis), self.axis)

    def joined(self, others: Sequence[Growing]) -> Growing:
        """The rows of this value and of others of the same length, with room for more items."""
        content = torch.cat([self.tensor, *(other.tensor for other in others)])
        if not in_place():
            return Growing(content, self.axis)
        return self._with_room(content, 2 * self.length + SPARE)

    def retract(self, later: Growing) -> None:
        """See `core.state.retract`."""
        if later._tail is self._tail and later.length > self.length:
            self._tail.length = self._end
            later._buffer = _RETRACTED

    def __repr__(self) -> str:
        return f"Growing({tuple(self.tensor.shape)}, axis={self.axis}, capacity={self.capacity})"


def as_tree_gives(leaves: Any, axis: int) -> Growing:
    """A cache around the content that a tree gives it, which need not be a tensor."""
    (content,) = leaves
    if isinstance(content, Tensor):
        return Growing(content, axis)
    cache = object.__new__(Growing)
    cache.axis, cache.length, cache._buffer, cache._tail, cache._paths = axis, 0, content, _Tail(0), None
    return cache
