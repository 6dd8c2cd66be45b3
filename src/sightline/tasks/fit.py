"""From data to a run directory, for every task: what `train` and the lab both call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, final

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.data.corpus import Corpus
from sightline.tasks.recipe import check_same_run, run_files
from sightline.tasks.run import RunConfig
from sightline.tasks.task import Task
from sightline.training.loop import train
from sightline.training.state import Progress, TrainConfig, TrainResult

T = TypeVar("T", bound=Task[Any, Any, Any])


@final
@dataclass(frozen=True)
class Trained(Generic[T]):
    """How a training ended, and the task with the weights of its best validation."""

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
) -> Trained[T]:
    """`train_task` by a whole configuration, which the run keeps, with the data's hash, as config.yaml.

    Raises:
        InputError: the run to resume began on other data or with other settings (see `check_same_run`).
    """
    if resume:
        check_same_run(Path(run_dir), run, data)
    return train_task(
        task,
        data,
        run_dir,
        run.training,
        resume=resume,
        overwrite=overwrite,
        on_progress=on_progress,
        files=lambda built: run_files(run, data, built.sizes),
    )


def train_task(
    task: T,
    data: Corpus[Any],
    run_dir: str | Path,
    train_config: TrainConfig,
    *,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
    files: Callable[[T], Mapping[str, str]] | None = None,
) -> Trained[T]:
    """Trains an untrained task within the budget and leaves a run in `run_dir`.

    The order of batches and the dropout derive from `train_config.seed`. `files(task)` gives texts to keep with the
    run, such as its config. The other arguments are those of `training.train`, and so is what it raises; a validation
    part must not be empty.
    """
    if not data.sizes["valid"]:
        raise InputError(f"no validation {task.unit}", where=data.name)
    result = train(
        task.model,
        task.loss,
        task.batches(data.train, seed=derive(train_config.seed, "order")),
        train_config,
        run_dir,
        validate=task.validator(data.valid),
        save_model=task.write,
        resume=resume,
        overwrite=overwrite,
        on_progress=on_progress,
        files=files(task) if files else None,
    )
    kind: Any = type(task)
    return Trained(kind.load(Path(run_dir) / "best").to(task.device), result)
