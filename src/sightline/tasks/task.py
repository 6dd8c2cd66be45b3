"""The base of every task: data to train on, a model, a loss, a measurement, and answers for new inputs.

A task has a source and a target: text to text, text to a label, a series to its future. Each is a class, named in
`tasks.table.TASKS`; training, the command line and comparisons know nothing else of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import torch
from torch import nn

from sightline.core.config import decode
from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.metrics import Baseline, written
from sightline.core.seeds import derive
from sightline.data.batches import Batches
from sightline.data.corpus import Corpus, Items
from sightline.data.spaced import at_least_one, spaced
from sightline.data.survey import Survey
from sightline.models import FORMS, SizedConfig, match_parameters
from sightline.models.store import CONFIG
from sightline.tasks.architectures import check_architecture
from sightline.tasks.opened import OpenedInput
from sightline.tasks.outcomes import Costs
from sightline.tasks.planted import SIZES, Planted, PlantedSizes
from sightline.tasks.predicting import PredictingTask
from sightline.tasks.run import RunConfig
from sightline.training.loss import Loss
from sightline.training.measured import Measured
from sightline.training.state import TrainConfig, settled

if TYPE_CHECKING:
    from sightline.tasks.evaluation import Evaluation
    from sightline.tasks.load import PartName

T = TypeVar("T", bound="Task[Any, Any, Any]")
D = TypeVar("D", bound=Corpus[Any])  # all of a task's data
P = TypeVar("P", bound=Items)  # one part of it
R = TypeVar("R", bound=RunConfig)


class Task(PredictingTask, Generic[D, P, R]):
    """A model with all that is needed to train it, to measure it and to use it on new inputs.

    A task of your own defines the abstract methods; the others have a default that suits most tasks. Those of answers
    are in `tasks.predicting`, those of the model's files in `tasks.saved`.

    unit: the word for items, in the plural: pairs, documents, windows
    Run: all of a training's configuration
    loss_unit, counted: the unit of the training loss, and the tokens that a budget counts
    length_of: the meaning of `lengths`, such as "source length (characters)"
    measured_by: keys of `config` that do not change the model, so that a measurement may use others
    shows_attention: whether `lab.attention` has maps of it
    same_in_comparison: keys that all architectures of a comparison share, at the task's default
    corpus: the data of its training, where this process trained it; place: the directory that it was loaded from
    validated: the metrics of its best validation, where they are known
    """

    unit: ClassVar[str] = "items"
    Run: ClassVar[type[Any]]
    loss_unit: ClassVar[str] = "nats/token"
    counted: ClassVar[str] = "target tokens"
    length_of: ClassVar[str] = ""
    shows_attention: ClassVar[bool] = False
    same_in_comparison: ClassVar[tuple[str, ...]] = ()
    measured_by: ClassVar[tuple[str, ...]] = ()

    corpus: Corpus[Any] | None = None
    place: Path | None = None
    validated: Mapping[str, float] = MappingProxyType({})

    @classmethod
    @abstractmethod
    def build(cls: type[T], data: D, run: R) -> T:
        """An untrained task: fitted to the training part alone, with weights drawn from the run's seed."""

    @abstractmethod
    def batches(self, part: P, *, seed: int) -> Batches:
        """Shuffled training batches, the same ones from any cursor."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any) -> Loss:
        """The training loss of one batch."""

    @classmethod
    @abstractmethod
    def metrics(cls, data: D, run: R) -> tuple[str, ...]:
        """The metrics that `measure` reports of a model trained so: first the one that decides a comparison by default,
        then those that a report shows beside it.
        """

    @abstractmethod
    def measure(self, part: P, decoding: Any = None) -> Measured:
        """Every metric on a part, and the items that it is made of. Dropout is off."""

    def items_sha256(self, part: P) -> str:
        """The hash of the items of a part that `measure` has rows of, in order: where it is equal, row i of two
        measurements is of the same item. Empty where that is not known.
        """
        return ""

    def evaluate(
        self,
        data: Any = None,
        part: PartName = "test",
        decoding: Any = None,
        *,
        limit: int | None = None,
        **keys: Any,
    ) -> Evaluation:
        """The metrics on data, which is given as to `sightline.fit`; without it on a part of the training's own data.
        `limit` keeps the first items.

        `keys` say how the data is read, as in training where they are not named: `label_column="class"`; or, where
        they are in `measured_by`, how it is measured: `stride=64`.

        Raises:
            InputError: an unknown part or key; whatever is wrong with the data; "data: nothing is known of the data of
                its training: …".
        """
        from sightline.tasks.evaluation import evaluate  # it loads data by tasks, which this class is the base of

        return evaluate(self, data, part, decoding, keys, limit)

    def part_of_values(self, data: Any) -> P | None:
        """Items to measure on from data that names no columns, as an array; None where it is read as a table."""
        return None

    def __repr__(self) -> str:
        """The architecture, its size, its data and the metrics of its best validation."""
        facts = [self.arch, f"{self.parameters:,} parameters"]
        facts += [f"{name} {written(name, value)}" for name, value in self.validated.items()]
        data = f"\n  trained on {self.data.partition(', sha256')[0]}" if self.data else ""
        return f"{type(self).__name__}({', '.join(facts)}){data}"

    def outputs_of(self, part: P) -> list[Any]:
        """The outputs for a part's items, as `predict` gives them for the same inputs."""
        return list(self.measure(part).outputs)

    @classmethod
    def preset(cls, arch: str) -> R:
        """The default training of the named architecture; `InputError` if none has that name."""
        cls.check_architecture(arch)
        return replace(cls.Run.preset(arch), task=cls.name)

    @classmethod
    def architectures(cls) -> Mapping[str, SizedConfig]:
        """The values of `--arch`: the presets of the task's form."""
        return FORMS[cls.form]

    @classmethod
    def check_architecture(cls, arch: str) -> None:
        """Raises `InputError` where `arch` is not one of them (see `architectures.check_architecture`)."""
        check_architecture(arch, cls.form, cls.name, cls.architectures())

    @classmethod
    def load_data(cls, run: R) -> D:
        """The data that the keys of `run` name, read and divided; `InputError` for whatever is wrong with it."""
        return run.load()

    @classmethod
    def kind_of_data(cls, run: R) -> str:
        """The kind of the data that the keys of `run` name, where defaults differ by it; raises as `load_data`."""
        return ""

    @classmethod
    def survey(cls, run: R) -> Survey:
        """A summary of the data that the keys of `run` name."""
        data = cls.load_data(run)
        survey = data.describe()
        if not data.problem:
            return survey
        return replace(survey, notes=[*survey.notes, f"nothing can be trained on this: {data.problem}"])

    @classmethod
    def read_part(cls, run: R) -> P:
        """All items of the data that the keys of `run` name, as one part to measure on."""
        return run.read()

    def read_as_trained(self, run: R) -> P:
        """`read_part`, with what the task alone knows of how its training data was read."""
        return self.read_part(run)

    @classmethod
    def load_prepared(cls, run: R, directory: Path) -> D:
        """`load_data`; the directory may cache slow results for the next call."""
        return cls.load_data(run)

    @classmethod
    def build_prepared(cls: type[T], data: D, run: R, directory: Path) -> T:
        """`build`; the directory may cache what is slow to fit for the next call."""
        return cls.build(data, run)

    @classmethod
    def create(cls: type[T], data: D, config: Any, *, seed: int = 0, parameters: int | None = None) -> T:
        """An untrained task with these settings; `parameters` scales the model's widths to about that many."""
        match = None if parameters is None else f"params={parameters}"
        return cls.build(data, cls.Run(settings=config).changed(seed=seed, match=match))

    @staticmethod
    def draw(config: Any, sizes: tuple[Any, Any], run: RunConfig) -> tuple[Any, Any]:
        """The task's config, its model scaled as `match` asks, and that model with weights drawn from the run's seed.

        sizes: the arguments of `config.model.build`, a front end and a number of outputs

        Raises:
            InputError: "--model: d_model = 64 is not divisible by heads = 3: choose another d_model, or set d_head".
        """
        try:
            if run.parameters is not None:
                config = replace(config, model=match_parameters(config.model, run.parameters, *sizes))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive(run.training.seed, "init"))
                return config, config.model.build(*sizes)
        except InputError:
            raise
        except ValueError as error:  # of a module, whose sizes do not fit
            raise InputError(str(error), where="--model") from error

    @classmethod
    def spaced(cls, part: P, most: int) -> P:
        """At most `most` of the items, one of each of equal stretches, so that a sorted file is sampled throughout."""
        return part if len(part) <= most else part.select(spaced(len(part), most))

    @classmethod
    def sources(cls, part: P) -> list[str]:
        """Every item's source as people read it; empty where that is not text."""
        return []

    @classmethod
    def lengths(cls, part: P) -> list[int]:
        """Every item's length, by which a report shows quality; empty where items have no length."""
        return []

    @classmethod
    def trained_on(cls, data: D) -> str:
        """The data of a training, in a line."""
        items = number_of(data.sizes["train"], cls.unit.removesuffix("s"), cls.unit)
        return f"{data.name}: {items}, sha256 of the data {data.sha256}"

    def settled_training(self, config: TrainConfig) -> TrainConfig:
        """The settings of a training with what they leave to the task: the metric that picks the best model, and the
        passes over the data that pay.
        """
        return settled(config)

    def validator(self, part: P, share: float = 1.0) -> Callable[[nn.Module], Measured]:
        """A function of the model in training that measures "loss" and the other metrics to show while training.

        share: of the items that it scores by default
        """
        part = self.spaced(part, at_least_one(share * len(part)))
        return lambda model: self.measure(part)

    def baselines(self, train: P, valid: P, part: P) -> list[Baseline]:
        """Model-free baselines with their scores on `part`: learned from `train`, their settings chosen by `valid`."""
        return []

    def open_input(self, item: Any) -> OpenedInput:
        """An input as `predict` takes it, opened for inspection; raises `InputError` where that is not built."""
        raise InputError(f"{self.name} cannot be inspected yet")

    def inputs_of(self, part: P, most: int) -> list[Any]:
        """The inputs of at most `most` items of a part, `spaced`; those that are empty are left out."""
        return self.filled(self.sources(self.spaced(part, most)))

    def open_items(self, part: P, most: int) -> Iterator[OpenedInput]:
        """The `inputs_of` a part, opened."""
        for one in self.inputs_of(part, most):
            yield self.open_input(one)

    def plant(self, part: P, seed: int, sizes: PlantedSizes = SIZES) -> list[Planted]:
        """Planted problems for models of this architecture, one of them in the items of a part where that can be.

        Raises:
            InputError: "captioning has no planted problems yet".
        """
        raise InputError(f"{self.name} has no planted problems yet")

    def facts(self) -> dict[str, str]:
        """Facts about how the data was read, a few words each, for a report."""
        return {}

    def costs(self, part: P) -> Costs:
        """The cost of an output, measured on a few items."""
        return Costs()

    def state_bytes_after(self, length: int) -> int:
        """Bytes of the state that the model carries after reading and writing `length` tokens.

        Raises:
            InputError: "--match: a model for classification carries no state from token to token: …".
        """
        raise InputError(
            f"a model for {self.name} carries no state from token to token: match params or flops", where="--match"
        )

    def describe(self, data: D) -> dict[str, Any]:
        """Facts that a dry run shows besides parameters and sizes."""
        return {}

    @property
    def run(self) -> Any:
        """The configuration of a training like this one's, as far as the task itself can tell."""
        return self.like(self.preset(self.arch))

    def like(self, run: R) -> R:
        """The configuration with this model's settings, so that data is read as it was for training."""
        same = run.changed(settings=self.config)
        read = decode(type(run), dict(self.reading), where=f"{CONFIG}: options.reading", base=same)
        return read.changed(**self.settled_reading())

    def settled_reading(self) -> dict[str, Any]:
        """Values of keys of the data that the training data has settled, where a key leaves them open."""
        return {}

    def lower_inputs(self) -> None:
        """Lower-case every text before the model reads it."""
