"""The base of tasks that write a text for every item: translation, transcription, captioning and answering."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from torch import nn

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.metrics import metrics_of
from sightline.core.modes import evaluating
from sightline.data.spaced import at_least_one
from sightline.decoding.engine import DecodingConfig
from sightline.tasks.outcomes import Answer, Costs, Measured
from sightline.tasks.run import RunConfig
from sightline.tasks.saved import Options
from sightline.tasks.task import D, Task
from sightline.tasks.texts_out.costs import ms_per_token, state_bytes, state_bytes_after
from sightline.tasks.texts_out.likelihood import LIKELIHOODS, likelihood
from sightline.tasks.texts_out.scores import score_texts
from sightline.tasks.texts_out.scripts import metric_for
from sightline.tasks.texts_out.writer import Sources, TextOutput, TextWriter
from sightline.training.loss import Loss, cross_entropy

TIMED = 20  # items


@dataclass(frozen=True)
class TextsOutOptions(Options):
    """Stored options: the most tokens of an output where decoding names no other limit."""

    longest_output: int


P = TypeVar("P", bound=Any)  # a part, with `targets`
R = TypeVar("R", bound=RunConfig)


class TextsOutTask(Task[D, P, R]):
    """An encoder-decoder that is trained to write a text for each item; `writer` writes them.

    data: what the model was trained on, in a line
    positions_are: the word for positions of a source in a report
    scored_as: the kinds of metrics of outputs (`Metric.of`); decided_by: metrics before the one that suits the targets
    """

    form = "encoder-decoder"
    accepts_decoding = True
    same_in_comparison = ("tokenizer.kind", "tokenizer.size")
    Options = TextsOutOptions
    no_output: ClassVar[str] = ""
    no_record: ClassVar[Mapping[str, Any]] = {"output": "", "score": 0.0, "finished": True}
    positions_are: ClassVar[str] = "positions"
    scored_as: ClassVar[tuple[str, ...]] = ("texts",)
    decided_by: ClassVar[tuple[str, ...]] = ()

    def __init__(self, config: Any, writer: TextWriter, *, data: str = "") -> None:
        self.config = config
        self.writer = writer
        self.model = writer.model
        self.tokenizers = writer.tokenizers
        self.data = data

    @property
    def longest_output(self) -> int:
        """The most tokens of an output where decoding names no other limit."""
        return self.writer.longest_output

    @property
    @abstractmethod
    def validation_size(self) -> int:
        """The number of items that a validation scores."""

    @abstractmethod
    def sources_of(self, part: P) -> Sources:
        """The sources of a part's items."""

    @abstractmethod
    def in_order(self, part: P) -> Iterable[Any]:
        """Every item in batches to score, however long; they can be iterated over again."""

    @abstractmethod
    def part_of(self, inputs: Sequence[Any]) -> P:
        """New inputs as a part whose targets are empty."""

    @classmethod
    def score(cls, outputs: Sequence[str], references: Sequence[str]) -> Measured:
        """The metrics of outputs."""
        return score_texts(outputs, references, cls.scored_as)

    @classmethod
    def metrics(cls, data: Any, run: Any) -> tuple[str, ...]:
        """The metrics, first the one that suits the targets (`scripts.metric_for`)."""
        first = [*cls.decided_by, metric_for(data.train.targets)]
        usual = ["exact_match", "chrf", "perplexity", "bleu", "loss", "token_accuracy"]
        known = metrics_of(*cls.scored_as, *LIKELIHOODS)
        return tuple(dict.fromkeys([*first, *usual, *(metric.name for metric in known)]))

    @property
    def outputs(self) -> int:
        return self.tokenizers.target.size

    def loss(self, model: nn.Module, batch: Any) -> Loss:
        """Cross entropy of each next target token, given the source and the tokens before it (teacher forcing)."""
        logits = model(batch.source, batch.source_mask, batch.target[:, :-1])  # (B, T, V)
        labels, mask = batch.target[:, 1:], batch.target_mask[:, 1:]
        return cross_entropy(logits, labels, mask, epsilon=self.config.label_smoothing, smoothing=self.config.smoothing)

    def validator(self, part: P, share: float = 1.0) -> Callable[[nn.Module], dict[str, float]]:
        """A function of the model: the metrics of `measure`, on evenly spaced items and greedy outputs of some."""
        size = min(len(part), self.validation_size)
        scored = self.spaced(part, at_least_one(share * size))
        decoded = self.spaced(part, at_least_one(share * min(size, self.config.validation_outputs)))
        sources = self.sources_of(decoded)
        batches = self.in_order(scored)

        def validate(model: nn.Module) -> dict[str, float]:
            measured = likelihood(model, batches, self.device).metrics
            if not math.isfinite(measured["loss"]):
                return measured  # the outputs of a model that has diverged mean nothing
            return {**measured, **self.score(texts_of(self.writer.write(sources)), decoded.targets).metrics}

        return validate

    def write_texts(self, part: P, decoding: DecodingConfig | None = None, *, first: int = 0) -> list[TextOutput]:
        """An output for each item, in order; an item without positions gets an empty one.

        `first` is the number of the first item in the random stream, so that texts sampled in several calls get what
        one call would give them. Dropout is off, whatever mode the model is in.
        """
        return self.writer.write(self.sources_of(part), decoding, first=first)

    def predict_list(self, inputs: list[Any], decoding: DecodingConfig | None = None) -> list[str]:
        """A text for each input; greedy without `decoding`."""
        return self._texts(self.part_of(inputs), decoding)

    def read_line(self, line: str) -> Any:
        """The input for `predict` from a line of text."""
        return line

    def answer_list(self, inputs: list[str], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        outputs = self.write_texts(self.part_of([self.read_line(line) for line in inputs]), decoding, first=first)
        return [output.answer(source) for source, output in zip(inputs, outputs, strict=True)]

    def measure(self, part: P, decoding: Any = None) -> Measured:
        """The metrics of decoded outputs; loss, perplexity and token accuracy of the references under the model."""
        if not len(part.targets):
            raise InputError(f"no {self.unit} to evaluate on")
        outputs = self._texts(part, decoding)
        scores = self.score(outputs, part.targets)
        with evaluating(self.model):
            measured = likelihood(self.model, self.in_order(part), self.device)
        return Measured(
            {**scores.metrics, **measured.metrics},
            {**scores.items, **measured.items},
            tuple(outputs),
            tuple(part.targets),
            scores.details,
        )

    def costs(self, part: P) -> Costs:
        """Greedy decoding per output token, reading and encoding included, and the decoder's state for the item of the
        middle length after all of its target.
        """
        sources = self.sources_of(part)
        positions = sources.positions
        middle = sorted(range(len(positions)), key=lambda row: (positions[row], row))[len(positions) // 2]
        tokenizer = self.tokenizers.target
        target = tokenizer.encode(part.targets[middle])
        return Costs(
            ms_per_token(self.write_texts, self.spaced(part, TIMED), tokenizer),
            "token",
            state_bytes(self.writer, sources, middle, target),
            f"{positions[middle]} {self.positions_are} and {number_of(len(target), 'target token')} in",
        )

    def state_bytes_after(self, length: int) -> int:
        """Bytes of the decoder's state after `length` tokens of a source and `length` tokens of a target."""
        if self.source.accepts != "tokens":
            return super().state_bytes_after(length)
        return state_bytes_after(self.writer, length)

    def describe(self, data: D) -> dict[str, Any]:
        batches: Any = self.batches(data.train, seed=0)
        return {"tokens_per_epoch": batches.tokens, "batches_per_epoch": len(batches)}

    def lower_inputs(self) -> None:
        self.tokenizers.source.lower_first = self.tokenizers.target.lower_first = True

    def more_options(self) -> dict[str, Any]:
        return {"longest_output": self.longest_output}

    def save_files(self, directory: Path) -> None:
        self.writer.save_tokenizers(directory)

    def outputs_of(self, part: P) -> list[str]:
        return self._texts(part)

    def _texts(self, part: P, decoding: DecodingConfig | None = None) -> list[str]:
        return texts_of(self.write_texts(part, decoding))


def texts_of(outputs: Sequence[TextOutput]) -> list[str]:
    """Their texts."""
    return [output.text for output in outputs]
