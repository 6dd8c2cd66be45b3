"""Loading of models from paths, and of the data to measure them on."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sightline.core.config import nearest, override
from sightline.core.errors import InputError
from sightline.data.corpus import Corpus, first_items
from sightline.models.store import CONFIG, stored_task
from sightline.tasks.located import located
from sightline.tasks.recipe import data_sha256, resolve_run
from sightline.tasks.run import log_notes
from sightline.tasks.scores import best_scores
from sightline.tasks.table import task_class
from sightline.tasks.task import Task
from sightline.tasks.winner import chosen_run

logger = logging.getLogger("sightline")

PartName = Literal["train", "valid", "test"]
RUN_CONFIG = "config.yaml"
MODELS = ("best", "last")  # where a run keeps its models, the one to use first


def load(path: str | Path) -> Any:
    """The `Task` of a run's model, the best where there is one and else the last; of a model directory; or of the
    winner of a comparison, which is logged (see `winner.chosen_run`).

    Raises:
        InputError: "runs/x: no such directory", "runs/x: no model here: expected config.json, best/ or last/", or what
            is wrong with the model's files.
    """
    directory = model_directory(chosen_run(Path(path)))
    task = task_class(stored_task(directory), where=str(directory / CONFIG)).load(directory)
    run = None if task.reading else run_config(directory)
    if run is not None and run.reading_keys.get("lowercase"):  # a model of version 0.1.0, which does not store it
        task.lower_inputs()
    task.place = directory
    task.validated = best_scores(directory.parent if directory.name in MODELS else directory)
    return task


def model_directory(path: Path) -> Path:
    """The model directory that `path` is or, as a run, contains."""
    if not path.is_dir():
        raise InputError("not a directory" if path.exists() else "no such directory", where=path)
    if (path / CONFIG).exists():
        return path
    for name in MODELS:
        if (path / name / CONFIG).exists():
            return path / name
    raise InputError(f"no model here: expected {CONFIG}, best/ or last/", where=path)


class Part(NamedTuple):
    """Items to measure a model on."""

    name: str  # such as "test part of builtin:dates"
    items: Any  # the argument of `Task.measure`
    size: int
    unit: str
    sha256: str | None  # of all the data that they are a part of; None for a file of their own

    @classmethod
    def of(cls, data: Corpus[Any], part: PartName, unit: str, limit: int | None = None) -> Part:
        """A part of a data set; `limit` keeps its first items."""
        items = first_items(getattr(data, part), limit)
        return cls(f"{part} part of {data.name}", items, len(items), unit, data.sha256)


def run_config(run: Path) -> Any:
    """The configuration of the run that `run` is, or is a model of; None if there is none."""
    places = [run / RUN_CONFIG, run.parent / RUN_CONFIG] if run.name in MODELS else [run / RUN_CONFIG]
    file = next((place for place in places if place.is_file()), None)
    return None if file is None else resolve_run(file=file, environ={}, flags={})


def part_of_run(run: Path, part: PartName = "test", limit: int | None = None) -> Part:
    """A part of the very data that a run trained on, split as it was then; `limit` keeps its first items; logs notes,
    and whether the data has changed since then.

    Raises:
        InputError: "runs/x: no config.yaml here says what it was trained on: set --data".
    """
    config = run_config(run)
    if config is None:
        raise InputError(f"no {RUN_CONFIG} here says what it was trained on: set --data", where=run)
    return _part(*data_of_run(run, config), part, limit)


def data_of_run(run: Path, config: Any, data: Corpus[Any] | None = None) -> tuple[Any, Corpus[Any]]:
    """The configuration of a run, or of the run of a model, with paths that exist, and all the data that it trained on,
    divided as it was then; logs whether the data has changed since. `data`: what was read already.
    """
    directory = run if (run / RUN_CONFIG).is_file() else run.parent
    config = located(config, directory)
    data = task_class(config.task).load_data(config) if data is None else data
    if data_sha256(directory) not in (None, data.sha256):
        logger.warning("%s: the data has changed since the model was trained: %s", run, _whole(config, data))
    return config, data


def check_part(part: PartName, data: Any) -> None:
    """Refuse a part of data that is measured as a whole: only a run's own data and built-in data are divided.

    Raises:
        InputError: "--part: other data is measured as a whole: leave out valid, or the data".
    """
    divided = data is None or (isinstance(data, str) and data.startswith("builtin:"))
    if part != "test" and not divided:
        raise InputError(f"other data is measured as a whole: leave out {part}, or the data", where="--part")


def part_of_data(
    task: Task[Any, Any, Any],
    run: Path | None,
    keys: Mapping[str, Any],
    part: PartName = "test",
    limit: int | None = None,
) -> Part:
    """All items of the data that `keys` name, or a part of built-in data; `limit` keeps the first ones; logs notes.

    Keys that are not named are those of the run, where there is one, but for which files it read.

    Raises:
        InputError: an unknown key; whatever is wrong with the files.
    """
    config: Any = task.like((run and run_config(run)) or task.run)
    if not keys["data"].startswith("builtin:"):
        config = override(config, {key: None for key in ("valid", "test", "limit") if key in config.data_keys})
    check_keys(keys, config.data_keys)
    config = override(config, dict(keys), prefix="--")
    if config.corpus.data.startswith("builtin:"):
        return _part(config, task_class(config.task).load_data(config), part, limit)
    items = first_items(task.read_as_trained(config), limit)
    return Part(config.corpus.data, items, len(items), task.unit, None)


def check_keys(keys: Iterable[str], known: Collection[str]) -> None:
    """Refuse a key, dotted ones by their section, that is not among the `known` ones.

    Raises:
        InputError: "--lowercas: unknown flag, did you mean --lowercase?".
    """
    unknown = next((key for key in keys if key.split(".")[0] not in known), None)
    if unknown is not None:
        near = nearest(unknown, known)
        raise InputError(f"unknown flag{f', did you mean --{near}?' if near else ''}", where=f"--{unknown}")


def _part(config: Any, data: Corpus[Any], part: PartName, limit: int | None) -> Part:
    log_notes(data.name, data.notes)
    own = getattr(config.corpus, part, None) if part != "train" else None
    chosen = Part.of(data, part, task_class(config.task).unit, limit)
    return chosen._replace(name=f"{own}, the {part} part") if own else chosen


def _whole(config: Any, data: Corpus[Any]) -> str:
    """The names of all the data, such as "train.csv, test.csv"."""
    files = [str(file) for key in ("valid", "test") if (file := getattr(config.corpus, key, None))]
    return ", ".join([data.name, *files])
