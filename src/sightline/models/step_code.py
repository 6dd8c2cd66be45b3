"""Machine code of a decoder's step: recorded by torch.export, compiled by torch's compiler, stored on this machine."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import re
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from sightline.core.branches import Branches, Paths
from sightline.core.caches import Growing, Shared
from sightline.core.digits import number_of
from sightline.core.files import write_file
from sightline.core.processor import cpuinfo
from sightline.core.state import Leaf, form, retract, stored_leaves, with_leaves

PACKAGE = Path(__file__).parents[1]
PAIRS = 15  # of calls by which code is timed beside the plain step

logger = logging.getLogger("sightline")


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
        call: Callable[..., Sequence[Tensor]],
        sizes: Sequence[Sequence[int | str]],
        ranges: dict[str, tuple[int, int]],
        changed: Sequence[int],
        tracks: Sequence[int | None],
    ) -> None:
        self._call, self._changed, self._tracks = call, list(changed), list(tracks)
        self._lasts: bool | None = None
        self._sizes, self._ranges = [list(one) for one in sizes], ranges

    def lasts(self, leaves: Sequence[Leaf]) -> bool:
        """Whether code that takes these leaves takes those that follow them, in which nothing but caches has grown."""
        if self._lasts is None:
            grows = [isinstance(leaf, Growing) for leaf in leaves]
            sizes = list(zip(self._sizes, grows, strict=False))
            fixed = {size for one, cache in sizes for size in (one[1:] if cache else one)}
            free = [one[0] for one, cache in sizes if cache]
            bounded = {name for name, (_, high) in self._ranges.items() if high < sys.maxsize}
            endless = all(isinstance(name, str) and name not in bounded for name in free)
            self._lasts = endless and not fixed & set(free) and self._tracks == [None] * len(grows)
        return self._lasts

    def takes(self, leaves: Sequence[Leaf]) -> bool:
        """Whether the code is for leaves of these sizes."""
        known: dict[str, int] = {}
        shapes = list(map(_shape_taken, leaves))
        tracks, columns = paths_of(leaves)
        if tracks != self._tracks:
            return False
        for shape, sizes in zip([*shapes, *(one.shape for one in columns)], self._sizes, strict=True):
            for size, expected in zip(shape, sizes, strict=True):
                if isinstance(expected, int):
                    if size != expected:
                        return False
                elif known.setdefault(expected, size) != size:
                    return False
        return all(low <= known[name] <= high for name, (low, high) in self._ranges.items() if name in known)

    def run(self, tokens: Tensor, leaves: Sequence[Leaf]) -> tuple[Tensor, list[Leaf]]:
        """Logits (B, V) after tokens (B,), and the leaves of the next state."""
        taken, after = [tokens.contiguous()], list(leaves)  # the code does not look at strides
        for place, leaf in enumerate(leaves):
            if isinstance(leaf, Growing):
                content, after[place] = leaf.room(1)
            else:
                content = (leaf if isinstance(leaf, Tensor) else leaf.distinct).contiguous()
            taken.append(content)
        logits, *others = self._call(*taken, *(columns.contiguous() for columns in paths_of(leaves)[1]))
        for place, tensor in zip(self._changed, others, strict=True):
            after[place] = tensor
        return logits, after

    def is_faster(
        self, plain: Callable[[], tuple[Tensor, Any]], tokens: Tensor, state: Any, leaves: Sequence[Leaf]
    ) -> bool:
        """Whether calls in turns take less processor time than the plain step's, by the median of their ratio."""
        ratios = []
        for _ in range(PAIRS):
            began = time.thread_time()
            later = plain()[1]
            retract(state, later)
            between = time.thread_time()
            retract(state, with_leaves(state, self.run(tokens, leaves)[1]))
            ratios.append((time.thread_time() - between) / max(between - began, 1e-9))
        return statistics.median(ratios) < 1.0


