"""The base of tasks that write a text for every item: translation, transcription, captioning and answering."""

from __future__ import annotations

import math
import statistics
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import nn

from sightline.core.config import encode
from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.metrics import metrics_of
from sightline.core.modes import evaluating
from sightline.core.settings import check_in_range
from sightline.core.state import nbytes
from sightline.data.spaced import at_least_one
from sightline.data.tokens.tokenizer import Tokenizer, TokenizerPair
from sightline.decoding.engine import DecodingConfig
from sightline.models import SequenceModel
from sightline.models.store import CONFIG
from sightline.tasks.outcomes import Answer, Costs, Measured, timed_ms
from sightline.tasks.run import RunConfig
from sightline.tasks.saved import Options
from sightline.tasks.task import D, Task
from sightline.tasks.texts_out.config import TokenizerConfig
from sightline.tasks.texts_out.likelihood import LIKELIHOODS, likelihood
from sightline.tasks.texts_out.scores import score_texts
from sightline.tasks.texts_out.scripts import metric_for
from sightline.tasks.texts_out.search import Sources, TextOutput, begin, search
from sightline.training.loss import Loss, cross_entropy

TOKENIZERS = "tokenizer.json"
TIMED = 20  # items


@dataclass(frozen=True)
class TextsOutOptions(Options):
    """Stored options: the most tokens of an output where decoding names no other limit."""

    longest_output: int


P = TypeVar("P", bound=Any)  # a part, with `targets`
R = TypeVar("R", bound=RunConfig)


class TextsOutTask(Task[D, P, R]):
    """An encoder-decoder with its tokenizers.

    longest_output: the most tokens of an output where decoding names no other limit
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

    def __init__(
        self, config: Any, model: SequenceModel, tokenizers: TokenizerPair, *, longest_output: int, data: str = ""
    ) -> None:
        self.config = config
        self.model = model
        self.tokenizers = tokenizers
        self.longest_output = longest_output
        self.data = data

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
            return {**measured, **self.score(texts_of(self._written(sources)), decoded.targets).metrics}

        return validate

    def write_texts(self, part: P, decoding: DecodingConfig | None = None, *, first: int = 0) -> list[TextOutput]:
        """An output for each item, in order; an item without positions gets an empty one.

        `first` is the number of the first item in the random stream, so that texts sampled in several calls get what
        one call would give them. Dropout is off, whatever mode the model is in.
        """
        return self._written(self.sources_of(part), decoding, first=first)

    def _written(self, sources: Sources, decoding: DecodingConfig | None = None, *, first: int = 0) -> list[TextOutput]:
        tokenizer, longest = self.tokenizers.target, self.longest_output
        return search(self.model, sources, tokenizer, decoding, longest=longest, first=first)

    def predict_list(self, inputs: list[Any], decoding: DecodingConfig | None = None) -> list[str]:
        """A text for each input; greedy without `decoding`."""
        return self._texts(self.part_of(inputs), decoding)

    def read_line(self, line: str) -> Any:
        """The input for `predict` from a line of text."""
        return line

    def answer_list(self, inputs: list[str], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        outputs = self.write_texts(self.part_of([self.read_line(line) for line in inputs]), decoding, first=first)
        return [
            Answer(
                output.text,
                {"source": source, "output": output.text, "score": output.score, "finished": output.finished},
                output.finished,
            )
            for source, output in zip(inputs, outputs, strict=True)
        ]

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
        target = self.tokenizers.target.encode(part.targets[middle])
        return Costs(
            self.ms_per_token(self.spaced(part, TIMED)),
            "token",
            self.state_bytes(sources, middle, target),
            f"{positions[middle]} {self.positions_are} and {number_of(len(target), 'target token')} in",
        )

    def ms_per_token(self, part: P) -> float:
        """Median over items of greedy decoding time per output token, end token counted, one item at a time."""
        self.write_texts(part.select([0]))  # the first call is slower
        times = []
        for row in range(len(part.targets)):
            one = part.select([row])
            (output,), ms = timed_ms(lambda one=one: self.write_texts(one))
            times.append(ms / (len(self.tokenizers.target.encode(output.text)) + output.finished or 1))
        return statistics.median(times)

    @torch.no_grad()
    def state_bytes(self, sources: Sources, row: int, target: Sequence[int]) -> int:
        """Bytes of the decoder's state for one source after its start token and all of `target`."""
        fed = torch.tensor([[Tokenizer.BOS, *target]], device=self.device)  # (1, T)
        with evaluating(self.model):
            _, state = self.model.decode(fed, begin(self.model, sources, [row]))
        return nbytes(state)

    @torch.no_grad()
    def state_bytes_after(self, length: int) -> int:
        """Bytes of the decoder's state after `length` tokens of a source and `length` tokens of a target."""
        if self.source.accepts != "tokens":
            return super().state_bytes_after(length)
        tokens = torch.zeros(1, length, dtype=torch.long, device=self.device)
        with evaluating(self.model):
            _, state = self.model.decode(tokens, self.model.initial_state(self.model.encode(tokens)))
        return nbytes(state)

    @staticmethod
    def learn_tokenizers(
        sources: Sequence[str], targets: Sequence[str], config: TokenizerConfig, *, lowercase: bool
    ) -> TokenizerPair:
        """Tokenizers of sources and targets; one alone where no source is a text.

        lowercase: whether the texts were lower-cased when they were read, which the tokenizers then do to new ones
        """
        config = replace(config, lowercase=config.lowercase or lowercase)
        if sources:
            return TokenizerPair.train(sources, targets, **encode(config))
        one = Tokenizer.train(targets, config.kind, config.size, config.lowercase)
        return TokenizerPair(one, one)

    @staticmethod
    def room_for(tokenizers: TokenizerPair, targets: Sequence[str]) -> int:
        """`longest_output` for such targets, with room for what is longer than anything seen in training."""
        longest = max(map(len, tokenizers.target.encode_batch(targets)))
        return longest + longest // 4 + 8

    def lower_inputs(self) -> None:
        self.tokenizers.source.lower_first = self.tokenizers.target.lower_first = True

    def more_options(self) -> dict[str, Any]:
        return {"longest_output": self.longest_output}

    @staticmethod
    def load_tokenizers(directory: Path, options: TextsOutOptions) -> TokenizerPair:
        """The tokenizers of a model directory."""
        check_in_range(f"{directory / CONFIG}: options.longest_output", options.longest_output, at_least=1)
        return TokenizerPair.load(directory / TOKENIZERS)

    def save_files(self, directory: Path) -> None:
        self.tokenizers.save(directory / TOKENIZERS)

    def outputs_of(self, part: P) -> list[str]:
        return self._texts(part)

    def _texts(self, part: P, decoding: DecodingConfig | None = None) -> list[str]:
        return texts_of(self.write_texts(part, decoding))


def texts_of(outputs: Sequence[TextOutput]) -> list[str]:
    """Their texts."""
    return [output.text for output in outputs]
