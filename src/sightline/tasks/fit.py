"""Training of any task: by a configuration, or built in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, final

from sightline.core.errors import InputError
from sightline.core.metrics import find_metric
from sightline.core.seeds import derive
from sightline.core.suggest import unknown
from sightline.data.corpus import Corpus
from sightline.tasks.recipe import check_same_run, run_files
from sightline.tasks.run import RunConfig
from sightline.tasks.task import Task
from sightline.training.distributed import ALONE, Team
from sightline.training.environment import resolve_device, resolve_dtype
from sightline.training.looks import WatchModel
from sightline.training.loop import train
from sightline.training.shared_step import make_stepper
from sightline.training.shares import in_shares
from sightline.training.state import Progress, TrainConfig, TrainResult
from sightline.training.timing import Rehearsal
from sightline.training.trackers import Tracker

T = TypeVar("T", bound=Task[Any, Any, Any])


@final
@dataclass(frozen=True)
class Trained(Generic[T]):
    """The result of a training, and the task with the weights of the model that was kept."""

    task: T
    training: TrainResult


def train_run(
    task: T,
    data: Corpus[Any],
    run_dir: str | Path,
    run: RunConfig,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    watch: WatchModel | None = None,
    trackers: Sequence[Tracker] = (),
    team: Team = ALONE,
) -> Trained[T]:
    """`train_task` by a whole configuration, which the run keeps, with the data's hash, as config.yaml.

    Raises:
        InputError: the run to resume began on other data or with other settings (see `check_same_run`); "--metric:
            unknown metric 'accurracy', did you mean 'accuracy'?", "--metric: 'coverage' alone does not rank models: …".
    """
    run = run.changed(training=task.settled_training(run.training))
    metric = run.training.metric
    if metric != "loss":
        _check_metric(metric, ("loss", *task.metrics(data, run)))
    if resume and team.first:
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
        watch=watch,
        trackers=trackers,
        team=team,
        files=lambda built, settled: run_files(run, data, built.sizes, settled),
    )


def _check_metric(metric: str, known: Sequence[str]) -> None:
    """Refuse a metric by which no model can be kept; see `train_run`."""
    if metric not in known:
        raise InputError(unknown("metric", metric, dict.fromkeys(known)), where="--metric")
    if not find_metric(metric).decides:
        deciding = ", ".join(dict.fromkeys(name for name in known if find_metric(name).decides))
        raise InputError(f"{metric!r} alone does not rank models: choose one of {deciding}", where="--metric")


def rehearse(task: Task[Any, Any, Any], data: Corpus[Any], config: TrainConfig) -> Rehearsal:
    """The training of `train_task`, to be timed; the task is useless afterwards."""
    config, device = task.settled_training(config), resolve_device(config.device)
    dtype = resolve_dtype(config.dtype, device, task.model)
    stepper = make_stepper(task.model.to(device), task.loss, config, device, dtype, ALONE)
    batches = in_shares(task.batches(data.train, seed=derive(config.seed, "order")), config.pieces, ALONE)
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
    watch: WatchModel | None = None,
    trackers: Sequence[Tracker] = (),
    team: Team = ALONE,
) -> Trained[T]:
    """Trains an untrained task within the budget and leaves a run in `run_dir`.

    The order of batches and the dropout derive from `train_config.seed`. `files(task, train_config)` gives texts to
    keep with the run, such as its config; in that config a budget in seconds has become steps. The other arguments are
    those of `training.train`, and so is what it raises; a validation part must not be empty. In a `team` the first
    process has the weights of the model that was kept, the others those of the last step.
    """
    if not data.sizes["valid"]:
        raise InputError(f"no validation {task.unit}", where=data.name)
    train_config = task.settled_training(train_config)
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
        watch=watch,
        trackers=trackers,
        team=team,
    )
    if not team.first:
        return Trained(task, result)
    kind: Any = type(task)
    return Trained(kind.load(Path(run_dir) / "best").to(task.device), result)


def train_beside(
    task: Task[Any, Any, Any], run_dir: str | Path, config: TrainConfig, team: Team, *, resume: bool
) -> None:
    """The part that a process without data has in the `train_run` of the other processes of a team; raises as that."""
    train(task.model, task.loss, None, task.settled_training(config), run_dir, resume=resume, team=team)
