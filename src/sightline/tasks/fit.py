"""Training of any task: by its name (`sightline.fit`), by a configuration, or built in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, final

from sightline.core.errors import InputError
from sightline.core.notebook import in_notebook
from sightline.core.seeds import derive
from sightline.data.corpus import Corpus
from sightline.data.rows.given import PAIR
from sightline.tasks.given import given_data
from sightline.tasks.match import matched
from sightline.tasks.recipe import check_same_run, resolve_run, run_files
from sightline.tasks.run import RunConfig, log_notes
from sightline.tasks.scores import best_scores
from sightline.tasks.table import task_class
from sightline.tasks.task import Task
from sightline.training.environment import resolve_device, resolve_dtype
from sightline.training.loop import train
from sightline.training.progress import reporting
from sightline.training.rundir import check_run
from sightline.training.state import Progress, TrainConfig, TrainResult
from sightline.training.step import Stepper
from sightline.training.timing import Rehearsal

T = TypeVar("T", bound=Task[Any, Any, Any])


@final
@dataclass(frozen=True)
class Trained(Generic[T]):
    """The result of a training, and the task with the weights of its best validation."""

    task: T
    training: TrainResult


def fit(
    task: str | None,
    data: Any,
    arch: str | None = None,
    budget: str = "60s",
    *,
    valid: Any = None,
    test: Any = None,
    out_dir: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    **keys: Any,
) -> Any:
    """Train one architecture on data, and return the `Task` with the weights of its best validation.

    `task` is a name such as "translation" or "classification", or None for the task that the data is plainly for.
    `data` is a value of `sightline train --data`; a table in memory: a frame (polars, pandas, pyarrow, …), a dict of
    columns, a list of dicts, of pairs or of texts, a tuple of two arrays (sources and labels), an array of series; or a
    corpus of that task. `valid` and `test` may be given in the same ways; otherwise they are parts of `data`.
    `budget` is in seconds, steps, tokens, operations or joules (60s, 500steps, 2Mtok, 1e15flop, 5kJ).
    Further keys of the configuration are arguments, `batch_size=64`; those with dots are in `settings`,
    `{"optim.lr": 3e-4}`. A notebook shows a bar of progress unless `quiet`.
    Without `out_dir` the run is deleted: keep the returned task with its `save`. With it a table in memory is kept
    too, in the folder `tables` beside it.

        model = sightline.fit("translation", "pairs.tsv", "bahdanau", "5min")
        model.predict("a text")

    Raises:
        InputError: an unknown task, architecture or key; whatever is wrong with the data, "row 17: 'text' is empty" in
            a table in memory, whose rows are counted from 1; `out_dir` contains a run and neither `resume` nor
            `overwrite` is given.
        EnvironmentFault, Diverged, Interrupted: as `training.train`.
    """
    if resume and out_dir is None:
        raise InputError("requires out_dir, the run to continue", where="resume")
    corpus = data if isinstance(data, Corpus) else None
    flags: dict[str, Any] = {"budget": budget, **({} if task is None else {"task": task}), **(settings or {}), **keys}
    if arch is not None:
        flags["arch"] = arch
    named = {"valid": valid, "test": test} | ({} if corpus else {"data": data})
    pair = PAIR if task is None else task_class(task, where="task").pair
    with given_data(out_dir, pair, **named) as given, tempfile.TemporaryDirectory() as temporary:
        run = resolve_run(file=None, environ={}, flags={**flags, **given.paths})
        run = given.beside(run)
        kind = task_class(run.task)
        place = Path(temporary) / "run" if out_dir is None else Path(out_dir)
        check_run(place, resume=resume, overwrite=overwrite)
        read: Corpus[Any] = corpus or kind.load_data(run)
        read.check()
        log_notes(read.name, read.notes)
        read = read if out_dir else replace(read, name=given.named(read.name))
        built = kind.build(read, matched(kind, read, run))
        counted = kind.counted.split()[-1]
        silent = quiet or on_progress is not None or not in_notebook()
        with reporting(run.training.metric, counted=counted, quiet=silent) as bar:
            how = {"resume": resume, "overwrite": overwrite, "on_progress": on_progress or bar}
            trained = train_run(built, read, place, run, **how).task
        trained.corpus, trained.validated = read, best_scores(place)
        return trained


def train_run(
    task: T,
    data: Corpus[Any],
    run_dir: str | Path,
    run: RunConfig,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Trained[T]:
    """`train_task` by a whole configuration, which the run keeps, with the data's hash, as config.yaml.

    Raises:
        InputError: the run to resume began on other data or with other settings (see `check_same_run`).
    """
    if resume:
        check_same_run(Path(run_dir), run, data)
    task.reading = {**run.reading_keys, **task.settled_reading()}
    return train_task(
        task,
        data,
        run_dir,
        run.training,
        resume=resume,
        overwrite=overwrite,
        on_progress=on_progress,
        files=lambda built, settled: run_files(run, data, built.sizes, settled),
    )


def rehearse(task: Task[Any, Any, Any], data: Corpus[Any], config: TrainConfig) -> Rehearsal:
    """The training of `train_task`, to be timed; the task is useless afterwards."""
    device = resolve_device(config.device)
    dtype = resolve_dtype(config.dtype, device, task.model)
    stepper = Stepper(task.model.to(device), task.loss, config.optim, device, dtype)
    batches = task.batches(data.train, seed=derive(config.seed, "order"))
    return Rehearsal(batches, config.seed, partial(task.validator, data.valid), stepper)


def train_task(
    task: T,
    data: Corpus[Any],
    run_dir: str | Path,
    train_config: TrainConfig,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    files: Callable[[T, TrainConfig], Mapping[str, str]] | None = None,
) -> Trained[T]:
    """Trains an untrained task within the budget and leaves a run in `run_dir`.

    The order of batches and the dropout derive from `train_config.seed`. `files(task, train_config)` gives texts to
    keep with the run, such as its config; in that config a budget in seconds has become steps. The other arguments are
    those of `training.train`, and so is what it raises; a validation part must not be empty.
    """
    if not data.sizes["valid"]:
        raise InputError(f"no validation {task.unit}", where=data.name)
    result = train(
        task.model,
        task.loss,
        task.batches(data.train, seed=derive(train_config.seed, "order")),
        train_config,
        run_dir,
        validator=partial(task.validator, data.valid),
        save_model=task.write,
        resume=resume,
        overwrite=overwrite,
        on_progress=on_progress,
        files=partial(files, task) if files else None,
    )
    kind: Any = type(task)
    return Trained(kind.load(Path(run_dir) / "best").to(task.device), result)
