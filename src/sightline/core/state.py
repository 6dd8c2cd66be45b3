"""States are values: nested NamedTuples whose leaves have the batch on axis 0.

A leaf is a `Tensor`, a `Growing` cache or `None` (absent). Everything that handles states (beam search, forks,
checkpoints, the laws) uses the functions of this file and knows no mechanism.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, final

import torch
from torch import Tensor

S = TypeVar("S")


@final
class _Tail:
    """The written length of a buffer, shared by all `Growing` values on it."""

    __slots__ = ("length",)

    def __init__(self, length: int) -> None:
        self.length = length


@final
class Growing:
    """A tensor that is appended to along one axis, as a value: `append` returns a new one and never changes this one.

    Successive values share one buffer. `append` writes in place only when this value ends where the written part of
    the buffer ends, so that no other value can see the items written, and copies into a buffer of twice the length
    otherwise: O(1) amortised per appended item. While gradients are recorded it concatenates instead.
    """

    __slots__ = ("_buffer", "_tail", "axis", "length")

    def __init__(self, tensor: Tensor, axis: int) -> None:
        if axis < 1:
            raise ValueError(f"axis must be positive (axis 0 is the batch), got {axis}")
        self.axis = axis
        self.length = tensor.shape[axis]
        self._buffer = tensor
        self._tail = _Tail(self.length)

    @property
    def tensor(self) -> Tensor:
        """The content, a view of length `length` along `axis`."""
        return self._buffer.narrow(self.axis, 0, self.length)

    @property
    def capacity(self) -> int:
        """Items that the buffer has room for."""
        return self._buffer.shape[self.axis]

    def append(self, new: Tensor) -> Growing:
        """This content followed by `new`, whose other axes must agree."""
        added = new.shape[self.axis]
        if added == 0:
            return self
        if torch.is_grad_enabled():
            return Growing(torch.cat([self.tensor, new], self.axis) if self.length else new, self.axis)
        length = self.length + added
        frozen = self._buffer.is_inference() and not torch.is_inference_mode_enabled()
        if self._tail.length != self.length or length > self.capacity or frozen:
            return self._copied(length).append(new) if self.length else self._first(new)
        self._buffer.narrow(self.axis, self.length, added).copy_(new)
        self._tail.length = length
        return self._sharing(length)

    def _first(self, new: Tensor) -> Growing:
        return Growing(new.clone(), self.axis)

    def _copied(self, at_least: int) -> Growing:
        shape = list(self._buffer.shape)
        shape[self.axis] = max(2 * self.length, at_least)
        copy = Growing(self._buffer.new_empty(shape), self.axis)
        copy._buffer.narrow(self.axis, 0, self.length).copy_(self.tensor)
        copy._tail.length = copy.length = self.length
        return copy

    def _sharing(self, length: int) -> Growing:
        shared = object.__new__(Growing)
        shared.axis, shared.length = self.axis, length
        shared._buffer, shared._tail = self._buffer, self._tail
        return shared

    def map(self, function: Callable[[Tensor], Tensor]) -> Growing:
        """`function` of the content, in a buffer of its own."""
        return Growing(function(self.tensor), self.axis)

    def __repr__(self) -> str:
        return f"Growing({tuple(self.tensor.shape)}, axis={self.axis}, capacity={self.capacity})"


def map_state(function: Callable[[Tensor], Tensor], state: S) -> S:
    """The state with `function` applied to every tensor in it."""
    return _mapped(function, state)


def _mapped(function: Callable[[Tensor], Tensor], state: Any) -> Any:
    if state is None or isinstance(state, Tensor):
        return state if state is None else function(state)
    if isinstance(state, Growing):
        return state.map(function)
    if isinstance(state, tuple):
        mapped = [_mapped(function, part) for part in state]
        return type(state)(*mapped) if hasattr(state, "_fields") else type(state)(mapped)
    raise TypeError(
        f"a state consists of tensors, Growing caches, None and tuples of them, found {type(state).__name__}"
    )


def leaves(state: Any) -> Iterator[Tensor]:
    """Every tensor in the state, in order."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Growing):
        yield state.tensor
    elif isinstance(state, tuple):
        for part in state:
            yield from leaves(part)
    elif state is not None:
        raise TypeError(
            f"a state consists of tensors, Growing caches, None and tuples of them, found {type(state).__name__}"
        )


def select(state: S, index: Tensor) -> S:
    """The state of the rows `index` (N,), in that order; rows may repeat. Forks, beams and dropped rows are this."""
    return map_state(lambda leaf: leaf.index_select(0, index), state)


def detach(state: S) -> S:
    """The state cut off from the graph that made it, as truncated back-propagation through time carries it."""
    return map_state(Tensor.detach, state)


def replaced(value: S, **changes: Any) -> S:
    """A named tuple with other values of some fields.

    Its own `_replace` fails while torch 2.11 compiles, where the tuple was made in the same graph (torch 2.13 can).
    """
    fields: Any = value
    return type(fields)(*[changes.get(name, old) for name, old in zip(fields._fields, fields, strict=True)])


def nbytes(state: Any) -> int:
    """Bytes of the state's content, without spare room in a growing cache."""
    return sum(leaf.numel() * leaf.element_size() for leaf in leaves(state))
