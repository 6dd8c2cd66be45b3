"""Machine code of a decoder's step: recorded by torch.export, compiled by torch's compiler, stored on this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn

from sightline.core.branches import Branches, Paths
from sightline.core.caches import Growing, Shared
from sightline.core.digits import number_of
from sightline.core.state import Leaf, form, retract, stored_leaves, with_leaves
from sightline.models.machine_code import (
    LoadedCode,
    MachineCall,
    Recording,
    code_name,
    described,
    is_faster,
    machine_code,
    size_range,
)

LEAST_SIZE = 2  # that a size which is free has at least: 0 and 1 are cases of their own


@final
class StepCode:
    """A step for one number of rows and one form of state: `run(tokens, leaves)` gives logits and the leaves after it.

    sizes: of each tensor that the code takes, a number or a name for each axis; the same name is the same size
    tracks: of each leaf the number of its paths, where it is a cache of branches; equal numbers are equal paths
    ranges: the least and largest value of each name
    changed: the places of leaves that are not caches and change from step to step
    stored: whether the code was compiled earlier
    """

    stored = False

    def __init__(
        self,
        call: MachineCall,
        sizes: Sequence[Sequence[int | str]],
        ranges: dict[str, tuple[int, int]],
        changed: Sequence[int],
        tracks: Sequence[int | None],
    ) -> None:
        self._call, self._changed, self._tracks = call, list(changed), list(tracks)
        self._lasts: bool | None = None
        # The places of the caches along each track: they have the same paths, whose columns the code takes once.
        along = [track for track in dict.fromkeys(tracks) if track is not None]
        self._along = [[place for place, one in enumerate(tracks) if one == track] for track in along]
        self._ones: set[frozenset[str]] = set()
        self._sizes, self._ranges = [list(one) for one in sizes], ranges

    def lasts(self, leaves: Sequence[Leaf]) -> bool:
        """Whether code that takes these leaves takes those that follow them, in which nothing but caches has grown."""
        if self._lasts is None:
            free: list[int | str] = []
            fixed: set[int | str] = set()
            for place, sizes in enumerate(self._sizes):
                columns = place >= len(leaves)
                grows = 1 if columns else 0 if isinstance(leaves[place], Growing) else None  # the axis that does
                free += [] if grows is None else [sizes[grows]]
                fixed |= {size for axis, size in enumerate(sizes) if axis != grows}
            endless = all(isinstance(name, str) and self._is_endless(name) for name in free)
            # Branches store more than each of them sees: then each size needs a name of its own.
            alike = self._tracks == [None] * len(leaves) or len(set(free)) == len(free)
            self._lasts = endless and alike and not fixed & set(free)
        return self._lasts

    def _is_endless(self, name: int | str) -> bool:
        low, high = self._ranges.get(str(name), (0, sys.maxsize))
        return low <= LEAST_SIZE and high == sys.maxsize

    def continues(self, leaves: Sequence[Leaf]) -> bool:
        """Whether caches that had the same paths still have, once there is room in them for a step."""
        for places in self._along:
            paths = [_paths(leaves[place], room=True) for place in places]
            if any(one is not paths[0] for one in paths):
                return False
        return True

    def takes(self, leaves: Sequence[Leaf]) -> bool:
        """Whether the code is for leaves of these sizes."""
        ones = self.ones(leaves)
        return ones is not None and (not ones or ones in self._ones)

    def ones(self, leaves: Sequence[Leaf]) -> frozenset[str] | None:
        """The names whose size in these leaves is 1, below their range; None where other sizes do not fit.

        torch.export takes 1 for a case of its own, since a tensor of one item is repeated where it meets longer ones.
        Code for longer ones computes the same unless they meet, which a comparison shows; see `allow`.
        """
        known: dict[str, int] = {}
        shapes = list(map(_shape_taken, leaves))
        tracks, columns = paths_of(leaves)
        if tracks != self._tracks:
            return None
        for shape, sizes in zip([*shapes, *(one.shape for one in columns)], self._sizes, strict=True):
            for size, expected in zip(shape, sizes, strict=True):
                if isinstance(expected, int):
                    if size != expected:
                        return None
                elif known.setdefault(expected, size) != size:
                    return None
        ranges = [(name, *self._ranges[name]) for name in known if name in self._ranges]
        outside = {name for name, low, high in ranges if not low <= known[name] <= high}
        single = frozenset(name for name in outside if known[name] == 1)
        return single if len(single) == len(outside) else None

    def allow(self, ones: frozenset[str]) -> None:
        """From now on take leaves in which the sizes of these names are 1."""
        self._ones.add(ones)

    def run(self, tokens: Tensor, leaves: Sequence[Leaf]) -> tuple[Tensor, list[Leaf]]:
        """Logits (B, V) after tokens (B,), and the leaves of the next state."""
        taken, after = [tokens.contiguous()], list(leaves)  # the code does not look at strides
        for place, leaf in enumerate(leaves):
            if isinstance(leaf, Growing):
                content, after[place] = leaf.room(1)
            else:
                content = (leaf if isinstance(leaf, Tensor) else leaf.distinct).contiguous()
            taken.append(content)
        taken += [_paths(after[first]).columns.contiguous() for first, *_ in self._along]
        logits, *others = self._call(*taken)
        for place, tensor in zip(self._changed, others, strict=True):
            after[place] = tensor
        return logits, after

    def is_faster(
        self, plain: Callable[[], tuple[Tensor, Any]], tokens: Tensor, state: Any, leaves: Sequence[Leaf]
    ) -> bool:
        """Whether calls in turns take less processor time than the plain step's, by the median of their ratio."""
        return is_faster(
            lambda: retract(state, with_leaves(state, self.run(tokens, leaves)[1])),
            lambda: retract(state, plain()[1]),
        )


