"""What every job is made of: data to train on, a model, a loss, a measure, and answers for new inputs.

A job is a source and a target: text to text, text to a label, a series to its future. One class a job, named in
`tasks.table.TASKS`; training, the command line and comparisons know nothing else of it.
"""

from __future__ import annotations

import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import nn

from sightline.core.config import decode, encode
from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.core.metrics import Baseline
from sightline.core.seeds import derive
from sightline.models import FORMS, SizedConfig, match_parameters
from sightline.models.store import CONFIG, LoadedModel, load_model, save_model
from sightline.tasks.architectures import check_architecture
from sightline.tasks.card import Card
from sightline.tasks.run import RunConfig
from sightline.training.files import faults, replace_directory, sync_tree
from sightline.training.loss import Loss
from sightline.training.state import Batches

T = TypeVar("T", bound="Task[Any, Any, Any]")
D = TypeVar("D", bound="Dataset")  # all of a task's data
P = TypeVar("P")  # one part of it
R = TypeVar("R", bound=RunConfig)
T_ = TypeVar("T_")


@runtime_checkable
class Dataset(Protocol):
    """What `Task.load_data` gives: three parts, of a kind that only the task looks into.

    sha256: of the content, the same in whatever container it came; notes: what the user should know, a line each;
    sizes: how many items each part has, by name
    """

    @property
    def name(self) -> str: ...
    @property
    def train(self) -> Any: ...
    @property
    def valid(self) -> Any: ...
    @property
    def test(self) -> Any: ...
    @property
    def sha256(self) -> str: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def sizes(self) -> dict[str, int]: ...


class Answer(NamedTuple):
    """One output, as people read it and as `--json` gives it."""

    text: str
    record: dict[str, Any]
    complete: bool = True  # False: cut off at a limit


def timed_ms(call: Callable[[], T_]) -> tuple[T_, float]:
    """A call's result and how long it took."""
    began = time.perf_counter()
    result = call()
    return result, 1000 * (time.perf_counter() - began)


class Costs(NamedTuple):
    """What one output costs when outputs are asked for one at a time."""

    ms: float | None = None  # median
    per: str = "item"  # what the time is per: "token", "item"
    state_bytes: int | None = None  # what is carried from step to step
    state_of: str = ""  # at which lengths, such as "29 source and 10 target tokens in"


@dataclass(frozen=True)
class Measured:
    """How good a model is on some items.

    metrics: by name, in the units of `core.metrics`
    items: for each metric a row (N, K) for every item, in order, that `core.metrics.Metric.value` takes to the metric;
        of a metric that is not in that table (N, 2), the sum of the first over the sum of the second
    outputs, references: of every item, as people read them; empty where they are no text
    details: what else there is to show, such as a confusion matrix, in plain JSON types
    """

    metrics: dict[str, float]
    items: dict[str, np.ndarray]
    outputs: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """What config.json contains of every task besides the model; a task that stores more extends it.

    settings: the task's config without `arch` and `model`
    """

    data: str
    settings: dict[str, Any]