def step_code(
    model: Any, tokens: Tensor, state: Any, leaves: Sequence[Leaf], precision: str, *, again: bool = False
) -> StepCode:
    """The code for a model's step at these sizes, compiled unless this machine has it; with `again` in any case.

    The weights are the model's own, whichever model it was compiled for.
    """
    place = _directory() / _key(model, tokens, state, leaves, precision)
    package, facts = place.with_suffix(".pt2"), place.with_suffix(".json")
    stored = package.is_file() and facts.is_file() and not again
    if not stored:
        logger.info("compiling the step for %s, once on this machine: some 20 s", number_of(len(tokens), "row"))
        _compile(_TracedStep(model, state), tokens, leaves, package, facts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        from torch._inductor import aoti_load_package

    described = json.loads(facts.read_text(encoding="utf-8"))
    loaded: Any = aoti_load_package(str(package))
    weights = _weights(_TracedStep(model, state))
    constants = [name for name in loaded.get_constant_fqns() if name not in weights]
    if constants:
        weights |= torch.load(place.with_suffix(".pt"), weights_only=True)
    used = {name: weights[name] for name in loaded.get_constant_fqns()}
    loaded.load_constants(used, check_full_update=True, user_managed=True)

    def call(*taken: Tensor, held: Any = used) -> Sequence[Tensor]:  # the code reads the tensors, which must live
        return loaded.loader.boxed_run(list(taken))  # `loaded` itself reads its description again at each call

    ranges = {name: (low, high) for name, (low, high) in described["ranges"].items()}
    code = StepCode(call, described["sizes"], ranges, described["changed"], described["tracks"])
    code.stored = stored
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


def _recorded(step: _TracedStep, tokens: Tensor, leaves: Sequence[Leaf]) -> tuple[Any, list[Any], dict[str, Any]]:
    """The step as a program of torch.export, and the `sizes` and `ranges` of `StepCode`."""
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
    ranges = {str(name): [_number(one.lower), _number(one.upper)] for name, one in program.range_constraints.items()}
    return program, sizes, ranges


def _compile(step: _TracedStep, tokens: Tensor, leaves: Sequence[Leaf], package: Path, facts: Path) -> None:
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch about itself
        from torch._inductor import aoti_compile_and_package

        program, sizes, ranges = _recorded(step, tokens, leaves)
        constants = {name: value for name, value in program.constants.items() if name not in _weights(step)}
        package.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=package.parent) as folder:
            archive = aoti_compile_and_package(
                program,
                package_path=str(Path(folder, package.name)),
                inductor_configs={"aot_inductor.package_constants_in_so": False},
            )
            if constants:
                torch.save(constants, Path(folder, "constants.pt"))
                os.replace(Path(folder, "constants.pt"), package.with_suffix(".pt"))
            os.replace(archive, package)
    write_file(facts, json.dumps({"sizes": sizes, "ranges": ranges, "changed": step.changed, "tracks": step.tracks}))


def _number(bound: Any) -> int:
    """A bound of a size, which may be infinite."""
    return int(bound) if bound < sys.maxsize else sys.maxsize


def _shape_taken(leaf: Leaf) -> Sequence[int]:
    if isinstance(leaf, Growing):
        return leaf.room_shape(1)
    return leaf.shape if isinstance(leaf, Tensor) else leaf.distinct.shape


def _weights(step: nn.Module) -> dict[str, Tensor]:
    named = dict(step.named_parameters(remove_duplicate=False)) | dict(step.named_buffers(remove_duplicate=False))
    return {name: tensor.detach() for name, tensor in named.items()}


def _directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sightline" / "steps"


def _key(model: nn.Module, tokens: Tensor, state: Any, leaves: Sequence[Leaf], precision: str) -> str:
    """A name for all that the code depends on: this machine, torch, our code, the model's form, and sizes."""
    growing = [isinstance(leaf, Growing) for leaf in leaves]
    shapes = [list(_shape_taken(leaf))[one:] for leaf, one in zip(leaves, growing, strict=True)]
    weights = [(name, list(tensor.shape), str(tensor.dtype)) for name, tensor in sorted(_weights(model).items())]
    parts = [(type(part).__module__, type(part).__qualname__, _settings(part)) for part in model.modules()]
    classes = {kind for part in model.modules() for kind in type(part).__mro__}
    own = sorted({file for kind in classes if (file := _source(kind))})
    decides = [
        _machine(), _code_of_package(), [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in own],
        torch.get_num_threads(), len(tokens), precision, _described(form(state)), shapes, weights, parts,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:32]


def _settings(part: nn.Module) -> str:
    """The attributes of a module that are neither weights nor parts, without addresses."""
    kept = {name: value for name, value in vars(part).items() if name not in _INTERNAL and not torch.is_tensor(value)}
    return _described(sorted(kept.items(), key=lambda pair: pair[0]))


_INTERNAL = frozenset(vars(nn.Module())) - {"training"}


def _described(value: Any) -> str:
    return re.sub(r" at 0x[0-9a-f]+|0x[0-9a-f]{6,}", "", repr(value))


def _source(kind: type) -> str | None:
    """The file of a class that is neither Python's, torch's nor this package's."""
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    package = kind.__module__.partition(".")[0]
    known = package in ("torch", "sightline") or package in sys.stdlib_module_names
    return None if known or file is None or not Path(file).is_file() else file


@cache
def _machine() -> list[str]:
    return [str(torch.__version__), platform.machine(), cpuinfo("model name"), cpuinfo("flags")]


@cache
def _code_of_package() -> str:
    """A hash of the times and sizes of this package's files."""
    files = sorted(PACKAGE.rglob("*.py"))
    stats = [(str(file.relative_to(PACKAGE)), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()
