"""What the panel asks of a trained run; each form of a model answers in a file of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final

from sightline.lab.context_loss import Losses
from sightline.lab.mechanism import BuiltModule, Mechanism
from sightline.lab.panel_results import DecodeState, LossAlong, Reach

Lacks = Callable[[str, str], object]  # what is not measured, and the reason


@final
@dataclass(frozen=True)
class TrainedRun:
    """A trained run: its task, the test part of its data, the training part of a language model's, and its seed."""

    name: str
    task: Any
    part: Any
    train: Any = None
    seed: int = 0

    @property
    def model(self) -> Any:
        """The model as it is measured; of text that continues, the part that keeps no state."""
        return self.task.stored_model


class Sampled(NamedTuple):
    """How much is measured: labels for the used reach, sequences for gradients, and a seed for random signs."""

    labels: int = 256
    sequences: int = 8
    seed: int = 0


@final
@dataclass(frozen=True)
class Past:
    """What a run makes of its past: its loss along axes, the state that it carries, and its loss on real text."""

    losses: Sequence[LossAlong] = ()
    states: Sequence[DecodeState] = ()
    contexts: Sequence[Losses] = field(default=())


class RunForm(ABC):
    """A trained run under measurement.

    Whatever cannot be measured of it is either a call of `lacks` or, where nothing else is left, an `InputError`.
    """

    def __init__(self, run: TrainedRun, lacks: Lacks) -> None:
        self.run, self.lacks = run, lacks
        self.name, self.task, self.part, self.model = run.name, run.task, run.part, run.model

    @abstractmethod
    def mechanisms(self) -> list[Mechanism]:
        """The model's layers as one mechanism, for time, memory and serial work; with others of it along one side.

        The first one grows with all lengths. Embeddings and the head are left out.
        """

    @abstractmethod
    def reach(self, model: Any, sampled: Sampled, *, used: bool = True) -> list[Reach]:
        """The reach of the run's model in evaluation mode, or of `model` in its place, one for each input.

        used: whether the loss with less context is measured too
        """

    @abstractmethod
    def past(self, most: int) -> Past:
        """The losses of at most `most` items."""


def as_mechanism(run: TrainedRun, layers: Any) -> list[Mechanism]:
    """Layers that map vectors to vectors as a mechanism, each build of which is a copy."""
    return [Mechanism(run.name, BuiltModule(layers), layers.d_model)]