def step_code(
    model: Any, tokens: Tensor, state: Any, leaves: Sequence[Leaf], precision: str, *, again: bool = False
) -> StepCode:
    """The code for a model's step at these sizes, compiled unless this machine has it; with `again` in any case.

    The weights are the model's own, whichever model it was compiled for.
    """
    name, step = _name(model, tokens, state, leaves, precision), _TracedStep(model, state)
    what = f"the step for {number_of(len(tokens), 'row')}"
    return _from(machine_code(name, step, lambda: _recorded(step, tokens, leaves), what, again=again))


def _from(loaded: LoadedCode) -> StepCode:
    facts = loaded.facts
    ranges = {name: (low, high) for name, (low, high) in facts["ranges"].items()}
    code = StepCode(loaded.call, facts["sizes"], ranges, facts["changed"], facts["tracks"])
    code.stored = loaded.stored
    return code


def paths_of(leaves: Sequence[Leaf]) -> tuple[list[int | None], list[Tensor]]:
    """`StepCode.tracks` of leaves, and for each of their paths its columns (W, L + 1), those to be written included."""
    tracks: list[int | None] = []
    known: dict[int, int] = {}
    columns = []
    for leaf in leaves:
        paths = leaf.paths if isinstance(leaf, Growing) else None
        if paths is None:
            tracks.append(None)
            continue
        if id(paths) not in known:
            known[id(paths)] = len(columns)
            columns.append(paths.following().columns)
        tracks.append(known[id(paths)])
    return tracks, columns


def _paths(leaf: Leaf, *, room: bool = False) -> Paths:
    """The paths of a cache of branches, which gets `room` for a step."""
    paths = leaf.paths if isinstance(leaf, Growing) else None
    if not isinstance(leaf, Growing) or paths is None:
        raise ValueError("a cache of branches has become one of rows")
    return leaf.with_room(paths) if room else paths


