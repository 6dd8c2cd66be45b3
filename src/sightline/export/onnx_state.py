"""The state of a decoder as named tensors, which a graph takes and gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from sightline.core.caches import Growing, Shared
from sightline.core.state import leaves, map_state

PAST = "past"  # the size that grows with every step


def named(state: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the state by its place, such as `3.keys`: the third layer's field of that name, from 0."""
    if isinstance(state, Growing | Shared):
        yield path, state.tensor
    elif isinstance(state, Tensor):
        yield path, state
    elif isinstance(state, tuple):
        fields = getattr(state, "_fields", range(len(state)))
        for name, part in zip(fields, state, strict=True):
            yield from named(part, f"{path}.{name}" if path else str(name))


def filled(state: Any, tensors: Sequence[Tensor]) -> Any:
    """A state like this one that consists of these tensors."""
    each = iter(tensors)
    return map_state(lambda _: next(each), state)


@final
@dataclass(frozen=True)
class StateNames:
    """The tensors of a state.

    names: their places
    axes: for each, the axes whose sizes differ from call to call, with a name
    changed: for each, whether a step makes a new one of it; the others stay as they were
    """

    names: tuple[str, ...]
    axes: tuple[dict[int, str], ...]
    changed: tuple[bool, ...]

    @classmethod
    def of(cls, before: Any, after: Any, others: dict[str, Any], long: Any) -> StateNames:
        """Names of the state `before` a step and `after` it; `others` are states that differ in the size named so.

        `long` is a state after many steps. A window's cache is shorter there than others, so that its size has a name
        of its own: ONNX Runtime takes sizes of one name for equal, and one tensor's memory for another.
        """
        shapes = {name: [leaf.shape for leaf in leaves(state)] for name, state in others.items()}
        first, whole = ([leaf.shape for leaf in leaves(state)] for state in (before, long))

        def growing(place: int, size: str) -> list[int]:
            """The axes whose sizes differ in that state."""
            pairs = zip(first[place], shapes[size][place], strict=True)
            return [axis for axis, (one, other) in enumerate(pairs) if axis and one != other]

        longest = max((whole[i][axis] for i in range(len(first)) for axis in growing(i, PAST)), default=0)
        names, axes = [name for name, _ in named(before)], []
        for place in range(len(names)):
            axes.append({0: "batch"})
            for size in shapes:
                for axis in growing(place, size):
                    end = whole[place][axis]
                    axes[-1][axis] = f"{size}_{end}" if size == PAST and end < longest else size
        changed = tuple(new is not old for new, old in zip(leaves(after), leaves(before), strict=True))
        return cls(tuple(names), tuple(axes), changed)

    def after(self, tensors: list[Tensor]) -> list[Tensor]:
        """Those of a state's tensors that a step changes."""
        return [tensor for tensor, new in zip(tensors, self.changed, strict=True) if new]
