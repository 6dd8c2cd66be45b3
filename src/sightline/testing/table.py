"""The laws over many configurations at once, in worker processes: what `sightline certify` shows."""

from __future__ import annotations

import difflib
import gc
import importlib
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

from sightline.core.errors import EnvironmentFault, InputError
from sightline.testing.report import LawResult, describe


class Target(NamedTuple):
    """One configuration, by a name that a worker process can find it under."""

    mechanism: str  # a name of `MIXERS`, or module:Config
    number: int  # which of its examples
    options: str  # what tells it from the others, for people


@final
@dataclass(frozen=True)
class CheckedConfig:
    """The laws over one configuration."""

    target: Target
    results: tuple[LawResult, ...]


def find_targets(mechanisms: Sequence[str]) -> list[Target]:
    """Every example of the mechanisms named: names of `MIXERS`, or `module:Config` for a class or instance of your own.

    A config class without `examples()` is taken with its defaults. Modules are imported from the working directory too.
    Raises `InputError` for an unknown name, with the nearest known one.
    """
    found = []
    for name in mechanisms:
        for number, config in enumerate(_configs(name)):
            found.append(Target(name, number, describe(config)))
    return found


def _configs(name: str) -> tuple[Any, ...]:
    from sightline.mixers import MIXERS

    if ":" not in name:
        if name not in MIXERS:
            near = difflib.get_close_matches(name, MIXERS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(MIXERS)}; your own is module:Config"
            raise InputError(f"no mechanism is called {name!r}; {hint}")
        return MIXERS[name].examples()
    found = _imported(*name.split(":", 1))
    if isinstance(found, type) and is_dataclass(found):
        try:
            configs = found.examples() if hasattr(found, "examples") else (found(),)
        except TypeError as error:
            raise InputError(f"give {name} an examples() class method, or defaults: {error}") from error
    else:
        configs = (found,)
    for config in configs:
        if not is_dataclass(config) or not callable(getattr(config, "build", None)):
            raise InputError(f"{name} is not a config: it must be a dataclass with build(d_model)")
    return tuple(configs)


def _imported(module_name: str, attribute: str) -> Any:
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise InputError(f"no module {error.name!r} in {Path.cwd()} or among the installed ones") from error
    except Exception as error:
        raise InputError(f"importing {module_name} failed: {type(error).__name__}: {error}") from error
    if not hasattr(module, attribute):
        near = difflib.get_close_matches(attribute, vars(module), 1)
        raise InputError(
            f"module {module_name} has no {attribute!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    return getattr(module, attribute)


def run_table(
    targets: Sequence[Target], laws: Sequence[str] | None = None, workers: int = 1, full: bool = False
) -> Iterator[CheckedConfig]:
    """The rows as they are done, out of `workers` processes of one thread each; `laws`, `full` as in `check_mixer`.

    Raises `EnvironmentFault` where a worker was killed, for want of memory most likely.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(targets)), mp_context=context, initializer=_begin) as pool:
        waiting = [pool.submit(_row, target, laws, full) for target in targets]
        try:
            for done in as_completed(waiting):
                yield done.result()
        except BrokenProcessPool as error:
            raise EnvironmentFault("a worker process was killed: is there memory left?") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """One thread, and no garbage collection of the imported modules, which stay to the end."""
    import torch

    import sightline.testing.check  # noqa: F401

    torch.set_num_threads(1)
    gc.freeze()


def _row(target: Target, laws: Sequence[str] | None, full: bool) -> CheckedConfig:
    import warnings

    from sightline.testing.check import check_mixer

    warnings.simplefilter("ignore")  # a mechanism's warnings are not under test
    config = _configs(target.mechanism)[target.number]
    return CheckedConfig(target, check_mixer(config, laws=laws, full=full).results)
