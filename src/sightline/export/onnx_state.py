"""The state of a decoder as named tensors, which a graph takes and gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from sightline.core.caches import Growing, Shared
from sightline.core.state import leaves, map_state, stored_leaves

PAST = "past"  # the size of caches, which grows with every step


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
    def of(cls, before: Any, after: Any, others: dict[str, Any]) -> StateNames:
        """Names of the state `before` a step and `after` it; `others` are states that differ in the size named so.

        A tensor that grows with steps outside of a cache grows up to a size of its own, as those of a window do. The
        name of its size, `past_1` in part 1 of the state, is that of the part: ONNX Runtime takes sizes of one name
        for equal, and one tensor's memory for another.
        """
        shapes = {name: [leaf.shape for leaf in leaves(state)] for name, state in others.items()}
        names, axes = [name for name, _ in named(before)], []
        for place, (tensor, stored) in enumerate(zip(leaves(before), stored_leaves(before), strict=True)):
            of_part = f"{PAST}_{names[place].rpartition('.')[0].replace('.', '_')}"
            axes.append({0: "batch"})
            for size, other in shapes.items():
                for axis, pair in enumerate(zip(tensor.shape, other[place], strict=True)):
                    if axis and len(set(pair)) > 1:
                        axes[-1][axis] = of_part if size == PAST and not isinstance(stored, Growing) else size
        changed = tuple(new is not old for new, old in zip(leaves(after), leaves(before), strict=True))
        return cls(tuple(names), tuple(axes), changed)

    def after(self, tensors: list[Tensor]) -> list[Tensor]:
        """Those of a state's tensors that a step changes."""
        return [tensor for tensor, new in zip(tensors, self.changed, strict=True) if new]
