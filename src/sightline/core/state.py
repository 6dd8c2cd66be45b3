"""States are values: nested NamedTuples whose leaves have the batch on axis 0.

A leaf is a `Tensor`, a `Growing` cache, a `Shared` tensor or `None` (absent). Everything that handles states (beam
search, forks, checkpoints, the laws) uses the functions of this file and knows no mechanism.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from torch import Tensor

from sightline.core.caches import Growing, Shared

S = TypeVar("S")


def map_state(function: Callable[[Tensor], Tensor], state: S) -> S:
    """The state with `function` applied to every tensor in it."""
    return _mapped(function, lambda cache: cache.map(function), state)


def _mapped(function: Callable[[Tensor], Tensor], of_cache: Callable[[Any], Any], state: Any) -> Any:
    if state is None or isinstance(state, Tensor):
        return state if state is None else function(state)
    if isinstance(state, Growing | Shared):
        return of_cache(state)
    if isinstance(state, tuple):
        mapped = [_mapped(function, of_cache, part) for part in state]
        return type(state)(*mapped) if hasattr(state, "_fields") else type(state)(mapped)
    raise _no_state(state)


def _no_state(state: Any) -> TypeError:
    kind = type(state).__name__
    return TypeError(f"a state consists of tensors, Growing and Shared ones, None and tuples of them, found {kind}")


def leaves(state: Any) -> Iterator[Tensor]:
    """Every tensor in the state, in order."""
    for leaf in _leaves(state):
        yield leaf if isinstance(leaf, Tensor) else leaf.tensor


def _leaves(state: Any) -> Iterator[Tensor | Growing | Shared]:
    if isinstance(state, Tensor | Growing | Shared):
        yield state
    elif isinstance(state, tuple):
        for part in state:
            yield from _leaves(part)
    elif state is not None:
        raise _no_state(state)


def select(state: S, index: Tensor) -> S:
    """The state of the rows `index` (N,), in that order; rows may repeat. Forks, beams and dropped rows are this."""
    known: dict[Any, Any] = {}  # about this index: the caches of one state branch in the same way
    return _mapped(lambda leaf: leaf.index_select(0, index), lambda cache: cache.select(index, known), state)


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
    return sum(leaf.nbytes for leaf in _leaves(state))
