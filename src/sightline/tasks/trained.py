"""Tasks that leave new inputs to an object of their own: the task trains and measures it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar, runtime_checkable

from torch import nn

from sightline.core.front_end import FrontEndConfig
from sightline.data.inputs import InputTable
from sightline.models.store import LoadedModel
from sightline.tasks.card import Card
from sightline.tasks.opened import OpenedInput
from sightline.tasks.outcomes import Answer
from sightline.tasks.task import D, P, R, Task


@runtime_checkable
class TrainedModel(Protocol):
    """A model with what it needs to answer new inputs, such as names of classes or the scales of series.

    It has no loss, no metrics and no training data. Its methods do what those of `Task` with the same names do; one
    whose outputs are not searched for ignores `decoding` and `first`.
    """

    config: Any

    @property
    def model(self) -> nn.Module: ...

    @property
    def source(self) -> FrontEndConfig: ...

    @property
    def outputs(self) -> int: ...

    def is_one(self, inputs: Any) -> bool: ...

    def predict_list(self, inputs: list[Any], decoding: Any = None) -> list[Any]: ...

    def answer_list(self, inputs: list[Any], decoding: Any = None, *, first: int = 0) -> list[Answer]: ...

    def outputs_of(self, part: Any, /) -> list[Any]: ...

    def table_inputs(self, table: InputTable, reading: Mapping[str, Any]) -> list[Any]:
        """See `Task.table_inputs`; `reading` is how the training data was read, by key of the data."""
        ...

    def facts(self) -> dict[str, str]: ...

    def card(self) -> Card: ...

    def save_files(self, directory: Path) -> None: ...


M = TypeVar("M", bound=TrainedModel)
T = TypeVar("T", bound="TrainedModelTask[Any, Any, Any, Any]")


class TrainedModelTask(Task[D, P, R], Generic[D, P, R, M]):
    """A task that trains and measures a `TrainedModel`, which answers for it.

    Trained: its type, whose `restore` takes what that of the task takes
    opened_by: opens an input of the trained model, as `open_input` returns it; None where that is not built
    """

    Trained: ClassVar[type[Any]]
    opened_by: ClassVar[Callable[[Any, Any], OpenedInput] | None] = None

    def __init__(self, trained: M, data: str = "") -> None:
        self.trained, self.data = trained, data
        self.config, self.model = trained.config, trained.model

    @classmethod
    def restore(cls: type[T], directory: Path, loaded: LoadedModel, config: Any, options: Any) -> T:
        return cls(cls.Trained.restore(directory, loaded, config, options), data=options.data)

    @property
    def stored_model(self) -> nn.Module:
        return self.trained.model

    @property
    def source(self) -> FrontEndConfig:
        return self.trained.source

    @property
    def outputs(self) -> int:
        return self.trained.outputs

    def is_one(self, inputs: Any) -> bool:
        return super().is_one(inputs) or self.trained.is_one(inputs)

    def predict_list(self, inputs: list[Any], decoding: Any = None) -> list[Any]:
        return self.trained.predict_list(inputs, decoding)

    def answer_list(self, inputs: list[Any], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        return self.trained.answer_list(inputs, decoding, first=first)

    def outputs_of(self, part: P) -> list[Any]:
        return self.trained.outputs_of(part)

    def table_inputs(self, table: InputTable) -> list[Any]:
        return self.trained.table_inputs(table, self.reading)

    def open_input(self, item: Any) -> OpenedInput:
        return super().open_input(item) if self.opened_by is None else self.opened_by(self.trained, item)

    def facts(self) -> dict[str, str]:
        return self.trained.facts()

    def card(self) -> Card:
        return self.trained.card()

    def save_files(self, directory: Path) -> None:
        self.trained.save_files(directory)
