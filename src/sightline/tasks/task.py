"""The base of every task: data to train on, a model, a loss, a measurement, and answers for new inputs.

A task has a source and a target: text to text, text to a label, a series to its future. Each is a class, named in
`tasks.table.TASKS`; training, the command line and comparisons know nothing else of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from sightline.core.spelling import respelled
from sightline.data.batches import Batches
from sightline.data.corpus import Corpus, Items
from sightline.data.inputs import InputTable
from sightline.data.media.files import MediaFile
from sightline.data.rows.given import PAIR, is_frame
from sightline.data.spaced import at_least_one, spaced
from sightline.data.survey import Survey
from sightline.models import FORMS, SizedConfig, match_parameters
from sightline.models.store import CONFIG
from sightline.tasks.architectures import check_architecture
from sightline.tasks.given import given_data
from sightline.tasks.input_source import InputSource
from sightline.tasks.not_files import check_not_paths
from sightline.tasks.one_or_several import is_blank, list_of, with_blanks
from sightline.tasks.opened import OpenedInput
from sightline.tasks.outcomes import Answer, Costs, Measured
from sightline.tasks.planted import SIZES, Planted, PlantedSizes
from sightline.tasks.run import RunConfig
from sightline.tasks.saved import SavedTask
from sightline.training.loss import Loss

if TYPE_CHECKING:
    from sightline.tasks.evaluation import Evaluation
    from sightline.tasks.load import PartName

T = TypeVar("T", bound="Task[Any, Any, Any]")
D = TypeVar("D", bound=Corpus[Any])  # all of a task's data
P = TypeVar("P", bound=Items)  # one part of it
R = TypeVar("R", bound=RunConfig)


class Task(SavedTask, Generic[D, P, R]):
    """A model with all that is needed to train it, to measure it and to use it on new inputs.

    A task of your own defines the abstract methods; the others have a default that suits most tasks.

    unit: the word for items, in the plural: pairs, documents, windows
    Run: all of a training's configuration
    accepts_decoding: whether outputs are sequences, searched for or sampled by a `DecodingConfig`
    loss_unit, counted: the unit of the training loss, and the tokens that a budget counts
    length_of: the meaning of `lengths`, such as "source length (characters)"
    reads_texts: whether an input is a text, and the name of a file is therefore refused
    answers_lines: whether an answer's text is a table, several lines long
    continues_prompts: whether it has `generate`, which continues texts
    draws_answers: whether `report.forecasts` draws the records of answers
    no_output, no_record: what an empty input gives, from `predict` and in the record of its answer
    measured_by: keys of `config` that do not change the model, so that a measurement may use others
    shows_attention: whether `lab.attention` has maps of it
    same_in_comparison: keys that all architectures of a comparison share, at the task's default
    pair: the columns of data that is given as a list of pairs
    corpus: the data of its training, where this process trained it; place: the directory that it was loaded from
    validated: the metrics of its best validation, where they are known
    """

    unit: ClassVar[str] = "items"
    Run: ClassVar[type[Any]]
    accepts_decoding: ClassVar[bool] = False
    loss_unit: ClassVar[str] = "nats/token"
    counted: ClassVar[str] = "target tokens"
    length_of: ClassVar[str] = ""
    shows_attention: ClassVar[bool] = False
    same_in_comparison: ClassVar[tuple[str, ...]] = ()
    reads_texts: bool = False
    answers_lines: ClassVar[bool] = False
    draws_answers: ClassVar[bool] = False
    continues_prompts: ClassVar[bool] = False
    measured_by: ClassVar[tuple[str, ...]] = ()
    no_output: ClassVar[Any] = None
    no_record: ClassVar[Mapping[str, Any]] = {"output": None}
    pair: ClassVar[tuple[str, str]] = PAIR

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

    @abstractmethod
    def predict_list(self, inputs: list[Any], decoding: Any = None) -> list[Any]:
        """The output for each input, in order, as Python values: texts, labels or arrays."""

    def predict(self, inputs: Any, decoding: Any = None, *, proba: bool = False, return_dict: bool = False) -> Any:
        """The output for one input, or the list of outputs for a list of inputs or the rows of a frame; see
        `predict_list` and `table_inputs`.

        proba: instead of the label, a dict with the probability of each class
        return_dict: instead of the output, a dict of all that `sightline predict --json` prints of it

        An empty text, or one of blanks alone, has no output: `no_output`, and an empty line on the command line. Only a
        task that continues prompts reads one.

        Raises:
            InputError: what `one_or_several.list_of` and `check_not_paths` raise; whatever is wrong with an input;
                "translation gives no probabilities: see return_dict=True".
        """
        if self.reads_texts:
            check_not_paths(inputs)
        one = self.is_one(inputs)
        several = [inputs] if one else self._rows_of(inputs) if is_frame(inputs) else list_of(inputs)
        if proba or return_dict:
            outputs = self.records(several, decoding)
            if proba and any("probabilities" not in record for record in outputs):
                raise InputError(f"{self.name} gives no probabilities: see return_dict=True", where="proba")
            outputs = [record["probabilities"] for record in outputs] if proba else outputs
        else:
            filled = self.filled(several)
            answers = self.predict_list(filled, decoding) if filled else []
            outputs = with_blanks(several, answers, lambda _: self.no_output)
        return outputs[0] if one else outputs

    @classmethod
    def filled(cls, inputs: Sequence[Any]) -> list[Any]:
        """The inputs that have an output."""
        return [one for one in inputs if cls.continues_prompts or not is_blank(one)]

    def _rows_of(self, frame: Any) -> list[Any]:
        """The inputs in the rows of a frame; paths in it begin in the working directory."""

        def in_python(message: str) -> str:
            message = message.replace("Name --source-column", "Choose a column, as in table['source']")
            return message.replace(" (--source-column names another column)", "")

        with given_data(None, self.pair, inputs=frame) as given, respelled(in_python):
            return self.table_inputs(InputTable(Path(given.paths["inputs"]), base=Path.cwd()))

    def records(self, inputs: list[Any], decoding: Any = None) -> list[dict[str, Any]]:
        """For each input a dict with its output and all else that is known of that; `no_record` for an empty text."""
        filled = self.filled(inputs)
        records = self.record_list(filled, decoding) if filled else []
        return with_blanks(inputs, records, lambda one: {"source": one, **self.no_record})

    def record_list(self, inputs: list[Any], decoding: Any = None) -> list[dict[str, Any]]:
        """The records of inputs that are filled."""
        if all(isinstance(one, str | Path) for one in inputs):
            return [answer.record for answer in self.answer_list([str(one) for one in inputs], decoding)]
        return [{"output": output} for output in self.predict_list(inputs, decoding)]

    def evaluate(self, data: Any = None, part: PartName = "test", decoding: Any = None, **keys: Any) -> Evaluation:
        """The metrics on data, which is given as to `sightline.fit`; without it on a part of the training's own data.

        `keys` say how the data is read, as in training where they are not named: `label_column="class"`; or, where
        they are in `measured_by`, how it is measured: `stride=64`.

        Raises:
            InputError: an unknown part or key; whatever is wrong with the data; "data: nothing is known of the data of
                its training: …".
        """
        from sightline.tasks.evaluation import evaluate  # it loads data by tasks, which this class is the base of

        return evaluate(self, data, part, decoding, keys)

    def part_of_values(self, data: Any) -> P | None:
        """Items to measure on from data that names no columns, as an array; None where it is read as a table."""
        return None

    def __repr__(self) -> str:
        """The architecture, its size, its data and the metrics of its best validation."""
        facts = [self.arch, f"{self.parameters:,} parameters"]
        facts += [f"{name} {written(name, value)}" for name, value in self.validated.items()]
        data = f"\n  trained on {self.data.partition(', sha256')[0]}" if self.data else ""
        return f"{type(self).__name__}({', '.join(facts)}){data}"

    def is_one(self, inputs: Any) -> bool:
        """Whether the argument of `predict` is one input, not several."""
        return isinstance(inputs, str | Path | MediaFile)

    @property
    def input_sources(self) -> Mapping[str, InputSource]:
        """The sources of one input by name, in order, and the kind of each; a table is the file of a series."""
        return MappingProxyType({"text": "text"})

    def outputs_of(self, part: P) -> list[Any]:
        """The outputs for a part's items, as `predict` gives them for the same inputs."""
        return list(self.measure(part).outputs)

    @classmethod
    def preset(cls, arch: str) -> R:
        """The default training of the named architecture; `InputError` where there is none of that name."""
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
        """
        if run.parameters is not None:
            config = replace(config, model=match_parameters(config.model, run.parameters, *sizes))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(run.training.seed, "init"))
            return config, config.model.build(*sizes)

    @classmethod
    def spaced(cls, part: P, most: int) -> P:
        """At most `most` of the items, evenly spaced over them, so that a sorted file is sampled throughout."""
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

    def validator(self, part: P, share: float = 1.0) -> Callable[[nn.Module], dict[str, float]]:
        """A function of the model in training that returns "loss" and the other metrics to show while training.

        share: of the items that it scores by default
        """
        part = self.spaced(part, at_least_one(share * len(part)))
        return lambda model: self.measure(part).metrics

    def baselines(self, train: P, valid: P, part: P) -> list[Baseline]:
        """Model-free baselines with their scores on `part`: learned from `train`, their settings chosen by `valid`."""
        return []

    def answer(self, inputs: Sequence[Any], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        """An output for each input, in order: a line of text, or a file's path where the source is not text.

        `first` is the number of the first one in the random stream, in which those that are not `filled` do not count.
        Dropout is off.
        """
        filled = self.filled(inputs)
        answers = self.answer_list(filled, decoding, first=first) if filled else []
        return with_blanks(inputs, answers, lambda one: Answer("", {"source": one, **self.no_record}))

    def table_inputs(self, table: InputTable) -> list[Any]:
        """The inputs in the rows of a table, in order, as `answer` takes them: texts, unless the task has its own.

        Raises:
            InputError: what `InputTable.texts` raises.
        """
        return table.texts(self.reading.get("source_column"))

    def answer_list(self, inputs: list[Any], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        """The answers for inputs that are filled."""
        outputs = self.predict_list(inputs)
        return [Answer(str(out), {"source": one, "output": out}) for one, out in zip(inputs, outputs, strict=True)]

    def open_input(self, given: Any) -> OpenedInput:
        """An input as `predict` takes it, opened for inspection; raises `InputError` where that is not built."""
        raise InputError(f"{self.name} cannot be inspected yet")

    def inputs_of(self, part: P, most: int) -> list[Any]:
        """The inputs of at most `most` items of a part, evenly spaced; those that are empty are left out."""
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
