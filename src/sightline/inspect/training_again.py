"""Trainings like that of a run: on the same data and with the same settings, but for what a test changes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.tasks.fit import train_task
from sightline.tasks.load import data_of_run, run_config

TESTED = 1000  # items at most
Inside = Callable[[nn.Module], AbstractContextManager[None]]  # what a model is trained inside


def alone(_model: nn.Module) -> AbstractContextManager[None]:
    """A training as it is."""
    return nullcontext()


@final
@dataclass(frozen=True)
class TrainingAgain:
    """Trainings like that of a task, each within `budget`; `say` is told what is being trained."""

    task: Any
    run: Any
    data: Any
    budget: str
    seed: int
    say: Callable[[str], object]

    @classmethod
    def of(cls, task: Any, budget: str, seed: int, say: Callable[[str], object]) -> TrainingAgain:
        """With the configuration and the data of the task's training.

        Raises:
            InputError: "--retrain: nothing is known of the data of its training: give the directory of a run".
        """
        place: Path | None = task.place
        run = None if place is None else run_config(place)
        if place is not None and run is not None:
            return cls(task, *data_of_run(place, run, task.corpus), budget, seed, say)
        if task.corpus is None:
            raise InputError(
                "nothing is known of the data of its training: give the directory of a run", where="--retrain"
            )
        return cls(task, task.run, task.corpus, budget, seed, say)

    @property
    def part(self) -> Any:
        """The items to measure on."""
        return type(self.task).spaced(self.data.test, TESTED)

    def config(self, stream: str) -> Any:
        """That of a training; `stream` decides its seed."""
        own = derive(self.seed, "retrained", stream) % 2**31
        return self.run.changed(settings=self.task.config, seed=own, budget=self.budget, match=None)

    def built(self, run: Any) -> Any:
        """An untrained task."""
        return type(self.task).build(self.data, run).to(self.task.device)

    def train(self, run: Any, what: str, inside: Inside = alone) -> tuple[Any, int]:
        """The trained task, and its steps."""
        self.say(f"training again: {what}")
        task = self.built(run)
        with tempfile.TemporaryDirectory() as temporary, inside(task.model), torch.enable_grad():
            trained = train_task(task, self.data, Path(temporary) / "run", run.training)
        trained.task.model.eval()
        return trained.task, trained.training.steps
