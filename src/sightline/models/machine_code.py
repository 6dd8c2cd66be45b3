"""Machine code of a recorded program: compiled by torch's compiler, stored on this machine, run with a model's weights.

The code depends on the form of a model and on sizes, not on weights: one code serves all models of a form.
"""

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
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn

from sightline.core.files import write_file
from sightline.core.processor import cpuinfo

PACKAGE = Path(__file__).parents[1]
PAIRS = 15  # of calls by which code is timed beside what it replaces

MachineCall: TypeAlias = Callable[..., Sequence[Tensor]]

logger = logging.getLogger("sightline")


class Recording(NamedTuple):
    """A program of torch.export, and plain values that are stored beside its code."""

    program: Any
    facts: dict[str, Any]


class LoadedCode(NamedTuple):
    """Code with the weights of a model.

    stored: whether it was compiled earlier
    """

    call: MachineCall
    facts: dict[str, Any]
    stored: bool


def machine_code(
    name: str, module: nn.Module, record: Callable[[], Recording], what: str, *, again: bool = False
) -> LoadedCode:
    """The code of this `name`, with the weights of `module`; compiled unless this machine has it.

    name: as `code_name` gives it
    record: what is compiled: a program of `module`, or of another with weights of the same names
    what: of what the message says that it is compiled
    again: compile it in any case
    """
    place = _directory() / name
    package, facts = place.with_suffix(".pt2"), place.with_suffix(".json")
    stored = package.is_file() and facts.is_file() and not again
    if not stored:
        logger.info("compiling %s, once on this machine: some 20 s", what)
        _compile(record, module, package, facts)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch about itself
        from torch._inductor import aoti_load_package

    loaded: Any = aoti_load_package(str(package))
    weights = _weights(module)
    constants = [name for name in loaded.get_constant_fqns() if name not in weights]
    if constants:
        weights |= torch.load(place.with_suffix(".pt"), weights_only=True)
    used = {name: weights[name] for name in loaded.get_constant_fqns()}
    loaded.load_constants(used, check_full_update=True, user_managed=True)

    def call(*taken: Tensor, held: Any = used) -> Sequence[Tensor]:  # the code reads the tensors, which must live
        return loaded.loader.boxed_run(list(taken))  # `loaded` itself reads its description again at each call

    return LoadedCode(call, json.loads(facts.read_text(encoding="utf-8")), stored)


def _compile(record: Callable[[], Recording], module: nn.Module, package: Path, facts: Path) -> None:
    """Write the code, the constants that are not weights of `module`, and the facts."""
    with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
        warnings.simplefilter("ignore")  # of torch about itself
        from torch._inductor import aoti_compile_and_package

        program, known = record()
        constants = {name: value for name, value in program.constants.items() if name not in _weights(module)}
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
    write_file(facts, json.dumps(known))


def is_faster(code: Callable[[], Any], plain: Callable[[], Any]) -> bool:
    """Whether calls in turns of `code` take less processor time than those of `plain`, by the median of their ratio."""
    ratios = []
    for _ in range(PAIRS):
        began = time.thread_time()
        plain()
        between = time.thread_time()
        code()
        ratios.append((time.thread_time() - between) / max(between - began, 1e-9))
    return statistics.median(ratios) < 1.0


def code_name(model: nn.Module, decides: Sequence[Any]) -> str:
    """A name for all that code depends on: this machine, torch, our code, the model's form, and what else `decides`."""
    weights = [(name, list(tensor.shape), str(tensor.dtype)) for name, tensor in sorted(_weights(model).items())]
    parts = [(type(part).__module__, type(part).__qualname__, _settings(part)) for part in model.modules()]
    classes = {kind for part in model.modules() for kind in type(part).__mro__}
    own = sorted({file for kind in classes if (file := _source(kind))})
    files = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in own]
    everything = [_machine(), _code_of_package(), files, torch.get_num_threads(), *decides, weights, parts]
    return hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:32]


def size_range(constraint: Any) -> list[int]:
    """The least and the largest value of a size, which may be infinite."""
    return [int(bound) if bound < sys.maxsize else sys.maxsize for bound in (constraint.lower, constraint.upper)]


def _weights(module: nn.Module) -> dict[str, Tensor]:
    named = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    return {name: tensor.detach() for name, tensor in named.items()}


def _directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sightline" / "steps"


def _settings(part: nn.Module) -> str:
    """The attributes of a module that are neither weights nor parts, without addresses."""
    kept = {name: value for name, value in vars(part).items() if name not in _INTERNAL and not torch.is_tensor(value)}
    return described(sorted(kept.items(), key=lambda pair: pair[0]))


_INTERNAL = frozenset(vars(nn.Module())) - {"training"}


def described(value: Any) -> str:
    """`repr` without addresses."""
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