class Task(ABC, Generic[D, P, R]):
    """A model with all that is needed to train it, to measure it and to use it on new inputs.

    name: in `TASKS`, in config.json and of `--task`
    form: of its models, a key of `FORMS`
    unit: what one item is called, in the plural: pairs, documents, windows
    Run: all of a training's configuration, flat: the task's own keys beside those of `RunConfig`
    accepts_decoding: whether outputs are sequences, searched for or sampled by a `DecodingConfig`
    loss_unit, counted: of what the training loss is, and what a budget in tokens counts
    length_of: what `lengths` are of, such as "source length (characters)"
    answers_lines: whether an answer's text is a table, several lines long
    draws_answers: whether `report.forecasts` draws the records of answers
    measured_by: keys of `config` that change nothing of the model, and may be others when it is measured
    shows_attention: whether `lab.attention` has maps of it
    same_in_comparison: keys that all architectures of a comparison share, at the task's default
    Options: the entry "options" of config.json
    """

    name: ClassVar[str]
    form: ClassVar[str]
    unit: ClassVar[str]
    Run: ClassVar[type[Any]]
    accepts_decoding: ClassVar[bool] = False
    loss_unit: ClassVar[str] = "nats/token"
    counted: ClassVar[str] = "target tokens"
    length_of: ClassVar[str] = ""
    shows_attention: ClassVar[bool] = False
    same_in_comparison: ClassVar[tuple[str, ...]] = ()
    answers_lines: ClassVar[bool] = False
    draws_answers: ClassVar[bool] = False
    measured_by: ClassVar[tuple[str, ...]] = ()
    Options: ClassVar[type[Any]] = Options

    config: Any  # the task's settings, `arch` and `model` among them
    model: Any  # the `nn.Module`
    data: str  # what it was trained on, in a line

    @classmethod
    def architectures(cls) -> Mapping[str, SizedConfig]:
        """What `--arch` may name: the presets of the task's form."""
        return FORMS[cls.form]

    @classmethod
    def check_architecture(cls, arch: str) -> None:
        """Raises `InputError` where `arch` is not of the task's form (see `architectures.check_architecture`)."""
        check_architecture(arch, cls.form, cls.name)

    @classmethod
    def preset(cls, arch: str) -> R:
        """How the named architecture is trained by default.

        Raises:
            InputError: "arch: unknown architecture 'lstmm', did you mean 'lstm'?"
        """
        cls.check_architecture(arch)
        return replace(cls.Run.preset(arch), task=cls.name)

    @classmethod
    @abstractmethod
    def load_data(cls, run: R) -> D:
        """The data that the keys of `run` name, read and divided; `InputError` for whatever is wrong with it."""

    @classmethod
    @abstractmethod
    def read_part(cls, run: R) -> tuple[P, int]:
        """All items of the data that `run` names as one part to measure on, and how many they are."""

    @classmethod
    @abstractmethod
    def select(cls, part: P, chosen: Sequence[int]) -> P:
        """The items of a part that `chosen` names by number, in its order."""

    @classmethod
    @abstractmethod
    def build(cls: type[T], data: D, run: R) -> T:
        """An untrained task: what is fitted to data, to the training part alone; weights drawn from `run.seed`."""

    @abstractmethod
    def batches(self, part: P, *, seed: int) -> Batches:
        """Shuffled training batches, from any cursor on the same."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any) -> Loss:
        """The training loss of one batch."""

    @abstractmethod
    def validator(self, part: P) -> Callable[[nn.Module], dict[str, float]]:
        """A function of the model as it stands that gives "loss" and whatever else is shown while training."""

    @classmethod
    @abstractmethod
    def metrics(cls, data: D, run: R) -> tuple[str, ...]:
        """The metrics that `measure` reports of a model trained so: first the one that decides a comparison by default,
        then those that a report shows beside it.
        """

    @abstractmethod
    def measure(self, part: P, decoding: Any = None) -> Measured:
        """Every metric on a part, and the items that it is made of. Dropout is off."""

    @abstractmethod
    def baselines(self, train: P, part: P) -> list[Baseline]:
        """Model-free baselines, learned from the training part, with their scores on `part`."""

    @abstractmethod
    def answer(self, inputs: Sequence[str], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        """An output for each input, in order: a line of text, or a file's path where the source is no text.

        `first` is the number of the first input in the random stream. Dropout is off.
        """

    @abstractmethod
    def predict(self, inputs: Any) -> list[Any]:
        """Outputs as Python values, in order: texts, labels or arrays."""

    @property
    @abstractmethod
    def source(self) -> FrontEndConfig:
        """The model's front end."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """The model's outputs for each position or item: tokens, classes, quantiles."""

    @abstractmethod
    def card(self) -> Card:
        """The README of the saved model."""

    @classmethod
    @abstractmethod
    def restore(cls: type[T], directory: Path, loaded: LoadedModel, config: Any, options: Any) -> T:
        """The task of a model directory; `options` is an instance of `Options`.

        Raises `InputError` where the model does not fit the settings or the other files.
        """

    @property
    def stored_model(self) -> nn.Module:
        """The module that is saved."""
        return self.model

    def more_options(self) -> dict[str, Any]:
        """The fields of `Options` that only this task has."""
        return {}

    def save_files(self, directory: Path) -> None:
        """Writes files beside the weights, such as a vocabulary."""

    def write(self, directory: Path) -> None:
        """Writes the model's files into an existing directory, as `training.train` asks of `save_model`."""
        settings = encode(self.config)
        sizes = settings.pop("model")
        del settings["arch"]
        save_model(
            directory,
            self.stored_model,
            self.config.model,
            self.source,
            self.outputs,
            form=self.form,
            arch=self.arch,
            task=self.name,
            options=encode(self.Options(data=self.data, settings=settings, **self.more_options())),
            card=self.card().text(self.arch, self.parameters, sizes, self.data),
        )
        self.save_files(directory)

    @property
    def run(self) -> Any:
        """What a training like this one's is configured with, as far as the task itself can tell."""
        return self.preset(self.arch)

    @classmethod
    def sources(cls, part: P) -> list[str]:
        """Every item's source as people read it; empty where that is no text."""
        return []

    @classmethod
    def lengths(cls, part: P) -> list[int]:
        """Every item's length, which quality is shown by; empty where that says nothing."""
        return []

    @classmethod
    def load_prepared(cls, run: R, directory: Path) -> D:
        """`load_data`; what takes long may be left in the directory, and found there by the next call."""
        return cls.load_data(run)

    @classmethod
    def build_prepared(cls: type[T], data: D, run: R, directory: Path) -> T:
        """`build`; what takes long to fit may be left in the directory, and found there by the next call."""
        return cls.build(data, run)

    def facts(self) -> dict[str, str]:
        """How the data was read, a word or two each, for a report."""
        return {}

    def costs(self, part: P) -> Costs:
        """What an output costs, measured on a few items."""
        return Costs()

    @classmethod
    def trained_on(cls, data: D) -> str:
        """The data of a training, in a line."""
        return f"{data.name}: {data.sizes['train']:,} {cls.unit}, sha256 of the data {data.sha256}"

    @staticmethod
    def draw(config: Any, sizes: tuple[Any, Any], *, seed: int, parameters: int | None) -> tuple[Any, Any]:
        """The task's config with its model scaled to `parameters`, and the model with weights drawn from `seed`.

        sizes: what `config.model.build` takes, a front end and a number of outputs
        """
        if parameters is not None:
            config = replace(config, model=match_parameters(config.model, parameters, *sizes))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "init"))
            return config, config.model.build(*sizes)

    def describe(self, data: D) -> dict[str, Any]:
        """What a dry run tells besides parameters and sizes."""
        return {}

    @property
    def arch(self) -> str:
        """The architecture's name in `architectures()`."""
        return self.config.arch

    @property
    def sizes(self) -> SizedConfig:
        """The model's config as it was built."""
        return self.config.model

    @property
    def parameters(self) -> int:
        """Trainable parameters; shared ones count once."""
        return sum(parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    def to(self: T, device: torch.device | str) -> T:
        """Moves the weights; returns itself."""
        self.model.to(device)
        return self

    @classmethod
    def load(cls: type[T], path: str | Path) -> T:
        """The task in a model directory, on the processor, ready to use.

        Raises `InputError` in one line for whatever is wrong with the files (see `models.store.load_model`).
        """
        directory = Path(path)
        found = load_model(directory)
        if found.task != cls.name:
            raise InputError(f"holds a model for {found.task[:80]!r}, not for {cls.name}", where=directory / CONFIG)
        if found.form != cls.form:
            raise InputError(f"form is {found.form!r}, but {cls.name} needs {cls.form!r}", where=directory / CONFIG)
        place = f"{directory / CONFIG}: options"
        options = decode(cls.Options, found.options, where=place)
        for name in ("arch", "model"):
            if name in options.settings:
                raise InputError("unknown key", where=f"{place}.settings.{name}")
        preset = cls.preset(found.arch).settings
        settings = {**options.settings, "model": encode(found.config)}
        config = decode(type(preset), settings, where=f"{place}.settings", base=preset)
        return cls.restore(directory, found, config, options)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Writes the model directory `path`, whole or not at all.

        Raises `InputError` where `path` exists and `overwrite` is not set or it is no model directory,
        `EnvironmentFault` where it cannot be written.
        """
        target = Path(path)
        if target.exists() and not (overwrite and (target / CONFIG).is_file()):
            raise InputError("exists already" + (" and is no model directory" if overwrite else ""), where=target)
        beside = target.with_name(target.name + ".tmp")
        with faults(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(beside, ignore_errors=True)
            try:
                beside.mkdir()
                self.write(beside)
                sync_tree(beside)
                replace_directory(beside, target)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
