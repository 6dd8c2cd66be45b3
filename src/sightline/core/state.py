"""States are values: nested NamedTuples whose leaves have the batch on axis 0.

A leaf is a `Tensor`, a `Growing` cache, a `Shared` tensor or `None` (absent). Everything that handles states (beam
search, forks, checkpoints, the laws) uses the functions of this file and knows no mechanism.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import torch
from torch import Tensor

from sightline.core.caches import Growing, Shared
from sightline.core.shapes import AnyTensor, KeyMask, RowIndex

S = TypeVar("S")
Leaf: TypeAlias = AnyTensor | Growing | Shared


def map_state(function: Callable[[AnyTensor], AnyTensor], state: S) -> S:
    """The state with `function` applied to every tensor in it."""
    return _mapped(function, lambda cache: cache.map(function), state)


def _mapped(function: Callable[[Tensor], Tensor], of_cache: Callable[[Any], Any], state: Any) -> Any:
    if isinstance(state, tuple):
        mapped: list[Any] = [None if part is None else _mapped(function, of_cache, part) for part in state]
        return type(state)(*mapped) if hasattr(state, "_fields") else type(state)(mapped)
    if type(state) is Growing or type(state) is Shared:
        return of_cache(state)
    if state is None or isinstance(state, Tensor):
        return state if state is None else function(state)
    raise _no_state(state)


def with_leaves(state: S, leaves: Iterable[Leaf]) -> S:
    """The state with other leaves instead of `stored_leaves`, in their order."""
    following: Iterator[Any] = iter(leaves)
    return _mapped(lambda _: next(following), lambda _: next(following), state)


def form(state: Any) -> Any:
    """What does not depend on sizes: types and dtypes, which leaves are present, and which are branches of one row."""
    if state is None:
        return None
    if isinstance(state, tuple):
        return (type(state), *map(form, state))
    if isinstance(state, Tensor):
        return Tensor, state.dtype, state.dim()
    return type(state), *state.kind


def _no_state(state: Any) -> TypeError:
    kind = type(state).__name__
    return TypeError(f"a state consists of tensors, Growing and Shared ones, None and tuples of them, found {kind}")


def leaves(state: Any) -> Iterator[AnyTensor]:
    """Every tensor in the state, in order."""
    for leaf in stored_leaves(state):
        yield leaf if isinstance(leaf, Tensor) else leaf.tensor


def stored_leaves(state: Any) -> list[Leaf]:
    """Every leaf that is present, as it is stored, in order."""
    return unfolded(state)[0]


def unfolded(state: Any) -> tuple[list[Leaf], list[Any]]:
    """`stored_leaves`, and the types of all parts: states that agree in these differ in their leaves alone."""
    leaves: list[Leaf] = []
    around: list[Any] = []
    _unfold(state, leaves, around)
    return leaves, around


def _unfold(state: Any, leaves: list[Leaf], around: list[Any]) -> None:
    kind = type(state)
    around.append(kind)
    if isinstance(state, tuple):
        if kind is tuple:
            around.append(len(state))
        for part in state:
            _unfold(part, leaves, around)
    elif kind is Growing or kind is Shared or isinstance(state, Tensor):
        leaves.append(state)
    elif state is not None:
        raise _no_state(state)


def select(state: S, index: RowIndex) -> S:
    """The state of the rows `index` (N,), in that order; rows may repeat. Forks, beams and dropped rows are this."""
    known: dict[Any, Any] = {}  # about this index: the caches of one state branch in the same way
    return _mapped(lambda leaf: leaf.index_select(0, index), lambda cache: cache.select(index, known), state)


class Stretchable(Protocol):
    """A state whose leaves have a length that depends on what was fed: keys of a cache, keys of a memory.

    Rows of different lengths can be joined, since such a state can have padding that no output depends on.
    """

    @property
    def stretch(self) -> int:
        """The smallest length at which every row keeps all of its content."""
        ...

    def stretched(self, length: int) -> Any:
        """The same rows at this length, at least `stretch`, with every leaf present that marks padding."""
        ...


def join(states: Sequence[S]) -> S:
    """The rows of all states in one state, in order.

    Where parts differ in length they must be `Stretchable`: the shorter ones get padding, and what no row needs is left
    out.

    Raises:
        ValueError: "states of FooState differ in the shapes of their leaves: rows of different lengths need the methods
            of core.state.Stretchable".
    """
    return _join(list(states), "this kind")


def _join(parts: list[Any], owner: str) -> Any:
    first = parts[0]
    if isinstance(first, tuple):
        owner = type(first).__name__
        if hasattr(type(first), "stretched") and len(set(map(_shapes, parts))) > 1:
            length = max(part.stretch for part in parts)
            parts = [part.stretched(length) for part in parts]
        joined = [_join(list(leaf), owner) for leaf in zip(*parts, strict=True)]
        return type(first)(*joined) if hasattr(first, "_fields") else type(first)(joined)
    if len(set(map(_shapes, parts))) > 1:
        raise ValueError(
            f"states of {owner} differ in the shapes of their leaves: rows of different lengths need the methods of "
            "core.state.Stretchable"
        )
    if first is None:
        return None
    return torch.cat(parts) if isinstance(first, Tensor) else first.joined(parts[1:])


def _shapes(state: Any) -> Any:
    """The properties that states share if they can be joined: the shapes of their leaves without the batch."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.shape[1:]
    if isinstance(state, Growing | Shared):
        return state.tensor.shape[1:]
    return tuple(map(_shapes, state))


def first_to_end(real: KeyMask) -> int:
    """Columns of real (B, S), bool, from the first that is True in a row to the last column."""
    columns = real.any(0).nonzero()
    return real.shape[1] - int(columns[0]) if len(columns) else 0


def retract(state: Any, later: Any) -> None:
    """Invalidate `later`, which continues `state`, and every value between them, so that `state` may grow again.

    The caller promises never to use them again. Without this `state` would still be right, but its caches would be
    copied at the next append, since `later` owns what follows in their buffers.
    """
    if isinstance(state, Growing) and isinstance(later, Growing):
        state.retract(later)
    elif isinstance(state, tuple) and isinstance(later, tuple):
        for of_state, of_later in zip(state, later, strict=True):
            retract(of_state, of_later)


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
    """Bytes of the state's content, without spare room in a growing cache; what branches share counts once."""
    return sum(leaf.nbytes for leaf in stored_leaves(state))
