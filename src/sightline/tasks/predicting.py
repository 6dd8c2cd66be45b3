"""The answers of a task to new inputs: as Python values, as records, and as lines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from sightline.core.errors import InputError
from sightline.core.precision import Precision
from sightline.core.spelling import as_arguments, respelled
from sightline.data.inputs import InputTable
from sightline.data.media.files import MediaFile
from sightline.data.rows.in_memory import PAIR
from sightline.tasks.data_paths import data_paths
from sightline.tasks.input_source import InputSource
from sightline.tasks.not_files import check_not_paths
from sightline.tasks.one_or_several import are_rows, check_texts, is_blank, list_of, with_blanks
from sightline.tasks.outcomes import Answer
from sightline.tasks.saved import SavedTask


def in_python(message: str) -> str:
    """A message about inputs or decoding with arguments of Python."""
    return as_arguments(message.replace("--max-new-tokens", "--max-length"))


class PredictingTask(SavedTask):
    """A saved task that answers inputs: the part of a `Task` that needs no data of its training.

    accepts_decoding: whether outputs are sequences, searched for or sampled by a `DecodingConfig`
    measures_outputs: whether a measurement decodes outputs; otherwise it heeds the precision alone
    reads_texts: whether an input is a text, and the name of a file is therefore refused
    one_label: whether an answer is one label of a fixed set
    answers_lines: whether an answer's text is a table, several lines long
    continues_prompts: whether it has `generate`, which continues texts
    draws_answers: whether `report.forecasts` draws the records of answers
    samples_futures: whether quantiles are those of futures drawn at random
    no_output, no_record: what an empty input gives, from `predict` and in the record of its answer
    pair: the columns of data that is given as a list of pairs
    """

    accepts_decoding: ClassVar[bool] = False
    measures_outputs: ClassVar[bool] = True
    reads_texts: bool = False
    one_label: bool = False
    answers_lines: ClassVar[bool] = False
    draws_answers: ClassVar[bool] = False
    continues_prompts: ClassVar[bool] = False
    samples_futures: bool = False
    no_output: ClassVar[Any] = None
    no_record: ClassVar[Mapping[str, Any]] = {"output": None}
    pair: ClassVar[tuple[str, str]] = PAIR

    @property
    def longest_output(self) -> int | None:
        """The most tokens of an output where decoding sets no `max_length`; None where outputs are not decoded."""
        return None

    @abstractmethod
    def predict_list(self, inputs: list[Any], decoding: Any = None) -> list[Any]:
        """The output for each input, in order, as Python values: texts, labels or arrays."""

    def compile_ahead(self, precision: Precision = "float32", beams: Sequence[int] = (1,)) -> tuple[int, ...]:
        """Compile the steps of decoding for single inputs now, for `DecodingConfig(compiled=True)`.

        See `models.compiled`. Later calls compile nothing: inputs without code take plain steps. Returns
        the beam widths that have code, 1 for greedy decoding and sampling: none where a task decodes no sequences, or
        where code gains nothing.

        Raises:
            InputError: "compiled: needs a C++ compiler: found neither g++ nor clang++"; "compiled: needs a CPU, …".
        """
        with respelled(in_python):
            return self.compile_steps(precision, beams)

    def compile_steps(self, precision: Precision = "float32", beams: Sequence[int] = (1,)) -> tuple[int, ...]:
        """`compile_ahead` for the command line: messages name flags."""
        return ()

    def predict(self, inputs: Any, decoding: Any = None, *, proba: bool = False, return_dict: bool = False) -> Any:
        """The output for one input, or the list of outputs for a list of inputs or the rows of a frame, which may be
        dicts too; see `predict_list` and `table_inputs`.

        proba: instead of the label, a dict with the probability of each class
        return_dict: instead of the output, a dict of all that `sightline predict --json` prints of it

        An empty text, one of blanks alone, or a missing one (None, a null in a column) has no output: `no_output`, and
        an empty line on the command line. Only a task that continues prompts reads one.

        Raises:
            InputError: what `list_of`, `check_texts` and `check_not_paths` raise; whatever is wrong with an input;
                "translation gives no probabilities: see return_dict=True"; what `check_decoding` raises.
        """
        with respelled(in_python):
            return self._predicted(inputs, decoding, proba=proba, return_dict=return_dict)

    def _predicted(self, inputs: Any, decoding: Any, *, proba: bool, return_dict: bool) -> Any:
        """The result of `predict`; messages name flags."""
        self.check_decoding(decoding)
        if self.reads_texts:
            check_not_paths(inputs)
        one = self.is_one(inputs)
        several = [inputs] if one else self._rows_of(inputs) if self._has_columns(inputs) else list_of(inputs)
        if self.reads_texts:
            check_texts(several)
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

    def check_decoding(self, decoding: Any) -> None:
        """Refuse settings of decoding, other than None, where nothing is decoded.

        Raises:
            InputError: "decoding: classification does not decode sequences: leave it out".
        """
        if decoding is not None and not self.accepts_decoding:
            raise InputError(f"{self.name} does not decode sequences: leave it out", where="decoding")

    @classmethod
    def filled(cls, inputs: Sequence[Any]) -> list[Any]:
        """The inputs that have an output; a prompt that is missing is an empty one."""
        if cls.continues_prompts:
            return ["" if one is None else one for one in inputs]
        return [one for one in inputs if not is_blank(one)]

    def _has_columns(self, inputs: Any) -> bool:
        """Whether these are rows of a table that has columns: a frame, or dicts that are not inputs themselves."""
        return are_rows(inputs) and not (isinstance(inputs, list) and self.is_one(inputs[0]))

    def _rows_of(self, frame: Any) -> list[Any]:
        """The inputs in the rows of a frame, or in dicts; paths in it begin in the working directory."""

        def without_flags(message: str) -> str:
            message = message.replace("Set --source-column", "Choose a column, as in table['source']")
            return message.replace(" (--source-column chooses another column)", "")

        with data_paths(None, self.pair, inputs=frame) as stored, respelled(without_flags):
            return self.table_inputs(InputTable(Path(stored.paths["inputs"]), base=Path.cwd()))

    def records(self, inputs: list[Any], decoding: Any = None) -> list[dict[str, Any]]:
        """For each input the record of its `answer`, in which files have their names."""
        return [{key: _with_names(value) for key, value in one.record.items()} for one in self.answer(inputs, decoding)]

    def is_one(self, inputs: Any) -> bool:
        """Whether the argument of `predict` is one input, not several."""
        return isinstance(inputs, str | Path | MediaFile)

    @property
    def input_sources(self) -> Mapping[str, InputSource]:
        """The sources of one input by name, in order, and the kind of each; a table is the file of a series."""
        return MappingProxyType({"text": "text"})

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
        outputs = self.predict_list(inputs, decoding)
        return [Answer(str(out), {"source": one, "output": out}) for one, out in zip(inputs, outputs, strict=True)]


def _with_names(value: Any) -> Any:
    """A value of a record; for a file, or one among the values of a row, its name."""
    if isinstance(value, Path | MediaFile):
        return str(value.path if isinstance(value, MediaFile) else value)
    if isinstance(value, tuple | list) and any(isinstance(one, Path | MediaFile) for one in value):
        return type(value)(map(_with_names, value))
    if isinstance(value, Mapping) and any(isinstance(one, Path | MediaFile) for one in value.values()):
        return {key: _with_names(one) for key, one in value.items()}
    return value
