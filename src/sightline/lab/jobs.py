"""What the comparing process and its workers hand each other: plain JSON files and lines."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from sightline.core.config import decode, encode
from sightline.core.files import write_file
from sightline.core.metrics import Baseline
from sightline.lab.plan import CompareConfig
from sightline.lab.results import ArchitectureMaps

T = TypeVar("T")


@dataclass(frozen=True)
class Job:
    """What one worker process does: prepare the data, or train (a trial of a learning rate, or a run to be measured).

    `directory` is its own; `prepared` the one that the preparing job left. `lr_factor` multiplies the preset's rate.
    """

    kind: Literal["prepare", "trial", "run"]
    config: CompareConfig
    directory: Path
    prepared: Path
    arch: str = ""
    seed: int = 0
    budget: str = ""
    lr_factor: float = 1.0
    attention: bool = False

    def save(self, path: Path) -> None:
        """Write it where the worker reads it."""
        write_json(path, self)

    @classmethod
    def load(cls, path: Path) -> Job:
        """Read what `save` wrote."""
        return decode(cls, json.loads(path.read_text(encoding="utf-8")), where=str(path))


@dataclass(frozen=True)
class Prepared:
    """The result of the preparing job; what the task stores of its data and fitting is in the same directory."""

    data_name: str
    sha256: str
    train: int
    valid: int
    test: int
    tested: int
    unit: str
    notes: list[str]
    facts: dict[str, str]
    budget_amount: float
    budget_unit: str
    learning_rates: dict[str, float]  # of the presets, by architecture
    metric: str  # that decides
    metrics: list[str]  # that are measured, in the order in which a report shows them
    loss_unit: str
    counted: str
    sources: list[str]  # of the tested items
    lengths: list[int]  # of the tested items
    length_of: str
    attended: list[int]  # which of the tested items the attention is shown on
    attended_pieces: list[list[str]]
    baselines: list[Baseline]
    environment: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class JobResult:
    """The result of a training: of a trial only the first four fields."""

    loss: float | None  # the best validation loss, in the unit of the task
    learning_rate: float
    train_s: float
    history: list[dict[str, Any]]
    metrics: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    tokens: int = 0
    flops: float = 0.0
    parameters: int = 0
    peak_memory_bytes: int = 0
    ms: float | None = None  # of one output
    ms_per: str = "item"
    state_bytes: int | None = None
    state_of: str = ""
    items: list[list[float]] = field(default_factory=list)  # (N, K), of the metric that decides, as `Measured` has them
    outputs: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)  # of the task
    maps: list[ArchitectureMaps] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    """How a worker ended that did not end well."""

    kind: Literal["failed", "diverged", "interrupted"]
    message: str
    exit_code: int = 1


JOB, DONE, FAILED, LOG = "job.json", "result.json", "failure.json", "worker.log"


def write_json(path: Path, value: Any) -> None:
    """Write a dataclass as JSON, whole or not at all."""
    write_file(path, json.dumps(encode(value), ensure_ascii=False, allow_nan=False))


def read_json(cls: type[T], path: Path) -> T:
    """Read what `write_json` wrote."""
    return decode(cls, json.loads(path.read_text(encoding="utf-8")), where=str(path))
