"""The configuration of one training from flags, environment and files, and the files that a run keeps of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.core.config import resolve, to_yaml
from sightline.core.errors import InputError
from sightline.core.yaml12 import read_yaml
from sightline.data.corpus import Corpus
from sightline.models import SizedConfig
from sightline.tasks.infer import task_for
from sightline.tasks.run import RunConfig
from sightline.tasks.table import task_class
from sightline.training.environment import environment
from sightline.training.state import TrainConfig

MAY_CHANGE = {
    "budget",
    "validations",
    "validation_share",
    "patience",
    "checkpoint_every_s",
    "keep",
    "log_every",
    "device",
    "match",
}


def resolve_run(*, file: Path | None, environ: Mapping[str, str], flags: Mapping[str, Any]) -> Any:
    """The configuration from all sources: the task's and architecture's preset < file < environment < flags.

    The task is the one that they name, otherwise the one that the data is for (`task_for`).

    Raises `InputError` for what is wrong in any of them, with its place: `--optim.lrr: unknown key, did you mean 'lr'?`
    """
    content = {} if file is None else read_yaml(file)
    named = {key: flags.get(key) or environ.get(f"SIGHTLINE_{key.upper()}") or content.get(key) for key in
             ("task", "arch", "data")}  # fmt: skip
    name = str(named["task"] or task_for(str(named["data"] or "")))
    task = task_class(name, where="--task" if flags.get("task") else "task")
    base = task.preset(str(named["arch"] or task.Run().settings.arch))  # type: ignore[attr-defined]
    return resolve(task.Run, base=replace(base, task=name), file=file, environ=environ, flags=flags)


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
    return {
        "config.yaml": to_yaml(run.changed(model=model, match=None, training=settled)),  # type: ignore[call-arg]
        "environment.json": json.dumps(facts, indent=1, ensure_ascii=False) + "\n",
    }


def check_same_run(place: Path, run: RunConfig, data: Corpus[Any]) -> None:
    """Raises `InputError` where the run at `place` began with other data or settings than those to continue with.

    How long it trains, where, and how often it looks and saves may change: `MAY_CHANGE`. Keys that say which data it is
    may change as long as the content is the same.
    """
    try:
        before = json.loads((place / "environment.json").read_text(encoding="utf-8"))["data"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        before = data.sha256  # nothing is known of the data: the checkpoint's own checks must do
    if before != data.sha256:
        raise InputError(
            f"the data has changed since the run began (sha256 {before[:12]}… then, {data.sha256[:12]}… now); "
            "start again with --overwrite",
            where=place,
        )
    if not (place / "config.yaml").exists():
        return
    began = resolve_run(file=place / "config.yaml", environ={}, flags={}).dotted()
    free = MAY_CHANGE | set(run.data_keys) | ({"model"} if run.match else set())
    for key, value in run.dotted().items():
        if key.split(".")[0] not in free and began.get(key) != value:
            raise InputError(f"was {began.get(key)!r} when the run began, now {value!r}", where=f"--{key}")