@final
class _TracedStep(nn.Module):
    """A step as a function of tensors: tokens (B,), and what `StepCode.run` takes of each leaf."""

    def __init__(self, model: Any, state: Any) -> None:
        super().__init__()
        self.model = model
        self._state, self._leaves = state, list(stored_leaves(state))
        self.tracks = paths_of(self._leaves)[0]
        self._changed = _Places()

    @property
    def changed(self) -> list[int]:
        """Of the leaves, those that the last call changed and that are not caches."""
        return self._changed.places

    def forward(self, tokens: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Logits, and the leaves that change and are not caches.

        Raises:
            ValueError: "a step changes the form of the state"; "a step does not append to a cache"; "a step changes
                what is shared".
        """
        leaves = _around(self._leaves, self.tracks, tensors)
        logits, after = self.model.step(tokens, with_leaves(self._state, leaves))
        if form(after) != form(self._state):
            raise ValueError("a step changes the form of the state")
        results = [logits]
        self.changed.clear()
        for place, (old, new) in enumerate(zip(leaves, stored_leaves(after), strict=True)):
            if isinstance(old, Growing):
                if not (isinstance(new, Growing) and new.follows(old, 1)):
                    raise ValueError("a step does not append to a cache")
            elif isinstance(old, Shared):
                if not (isinstance(new, Shared) and new.distinct is old.distinct):
                    raise ValueError("a step changes what is shared")
            elif isinstance(new, Tensor) and new is not old:
                self.changed.append(place)
                results.append(new)
        return tuple(results)


@final
class _Places:
    """A list that torch.export does not restore when it has recorded a module, as it does with attributes."""

    def __init__(self) -> None:
        self.places: list[int] = []


def _around(like: Sequence[Leaf], tracks: Sequence[int | None], tensors: Sequence[Tensor]) -> list[Leaf]:
    """Leaves like these around the tensors that `StepCode.run` passes: their contents, then the columns of paths."""
    columns = tensors[len(like) :]
    paths: dict[int, Paths] = {}
    leaves: list[Leaf] = []
    for leaf, track, tensor in zip(like, tracks, tensors, strict=False):
        if isinstance(leaf, Growing) and track is not None:
            branches = Branches(columns[track].new_zeros(len(columns[track])), 1)
            along = paths.setdefault(track, Paths.before(columns[track], branches, tensor.shape[0]))
            leaves.append(Growing.within(tensor, leaf.axis, branches.width, along))
        elif isinstance(leaf, Growing):
            leaves.append(Growing.within(tensor, leaf.axis, 1))
        elif isinstance(leaf, Shared):
            single = leaf.single
            owner = None if single is None else tensor.new_zeros(single.width, dtype=torch.long)
            leaves.append(Shared(tensor, None if owner is None else Branches(owner, 1)))
        else:
            leaves.append(tensor)
    return leaves


def _recorded(step: _TracedStep, tokens: Tensor, leaves: Sequence[Leaf]) -> Recording:
    """The step as a program of torch.export, and `sizes`, `ranges`, `changed` and `tracks` of `StepCode`."""
    free, fixed = torch.export.Dim.AUTO, torch.export.Dim.STATIC
    axes, examples = [], []
    for leaf in leaves:
        content = leaf.room(1)[0] if isinstance(leaf, Growing) else leaf if isinstance(leaf, Tensor) else leaf.distinct
        examples.append(content.clone(memory_format=torch.contiguous_format))
        grows = range(1) if isinstance(leaf, Growing) else range(1, content.dim())
        axes.append({axis: free if axis in grows else fixed for axis in range(content.dim())})
    for columns in paths_of(leaves)[1]:
        examples.append(columns)
        axes.append({0: fixed, 1: free})
    with torch.inference_mode(False), torch.no_grad():
        inputs = tuple(tensor.clone() for tensor in (tokens, *examples))
        program = torch.export.export(step, inputs, dynamic_shapes=({0: fixed}, tuple(axes)))
    taken = [node.meta["val"] for node in program.graph.find_nodes(op="placeholder")][-len(inputs) :]
    sizes = [[int(str(size)) if str(size).isdigit() else str(size) for size in tensor.shape] for tensor in taken[1:]]
    ranges = {str(name): size_range(one) for name, one in program.range_constraints.items()}
    return Recording(program, {"sizes": sizes, "ranges": ranges, "changed": step.changed, "tracks": step.tracks})


def _shape_taken(leaf: Leaf) -> Sequence[int]:
    if isinstance(leaf, Growing):
        return leaf.room_shape(1)
    return leaf.shape if isinstance(leaf, Tensor) else leaf.distinct.shape


def _name(model: nn.Module, tokens: Tensor, state: Any, leaves: Sequence[Leaf], precision: str) -> str:
    growing = [isinstance(leaf, Growing) for leaf in leaves]
    shapes = [list(_shape_taken(leaf))[one:] for leaf, one in zip(leaves, growing, strict=True)]
    return code_name(model, [len(tokens), precision, described(form(state)), shapes])
