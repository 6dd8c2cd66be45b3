"""The laws over many configurations, each in a process of its own, for `sightline certify`."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, is_dataclass
from typing import Any, NamedTuple, final

from sightline.core.errors import EnvironmentFault, InputError
from sightline.core.plugins import import_from_here
from sightline.core.processes import ProcessDied, in_child
from sightline.core.suggest import suggest, unknown
from sightline.testing.report import LawResult, describe

# What the laws import, the compiler too; nothing is computed before the fork.
PRELOADED = ["sightline.testing.check", "sightline.mixers", "torch._dynamo"]


class Target(NamedTuple):
    """One configuration, by a name that another process can find it under."""

    mechanism: str  # a name of `MIXERS`, or module:Config
    number: int  # which of its examples
    options: str  # in words


@final
@dataclass(frozen=True)
class CertifiedConfig:
    """The laws over one configuration."""

    target: Target
    results: tuple[LawResult, ...]


def find_targets(mechanisms: Sequence[str]) -> list[Target]:
    """Every example of the mechanisms: names of `MIXERS`, or `module:Config` for a class or instance of your own.

    Mechanisms of plugins that are loaded have their names too. A config class without `examples()` has its defaults.
    Modules are imported from the working directory too.
    Raises `InputError` for an unknown name, with the nearest known one.
    """
    return [
        Target(name, number, describe(config)) for name in mechanisms for number, config in enumerate(_configs(name))
    ]


def _configs(name: str) -> tuple[Any, ...]:
    from sightline.mixers import MIXERS

    if ":" not in name:
        if name not in MIXERS:
            raise InputError(unknown("mechanism", name, MIXERS, label="choose module:Config for your own, or one of"))
        target = MIXERS[name]
    else:
        target = _imported(*name.split(":", 1))
    if isinstance(target, type) and is_dataclass(target):
        try:
            configs = target.examples() if hasattr(target, "examples") else (target(),)
        except TypeError as error:
            raise InputError(f"give {name} an examples() class method, or defaults: {error}") from error
    else:
        configs = (target,)
    for config in configs:
        if not is_dataclass(config) or not callable(getattr(config, "build", None)):
            raise InputError(f"{name} is not a config: expected a dataclass with build(d_model)")
    return tuple(configs)


def _imported(module_name: str, attribute: str) -> Any:
    module = import_from_here(module_name, lambda problem: InputError(f"{module_name}: {problem}"))
    if not hasattr(module, attribute):
        raise InputError(f"module {module_name} has no {attribute!r}{suggest(attribute, vars(module), label=None)}")
    return getattr(module, attribute)


def run_table(
    targets: Sequence[Target],
    laws: Sequence[str] | None = None,
    workers: int = 1,
    full: bool = False,
    plugins: Sequence[str] = (),
) -> Iterator[CertifiedConfig]:
    """The rows in the order in which they finish, each from a process of its own with one thread.

    At most `workers` processes run at a time; `laws` and `full` as in `check_mixer`. Each process loads the `plugins`,
    as `PluginSource.again` names them.

    Raises:
        EnvironmentFault: "certifying lstm: the process was ended by SIGKILL (out of memory?)".
    """
    with ThreadPoolExecutor(min(workers, len(targets))) as pool:
        waiting = {
            pool.submit(in_child, _row, target, laws, full, plugins, preload=PRELOADED): target for target in targets
        }
        try:
            for done in as_completed(waiting):
                try:
                    row = done.result()
                except ProcessDied as error:
                    raise EnvironmentFault(f"certifying {waiting[done].mechanism}: {error}") from error
                yield row
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _row(target: Target, laws: Sequence[str] | None, full: bool, plugins: Sequence[str]) -> CertifiedConfig:
    import warnings

    import torch

    from sightline.testing.check import check_mixer

    torch.set_num_threads(1)
    gc.freeze()  # imported modules stay until the end: collecting garbage need not look at them
    warnings.simplefilter("ignore")  # warnings of a mechanism are not the laws' subject
    reference = _load(plugins).get(target.mechanism)
    config = _configs(target.mechanism)[target.number]
    return CertifiedConfig(target, check_mixer(config, laws=laws, reference=reference, full=full).results)


def _load(plugins: Sequence[str]) -> dict[str, Any]:
    """Load the plugins, and give the references of their mechanisms by name."""
    if not plugins:
        return {}
    from sightline.models.plugins import load_plugins  # builds every mechanism: seconds that others need not wait

    return {name: one for plugin in load_plugins(plugins) for name, one in plugin.references.items()}
