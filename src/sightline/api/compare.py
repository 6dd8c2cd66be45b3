"""A comparison from Python: data as a path or in memory, a result to look at and to use."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from sightline.api.comparison import ComparisonResult
from sightline.api.resume import check_resume
from sightline.core.config import override
from sightline.core.errors import InputError
from sightline.core.settings import keys_of, spelled
from sightline.lab.compare import NoRunFinished
from sightline.lab.compare import compare as run_comparison
from sightline.lab.directory import RESULTS, free_directory, name_of_data, occupied
from sightline.lab.plan import CompareConfig, check_used
from sightline.lab.progress import Display
from sightline.models.plugins import LOADED, load_plugins
from sightline.report.html import write_report
from sightline.tasks.data_paths import data_paths
from sightline.tasks.defaults import compared
from sightline.tasks.infer import task_for
from sightline.tasks.table import task_class
from sightline.training.trackers import absolute

_OWN = frozenset(keys_of(CompareConfig)) - {"task", "data", "archs", "budget", "settings", "variants"}


def compare(
    data: Any,
    task: str | None = None,
    archs: Sequence[str] | str | None = None,
    budget: str | None = None,
    *,
    plan: str | Path | ComparisonResult | None = None,
    valid: Any = None,
    test: Any = None,
    out_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    resume: bool = False,
    cluster: str | None = None,
    quiet: bool = False,
    **keys: Any,
) -> ComparisonResult:
    """Train several architectures under one budget, and return which is best, with the uncertainty of that verdict.

    Data is given as to `sightline.fit`. `archs` are names, or text with commas between them. `budget` is that of each
    run, by default 60s; `plan` is an earlier comparison, or its directory, whose numbers of steps are used instead.
    `keys` are the flags of `sightline compare` (`seeds`, `seed`, `match`, `plugin`, `search`, `rates`, `sizes`,
    `metric`, `tested`, `margin`, `until_decided`, `max_seeds`, `workers`, `device`, `dtype`, `prefer`, `log`), and
    keys of the task's configuration, which all architectures share; those with dots are in `settings`.
    `out_dir`, by default a new directory in `runs`, gets the report, `results.json` and all runs; a table in memory is
    kept in the folder `tables` beside it. `resume` continues the comparison in `out_dir`, with more architectures or
    seeds if asked for. `cluster` is the address of a Ray cluster whose nodes do the work, or "auto".

        which = sightline.compare(frame, archs=["lstm", "transformer"], budget="60s")
        which.verdict
        which.best.predict("a text")

    Raises:
        InputError: wrong data, architectures, sizes or metric; `out_dir` contains a comparison; `resume` without
            `out_dir` or with `overwrite`.
        EnvironmentFault, Interrupted: as `sightline.lab.compare.compare`; NoRunFinished: every run failed.
    """
    if budget is not None and plan is not None:
        raise InputError("budget and plan are mutually exclusive")
    check_resume(out_dir, resume=resume, overwrite=overwrite, what="comparison")
    plan = plan.directory / RESULTS if isinstance(plan, ComparisonResult) else None if plan is None else Path(plan)
    directory = new_directory(out_dir, data, "compare")
    with configured(directory, task, settings, keys, data=data, valid=valid, test=test) as base:
        config = override(base, {"archs": names_of(archs, base.task), "budget": budget or base.budget})
        display = Display(quiet=quiet)
        command = command_of("compare", config, plan)
        how: dict[str, Any] = {"command": command, "overwrite": overwrite, "resume": resume}
        how["cluster"] = cluster
        with occupied(directory, overwrite=overwrite or resume):
            try:
                results = run_comparison(config, directory, plan=plan, display=display, **how)
            except NoRunFinished as error:
                write_report(error.results, directory)
                raise
            return ComparisonResult(results, directory, write_report(results, directory), data)


def names_of(archs: Sequence[str] | str | None, task: str) -> list[str]:
    """The architectures that were asked for, as names or as text with commas between them, or the task's usual ones."""
    if isinstance(archs, str):
        return [name.strip() for name in archs.split(",") if name.strip()]
    return list(compared(task) if archs is None else archs)


def new_directory(out_dir: str | Path | None, data: Any, verb: str) -> Path:
    """The directory that was asked for, or a new one in `runs`, named for the verb and the data."""
    name = name_of_data(str(data)) if isinstance(data, str | Path) else "table"
    return Path(out_dir) if out_dir else free_directory(Path("runs"), f"{verb}-{name}")


@contextmanager
def configured(
    directory: Path, task: str | None, settings: Mapping[str, Any] | None, keys: Mapping[str, Any], **data: Any
) -> Iterator[CompareConfig]:
    """The comparison that a call asks for, with the default architectures and budget; tables are files meanwhile.

    keys: of `CompareConfig`, and of the task's configuration; data: see `data_paths`
    """
    pair = None if task is None else task_class(task, where="task").pair
    with data_paths(directory, pair, **data) as stored:
        task = task or task_for(stored.paths["data"])
        parts = {key: path for key, path in stored.paths.items() if key != "data"}
        shared = {**parts, **(settings or {}), **{key: value for key, value in keys.items() if key not in _OWN}}
        if stored.tables and "base" in task_class(task).Run().data_keys:
            shared = {"base": str(Path.cwd()), **shared}
        own = {key: value for key, value in keys.items() if key in _OWN}
        load_plugins(own.get("plugin"))
        own["plugin"] = [plugin.source.again for plugin in LOADED.values()]
        own["log"] = absolute(own.get("log"))
        config = override(CompareConfig(task=task, data=stored.paths["data"], settings=shared), own)
        check_used(config)
        yield config


def command_of(verb: str, config: CompareConfig, plan: Path | None = None, **flags: Any) -> str:
    """The command line that does the same; `flags` are those of the verb alone.

    A ladder's data has no flag, and its architectures are no choice.
    """
    usual = CompareConfig()
    length = {"budget": config.budget} if plan is None else {"plan": str(plan)}
    own = {} if verb == "ladder" else {"data": config.data, "archs": ",".join(config.archs)}
    values = {"task": config.task, **own, **flags, **length}
    values |= {key: getattr(config, key) for key in sorted(_OWN) if getattr(config, key) != getattr(usual, key)}
    plugins = [("--plugin", named) for named in values.pop("plugin", ())]
    words = [
        (f"--{key.replace('_', '-')}", *([] if value is True and key in _OWN else [spelled(value)]))
        for key, value in {**values, **config.settings}.items()
    ]
    return shlex.join(["sightline", verb, *([] if own else [config.data]), *chain.from_iterable([*plugins, *words])])
