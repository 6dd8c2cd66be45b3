"""Training from Python: data as a path or in memory, a task to use."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sightline.api.resume import check_resume
from sightline.core.errors import InputError
from sightline.core.notebook import in_notebook
from sightline.core.spelling import respelled
from sightline.data.corpus import Corpus
from sightline.tasks.data_paths import data_paths
from sightline.tasks.fit import train_run
from sightline.tasks.match import matched
from sightline.tasks.recipe import resolve_training
from sightline.tasks.run import log_notes
from sightline.tasks.scores import best_scores
from sightline.tasks.table import task_class
from sightline.training.progress import reporting
from sightline.training.rundir import SAVED, check_run, kept_in
from sightline.training.state import Progress
from sightline.training.trackers import Tracker

logger = logging.getLogger("sightline")
BUDGET = "60s"  # where nothing names one


def fit(
    task: str | None,
    data: Any,
    arch: str | None = None,
    budget: str | None = None,
    *,
    valid: Any = None,
    test: Any = None,
    out_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    trackers: Sequence[Tracker] = (),
    **keys: Any,
) -> Any:
    """Train one architecture on data, and return the `Task` with the weights of its best validation.

    `task` is a name such as "translation" or "classification", or None to detect the task from the data; a corpus
    needs a name.
    `data` is a value of `sightline train --data`; a table in memory: a frame (polars, pandas, pyarrow, …), a dict of
    columns, a list of dicts, of pairs or of texts, a tuple of two arrays (sources and labels), an array of series; or a
    corpus of that task. `valid` and `test` may be given in the same ways; otherwise they are parts of `data`.
    Without `arch` it is the default one for the task and the kind of data; unless `quiet` a line says which and why.
    `budget` is in seconds, steps, tokens, operations or joules (60s, 500steps, 2Mtok, 1e15flop, 5kJ), by default 60s.
    Further keys of the configuration are arguments, `batch_size=64`; those with dots are in `settings`,
    `{"optim.lr": 3e-4}`. With `watch=True` the run records what attention and gradients do while it trains
    (`sightline inspect RUN --training`). `trackers` follow the numbers of the run, as `training.trackers.Tracker` has
    it. A notebook shows a bar of progress unless `quiet`.
    Without `out_dir` the run is deleted: keep the returned task with its `save`. With it a table in memory is kept
    too, in the folder `tables` beside it. `resume` continues the run in `out_dir`: its budget and every other key that
    the call does not name are those of its config.yaml.

        model = sightline.fit("translation", "pairs.tsv", "bahdanau", "5min")
        model.predict("a text")

    Raises:
        InputError: an unknown task, architecture or key, or a corpus without a task; whatever is wrong with the data,
            "row 17: 'text' is empty" in a table in memory, whose rows are counted from 1; `out_dir` contains a run and
            neither `resume` nor `overwrite` is given, or both; `resume` without `out_dir`; the run to continue has
            other data or settings.
        EnvironmentFault, Diverged, Interrupted: as `training.train`.
    """
    check_resume(out_dir, resume=resume, overwrite=overwrite, what="run")
    corpus = data if isinstance(data, Corpus) else None
    if corpus is not None and task is None:
        raise InputError('a corpus does not say what it is for: give a task, such as "translation"', where="task")
    own = _own_config(out_dir) if resume else None
    usual = {"task": task, "arch": arch, "budget": budget or (BUDGET if own is None else None)}
    flags = {**{key: value for key, value in usual.items() if value is not None}, **(settings or {}), **keys}
    named = {"valid": valid, "test": test} | ({} if corpus else {"data": data})
    pair = None if task is None else task_class(task, where="task").pair
    with data_paths(out_dir, pair, **named) as stored, tempfile.TemporaryDirectory() as temporary:
        run, line = resolve_training(file=own, environ={}, flags={**flags, **stored.paths}, corpus=corpus)
        if line and not quiet:
            logger.warning("%s", line)
        run = stored.beside(run)
        kind = task_class(run.task)
        place = Path(temporary) / "run" if out_dir is None else Path(out_dir)
        check_run(place, resume=resume, overwrite=overwrite)
        read: Corpus[Any] = corpus or kind.load_data(run)
        read.check()
        log_notes(read.name, read.notes)
        read = read if out_dir else replace(read, name=stored.named(read.name))
        silent = quiet or on_progress is not None or not in_notebook()
        unkept = respelled(partial(_unkept, place)) if out_dir is None else nullcontext()
        with unkept, reporting(kind.counted.split()[-1], quiet=silent) as bar:
            how = {"resume": resume, "overwrite": overwrite, "on_progress": on_progress or bar, "trackers": trackers}
            return _trained(kind.build(read, matched(kind, read, run)), read, place, run, how)


def _own_config(out_dir: str | Path | None) -> Path | None:
    """The configuration of the run in the directory, if there is one."""
    file = None if out_dir is None else Path(out_dir) / "config.yaml"
    return file if file is not None and file.exists() else None


def _unkept(place: Path, message: str) -> str:
    """The message of a training whose run at `place` is deleted."""
    for kept in (SAVED, kept_in(place)):
        message = message.replace(kept, "nothing is kept without out_dir")
    return message.removeprefix(f"{place}: ")


def _trained(built: Any, read: Corpus[Any], place: Path, run: Any, how: dict[str, Any]) -> Any:
    """The task after its training, with its data and its best scores; `how`: arguments of `train_run`."""
    if run.training.watch:
        from sightline.lab.watching import watcher  # it imports much that others do without

        how = how | {"watch": watcher(built, read.valid)}
    trained = train_run(built, read, place, run, **how).task
    trained.corpus, trained.validated = read, best_scores(place)
    return trained
