"""The configuration of one training from flags, environment and files, and the files that a run keeps of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.core.config import decode, encode, resolve, to_yaml
from sightline.core.errors import InputError
from sightline.core.files import parse_json_object
from sightline.core.yaml12 import read_yaml
from sightline.data.corpus import Corpus
from sightline.models import SizedConfig
from sightline.models.plugins import NeededPlugin, check_loaded, check_named, load_plugins
from sightline.tasks.defaults import default_arch
from sightline.tasks.infer import task_for
from sightline.tasks.run import RunConfig
from sightline.tasks.table import task_class
from sightline.tasks.task import Task
from sightline.training.environment import environment
from sightline.training.state import AUTO, TrainConfig

ENVIRONMENT = "environment.json"
OF_MODEL = ("model", "match", "front_end")  # keys that some architectures refuse and others take
MAY_CHANGE = {
    "budget",
    "validations",
    "validation_share",
    "patience",
    "most_epochs",
    "checkpoint_every_s",
    "keep",
    "log_every",
    "device",
    "match",
    "watch",
    "parallel",
    "pieces",
}


def resolve_run(
    *, file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any], ignored: Collection[str] = ()
) -> Any:
    """The configuration from all sources: the task's and architecture's preset < file < environment < flags.

    The task is the one that they name, otherwise the one that the data is for (`task_for`). The flag `plugin` loads
    plugins; a file or the environment that names one only needs it to be loaded. `ignored`: keys to leave out.

    Raises `InputError` for what is wrong in any of them, with its place: `--optim.lrr: unknown key, did you mean 'lr'?`
    """
    content = {} if file is None else read_yaml(file)
    load_plugins(flags.get("plugin"))
    check_named(content.get("plugin"), where=f"{file}: plugin")
    check_named(environ.get("SIGHTLINE_PLUGIN"), where="SIGHTLINE_PLUGIN")
    flags = {key: value for key, value in flags.items() if key != "plugin"}
    named = {key: flags.get(key) or environ.get(f"SIGHTLINE_{key.upper()}") or content.get(key) for key in
             ("task", "arch", "data")}  # fmt: skip
    name = str(named["task"] or task_for(str(named["data"] or "")))
    task = task_class(name, where="--task" if flags.get("task") else "task")
    base = task.preset(str(named["arch"] or task.Run().settings.arch))  # type: ignore[attr-defined]
    base = replace(base, task=name)
    run = resolve(task.Run, base=base, file=file, environ=environ, flags=flags, ignored=ignored)
    return run.with_plugins()


def resolve_training(
    *, file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any], corpus: Corpus[Any] | None = None
) -> tuple[Any, str]:
    """The configuration of a training, and a line that says which architecture it has and why where none was named.

    Where no source names one it is the default for the task and the kind of the data (`default_arch`), or the task's
    first choice where keys refuse that default and not the first choice. `corpus`: the data, if no source names it.

    Raises `InputError` as `resolve_run`; where keys fit neither architecture, what the default one says.
    """
    sources: dict[str, Any] = {"file": file, "environ": environ}
    if _names_architecture(**sources, flags=flags):
        return resolve_run(**sources, flags=flags), ""
    run = resolve_run(**sources, flags=flags, ignored=OF_MODEL)
    if not run.corpus.data and corpus is None:
        return resolve_run(**sources, flags=flags), ""
    task, first = task_class(run.task), run.settings.arch
    default = default_arch(run.task, *_facts(task, run, corpus))
    named = {key: value for key, value in flags.items() if key != "plugin"} | {"task": run.task}  # plugins are loaded
    try:
        run, reason = resolve_run(**sources, flags={**named, "arch": default.arch}), default.reason
        if run.match:
            run.settings.model.resized(run.settings.model.d_model)  # a linear forecaster refuses
    except InputError:
        run, reason = None, f"{default.arch} does not take the keys that are set"
        with suppress(InputError):
            run = resolve_run(**sources, flags={**named, "arch": first})
        if run is None:
            raise
    return run, f"the architecture is {run.settings.arch}: {reason} (--arch chooses another)"


def _facts(task: type[Task[Any, Any, Any]], run: Any, corpus: Corpus[Any] | None) -> tuple[str, Callable[[], int]]:
    """The kind of the data, and a function that counts its training items."""
    if corpus is not None:
        return corpus.kind, lambda: corpus.sizes["train"]
    kind = ""
    with suppress(InputError):  # what is wrong with the data is reported when it is read
        kind = task.kind_of_data(run)
    return kind, lambda: task.load_data(run).sizes["train"]


def _names_architecture(*, file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> bool:
    content = {} if file is None else read_yaml(file)
    return bool(flags.get("arch") or environ.get("SIGHTLINE_ARCH") or content.get("arch"))


def run_files(run: RunConfig, data: Corpus[Any], model: SizedConfig, settled: TrainConfig) -> dict[str, str]:
    """The files that a run keeps: config.yaml, with the sizes as built and the budget in steps if it was in seconds,
    so that it trains the same model again; and environment.json with the data's hash and the budget that was given.
    """
    facts = {
        **environment(),
        "directory": str(Path.cwd()),
        "data": {"name": data.name, "sha256": data.sha256, **data.sizes},
        "budget": run.training.budget,
    }
    if run.plugins:
        facts["plugins"] = [encode(one) for one in run.plugins]
    return {
        "config.yaml": to_yaml(run.changed(model=model, match=None, training=settled).with_plugins()),  # type: ignore[call-arg]
        ENVIRONMENT: json.dumps(facts, indent=1, ensure_ascii=False) + "\n",
    }


def data_sha256(place: Path) -> str | None:
    """The hash of all the data that the run at `place` began with; None where nothing tells."""
    kept = _facts_of(place).get("data")
    return str(kept["sha256"]) if isinstance(kept, dict) and "sha256" in kept else None


def _facts_of(place: Path) -> dict[str, Any]:
    """What the run at `place` keeps in environment.json; nothing where that cannot be read."""
    with suppress(OSError, ValueError):
        return parse_json_object((place / ENVIRONMENT).read_bytes(), where=place)
    return {}


def check_same_run(place: Path, run: RunConfig, data: Corpus[Any]) -> None:
    """Raises `InputError` where the run at `place` began with other data or settings than those to continue with.

    How long it trains, where, and how often it looks and saves may change: `MAY_CHANGE`. Keys that say which data it is
    may change as long as the content is the same.
    """
    before = data_sha256(place)
    if before is not None and before != data.sha256:  # where nothing is known the checkpoint's own checks must do
        raise InputError(
            f"the data has changed since the run began (sha256 {before[:12]}… then, {data.sha256[:12]}… now); "
            "start again with --overwrite",
            where=place,
        )
    if not (place / "config.yaml").exists():
        return
    began = resolve_run(file=place / "config.yaml", environ={}, flags={}).dotted()
    plugins = _facts_of(place).get("plugins", [])
    needed = [decode(NeededPlugin, one, where=f"{place}: plugins") for one in plugins]
    check_loaded(needed, where=place)
    free = MAY_CHANGE | set(run.data_keys) | ({"model"} if run.match else set())
    for key, value in run.dotted().items():
        left = key == "metric" and value == AUTO  # to the task, as when the run began
        if key.split(".")[0] not in free and not left and began.get(key) != value:
            raise InputError(f"was {began.get(key)!r} when the run began, now {value!r}", where=f"--{key}")
