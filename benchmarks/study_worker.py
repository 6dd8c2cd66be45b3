"""One training of the study, in a process of its own with one thread: `python study_worker.py RUN FOLDER`.

RUN is JSON with the data set, the options, the budget and the seed. The result goes to `result.json` in FOLDER when all
is done. The process ends, and removes FOLDER, when its standard input does: the study was stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import torch

from sightline.core.errors import Diverged
from sightline.core.files import write_file
from sightline.core.metrics import defined, find_metric
from sightline.tasks.fit import train_run
from sightline.tasks.recipe import resolve_run
from sightline.tasks.table import task_class
from sightline.training.environment import environment
from study_data import DATA_SETS
from study_factors import ITEMS, Configuration, StudyRun

RESULT = "result.json"
MACHINE = ("python", "packages", "cpu", "cores", "git_commit", "git_dirty")


def described(run: StudyRun) -> dict[str, Any]:
    """A run as JSON, with the key that its result has."""
    return {
        "key": run.key,
        "data": run.data.name,
        "options": run.configuration.options,
        "budget_s": run.budget_s,
        "seed": run.seed,
    }


def of_description(values: dict[str, Any]) -> StudyRun:
    """The run that `described` wrote."""
    options = tuple((str(factor), str(option)) for factor, option in values["options"])
    return StudyRun(DATA_SETS[values["data"]], Configuration(options), values["budget_s"], values["seed"])


def head_of(run: StudyRun) -> dict[str, Any]:
    """What a line says of the run before its results."""
    return {
        "schema_version": 1,
        "key": run.key,
        "kind": "baselines" if run.is_baselines else "run",
        "data": run.data.name,
        "group": run.data.group,
        "held_out": run.data.held_out,
        "configuration": run.configuration.name,
        "changes": run.configuration.keys(run.data.group),
        "budget_s": run.budget_s,
        "seed": run.seed,
        "metric": run.data.metric,
    }


def measured(run: StudyRun, folder: Path) -> dict[str, Any]:
    """Train, or score the baselines, and return the line without what the study adds."""
    config = resolve_run(file=None, environ={}, flags=run.flags(run.data.located(folder)))
    kind = task_class(run.data.task)
    data = kind.load_data(config)
    data.check()
    line = {
        **head_of(run),
        "sizes": dict(data.sizes),
        "sha256": data.sha256,
        "config": None if run.is_baselines else run.resolved(),
    }
    try:
        task = kind.build(data, config)
        line |= _baselines(run, task, data) if run.is_baselines else _trained(run, task, data, folder, config)
    except (Diverged, ValueError) as error:  # a result too: the options do not work on this data
        line |= {"failure": str(error), "valid": None, "test": None}
    facts = environment()
    machine = {name: facts[name] for name in MACHINE}
    return {**line, "environment": machine}


def _trained(run: StudyRun, task: Any, data: Any, folder: Path, config: Any) -> dict[str, Any]:
    trained = train_run(task, data, folder / "run", config)
    training, kind = trained.training, type(task)
    parts = {part: kind.spaced(getattr(data, part), most) for part, most in ITEMS.items()}
    metrics = {part: _numbers(trained.task.measure(items).metrics) for part, items in parts.items()}
    history = [record for record in training.history if record["event"] == "valid"]
    return {
        "parameters": trained.task.parameters,
        "steps": training.steps,
        "best_step": training.best_step,
        "epochs": training.epochs,
        "planned_s": run.budget_s,
        "real_s": round(training.seconds, 2),
        "cpu_s": round(training.cpu_seconds, 2),
        **{part: metrics[part][run.data.metric] for part in ITEMS},
        "metrics": metrics,
        "curve": [[record["steps"], record["loss"]] for record in history],
    }


def _baselines(run: StudyRun, task: Any, data: Any) -> dict[str, Any]:
    """The strongest baseline on the same test items; its own settings are chosen by the validation part."""
    scored = task.baselines(data.train, data.valid, type(task).spaced(data.test, ITEMS["test"]))
    all_metrics = {one.name: _numbers(one.metrics) for one in scored if not one.bound}
    known = {name: values[run.data.metric] for name, values in all_metrics.items()
             if values.get(run.data.metric) is not None}  # fmt: skip
    sign = 1 if find_metric(run.data.metric).higher_is_better else -1
    best = max(known, key=lambda name: sign * known[name], default=None)
    return {"best": best, "valid": None, "test": None if best is None else known[best], "metrics": all_metrics}


def _numbers(metrics: Any) -> dict[str, float | None]:
    return {name: number if defined(number) else None for name, number in metrics.items()}


def _end_with_parent(folder: Path) -> None:
    while os.read(0, 1024):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def main() -> None:
    run, folder = of_description(json.loads(sys.argv[1])), Path(sys.argv[2])
    threading.Thread(target=_end_with_parent, args=(folder,), daemon=True).start()
    torch.set_num_threads(1)
    write_file(folder / RESULT, json.dumps(measured(run, folder)))


if __name__ == "__main__":
    main()
