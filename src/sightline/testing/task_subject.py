"""A task under test, for the laws of tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, final

import torch

from sightline.data.batches import START
from sightline.tasks.task import Task

_STEPS = 8  # of training
_LEARNING_RATE = 1e-2


@final
@dataclass(frozen=True)
class DataOption:
    """A way of reading data.

    keys: the keys that ask for it, by dotted name, with their values
    data: a file to train on that shows its effect
    inputs: what `predict` takes for each item of the evaluated file in order, as the file has it
    evaluated: the file to evaluate; None = the one to train on
    """

    keys: Mapping[str, Any]
    data: str
    inputs: Sequence[Any]
    evaluated: str | None = None


@final
@dataclass(frozen=True)
class TaskSubject:
    """A task under test, with little data and a small model.

    kind: the task's class
    run: a configuration of it; some dropout, and batches that are small beside the data, say most
    inputs: what `predict` takes, at least three different ones
    lines: the same inputs as `answer` takes them; None = `inputs`
    data: the corpus, where `run` does not name it
    options: by name, the ways of reading data that the task has
    plain: turns an output of `predict` into one of `outputs_of`, where they are not the same
    """

    kind: type[Task[Any, Any, Any]]
    run: Any
    inputs: Sequence[Any]
    lines: Sequence[str] | None = None
    data: Any = None
    options: Mapping[str, DataOption] = field(default_factory=dict)
    plain: Callable[[Any], Any] = lambda output: output

    @cached_property
    def corpus(self) -> Any:
        """The data, read once."""
        return self.kind.load_data(self.run) if self.data is None else self.data

    def built(self, seed: int = 0) -> Task[Any, Any, Any]:
        """An untrained task."""
        return self.kind.build(self.corpus, self.run.changed(seed=seed))

    @cached_property
    def task(self) -> Task[Any, Any, Any]:
        """A task after a few steps of training, so that its answers differ."""
        task = self.built()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            optimizer = torch.optim.Adam(task.model.parameters(), _LEARNING_RATE)
            task.model.train()
            for batch, _ in islice(task.batches(self.corpus.train, seed=0).stream(START), _STEPS):
                optimizer.zero_grad()
                loss = task.loss(task.model, batch)
                (loss.total / loss.count).backward()
                optimizer.step()
        return task

    def answers(self, lines: Sequence[str] | None = None) -> list[Any]:
        """The answers to lines, as plain tuples; None = all of them."""
        chosen = self.all_lines if lines is None else lines
        return [tuple(answer) for answer in self.task.answer(chosen)]

    @property
    def all_lines(self) -> Sequence[str]:
        """The inputs as `answer` takes them."""
        return self.inputs if self.lines is None else self.lines
