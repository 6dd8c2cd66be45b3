"""Messages between the comparing process and its workers: plain JSON files and lines."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, final

from sightline.core.config import decode, encode
from sightline.core.files import faults, parse_json_object, read_regular, write_file
from sightline.core.json_text import to_json
from sightline.core.metrics import Baseline
from sightline.lab.map_results import ArchitectureMaps
from sightline.lab.plan import CompareConfig
from sightline.lab.results import Data
from sightline.training.budget import Unit
from sightline.training.plan import Speed

T = TypeVar("T")

VALIDATIONS, TRIAL_VALIDATIONS = 10, 2  # of a run unless it is set, of a trial; at most, where seconds became steps


@final
@dataclass(frozen=True)
class Job:
    """The job of one worker process: prepare the data, measure speeds, try a learning rate, or train and evaluate.

    `directory` belongs to the job, `prepared` to the preparing job. `lr_factor` multiplies the preset's learning rate.
    `parameters`: the size of the model, where sizes are searched. `stage`: that of a trial, see `lab.halving`.
    `run_budget`: the budget of the run for which a trial tries a rate.
    `turn`: the number of a measuring job among those that run at once. `deaths`: how often its process died before.
    `sharing`: how many jobs measure at once, each with an equal share of the machine's energy.
    """

    kind: Literal["prepare", "time", "trial", "run"]
    config: CompareConfig
    directory: Path
    prepared: Path
    arch: str = ""
    seed: int = 0
    budget: str = ""
    lr_factor: float = 1.0
    run_budget: str = ""
    attention: bool = False
    validations: int = VALIDATIONS
    validation_share: float = 1.0
    turn: int = 0
    deaths: int = 0
    sharing: int = 1
    parameters: int | None = None
    stage: int = 0


@final
@dataclass(frozen=True)
class Prepared:
    """The result of the preparing job; the task stores its data and fitted state in the same directory."""

    data: Data
    budget_amount: float
    budget_unit: Unit
    learning_rates: dict[str, float]  # the presets' rates, by architecture
    metric: str  # the one that decides
    metrics: list[str]  # all that are measured, in the order of a report
    sources: list[str]  # of the tested items
    lengths: list[int]  # of the tested items
    attended: list[int]  # indices of the tested items whose attention is shown
    attended_pieces: list[list[str]]
    baselines: list[Baseline]
    environment: dict[str, Any]
    warnings: list[str] = field(default_factory=list)
    validations: int = VALIDATIONS  # of each run, at most, where seconds become steps
    validation_share: float = 1.0  # of the validation items, at most
    presets: dict[str, int] = field(default_factory=dict)  # parameters of the presets, by architecture
    sizes: dict[str, list[int]] = field(default_factory=dict)  # those that a search tries, the preset's among them


@final
@dataclass(frozen=True)
class Failure:
    """The failure of a worker."""

    kind: Literal["failed", "diverged", "interrupted"]
    message: str
    exit_code: int = 1


@final
@dataclass(frozen=True)
class Timed:
    """The result of a measuring job, by architecture: speeds, what bounds a batch, and how it could not be measured.

    most_steps: see `StepPlan`
    """

    speeds: dict[str, Speed]
    batches: dict[str, str]
    failures: dict[str, Failure] = field(default_factory=dict)
    validate_every: int | None = None
    most_steps: dict[str, int | None] = field(default_factory=dict)
    checkpoint_every_s: float = math.inf


@final
@dataclass(frozen=True)
class JobResult:
    """The result of a training; a trial has no metrics."""

    loss: float | None  # the validation loss at the end, in the unit of the task
    learning_rate: float
    train_s: float
    history: list[dict[str, Any]]
    metrics: dict[str, float | None] = field(default_factory=dict)  # None: undefined
    steps: int = 0
    tokens: int = 0
    flops: float = 0.0
    parameters: int = 0
    peak_memory_bytes: int = 0
    ms: float | None = None  # time of one output
    ms_per: str = "item"
    state_bytes: int | None = None
    state_of: str = ""
    items: list[list[float]] = field(default_factory=list)  # (N, K): the rows of the deciding metric, see `Metric`
    outputs: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)  # as the task defines them
    maps: list[ArchitectureMaps] = field(default_factory=list)
    epochs: int = 0
    cpu_s: float = 0.0
    energy_j: float | None = None  # its share of `machine_j`, which the comparing process knows
    machine_j: float | None = None  # of the whole machine, while it trained
    kept_by: str = "loss"  # the validation metric by which the training kept its model


JOB, DONE, FAILED, LOG = "job.json", "result.json", "failure.json", "worker.log"
ENDED = "ended"  # the stage of the last message of a job
FAILING = "failing"  # the stage of the message that has a failure: its file may not fit on a full disk
TRAININGS = ("trial", "run")  # the kinds of jobs that leave checkpoints


def write_json(path: Path, value: Any) -> None:
    """Write a dataclass as JSON atomically."""
    write_file(path, to_json(encode(value)))


def read_json(cls: type[T], path: Path) -> T:
    """Read a file written by `write_json`.

    Raises:
        InputError: "no such file"; "not valid JSON: …"; the first field that is wrong.
    """
    return decode(cls, parse_json_object(read_regular(path), where=path), where=str(path))


def put_job(job: Job) -> None:
    """Write a job into its directory, where nothing is left of how it ended before.

    Raises:
        EnvironmentFault: "OUT/runs/gru-seed0: Permission denied".
    """
    with faults(job.directory):
        job.directory.mkdir(parents=True, exist_ok=True)
        for name in (DONE, FAILED, LOG):
            (job.directory / name).unlink(missing_ok=True)
    write_json(job.directory / JOB, job)


def say(stage: str, **values: float | None) -> None:
    """Print one line of progress."""
    print(to_json({"stage": stage, **values}), flush=True)
