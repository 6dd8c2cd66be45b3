"""The base of tasks that write a text for every item: translation, transcription, captioning and answering."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.metrics import metric_names
from sightline.core.modes import evaluating
from sightline.core.precision import Precision
from sightline.data.spaced import at_least_one
from sightline.models.inference import at_precision
from sightline.parts.heads import lazy_heads
from sightline.parts.positions import position_limit
from sightline.tasks.outcomes import Costs
from sightline.tasks.run import RunConfig
from sightline.tasks.saved import Options
from sightline.tasks.task import D
from sightline.tasks.texts_out.costs import state_bytes_after, writing_costs
from sightline.tasks.texts_out.likelihood import LIKELIHOODS, likelihood
from sightline.tasks.texts_out.scores import score_texts
from sightline.tasks.texts_out.scripts import metric_for
from sightline.tasks.texts_out.writer import P, TextWriter, texts_of
from sightline.tasks.trained import TrainedModelTask
from sightline.training.loss import Loss, cross_entropy, divergence
from sightline.training.measured import Measured
from sightline.training.state import TrainConfig, settled

TIMED = 20  # items


@dataclass(frozen=True)
class TextsOutOptions(Options):
    """Stored options: the most tokens of an output where decoding names no other limit."""

    longest_output: int


R = TypeVar("R", bound=RunConfig)
W = TypeVar("W", bound=TextWriter[Any])
B = TypeVar("B", bound=Any)  # batches with `longest`


class TextsOutTask(TrainedModelTask[D, P, R, W]):
    """Training and measurement of an encoder-decoder that writes a text for each item.

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

    def __init__(self, trained: W, data: str = "") -> None:
        super().__init__(trained, data)
        self.tokenizers = trained.tokenizers

    @property
    def longest_output(self) -> int:
        return self.trained.longest_output

    @property
    @abstractmethod
    def validation_size(self) -> int:
        """The number of items that a validation scores."""

    @abstractmethod
    def in_order(self, part: P) -> Iterable[Any]:
        """Every item in batches to score, however long; they can be iterated over again."""

    def fitting(self, batches: B) -> B:
        """The batches, if the encoder and the decoder have positions for the longest of their items.

        Raises:
            InputError: "the longest source has 1030 positions, but the model reads at most 1024: …".
        """
        source, target = batches.longest
        # The last token of a target is never read.
        for what, length, reader in (
            ("source", source, self.model.encoder),
            ("target", target - 1, self.model.decoder),
        ):
            most = position_limit(reader)
            if most is not None and length > most:
                raise InputError(
                    f"the longest {what} has {length} positions, but the model reads at most {most}: choose positions "
                    "that are not learned, or leave such items out"
                )
        return batches

    @classmethod
    def score(cls, outputs: Sequence[str], references: Sequence[str]) -> Measured:
        """The metrics of outputs."""
        return score_texts(outputs, references, cls.scored_as)

    @classmethod
    def metrics(cls, data: Any, run: Any) -> tuple[str, ...]:
        """The metrics, first the one that suits the targets (`scripts.metric_for`)."""
        first = [*cls.decided_by, metric_for(data.train.targets)]
        usual = ["exact_match", "chrf", "perplexity", "bleu", "loss", "token_accuracy"]
        return metric_names(*cls.scored_as, *LIKELIHOODS, first=[*first, *usual])

    def settled_training(self, config: TrainConfig) -> TrainConfig:
        """By token accuracy: on small data the loss is least where the model is not yet too sure of itself, and rises
        while texts still get better (LOG.md).
        """
        return settled(config, "token_accuracy")

    def loss(self, model: nn.Module, batch: Any) -> Loss:
        """Cross entropy of each next target token, given the source and the tokens before it (teacher forcing)."""
        with lazy_heads(model):
            logits = model(batch.source, batch.source_mask, batch.target[:, :-1])  # (B, T, V)
        labels, mask = batch.target[:, 1:], batch.target_mask[:, 1:]
        return cross_entropy(logits, labels, mask, epsilon=self.config.label_smoothing, smoothing=self.config.smoothing)

    def divergence(self, outputs: Tensor, reference: Tensor, batch: Any) -> Tensor:
        """How far the outputs for a batch are from those of another model, in nats, summed as the loss is."""
        return divergence(outputs, reference, batch.target_mask[:, 1:])

    def validator(self, part: P, share: float = 1.0) -> Callable[[nn.Module], Measured]:
        """A function of the model: the metrics of `measure`, on evenly spaced items and greedy outputs of some."""
        size = min(len(part), self.validation_size)
        scored = self.spaced(part, at_least_one(share * size))
        decoded = self.spaced(part, at_least_one(share * min(size, self.config.validation_outputs)))
        sources = self.trained.sources_of(decoded)
        batches = self.in_order(scored)

        def validate(model: nn.Module) -> Measured:
            measured = likelihood(model, batches, self.device)
            if not math.isfinite(measured.metrics["loss"]):
                return measured  # the outputs of a model that has diverged mean nothing
            scores = self.score(texts_of(self.trained.write(sources)), decoded.targets)
            return Measured(measured.metrics | scores.metrics, measured.items | scores.items)

        return validate

    def measure(self, part: P, decoding: Any = None) -> Measured:
        """The metrics of decoded outputs; loss, perplexity and token accuracy of the references under the model."""
        if not len(part.targets):
            raise InputError(f"no {self.unit} to evaluate on")
        outputs = self.trained.outputs_of(part, decoding)
        scores = self.score(outputs, part.targets)
        with evaluating(self.model):
            model = at_precision(self.model, "float32" if decoding is None else decoding.precision)
            measured = likelihood(model, self.in_order(part), self.device)
        return Measured(
            {**scores.metrics, **measured.metrics},
            {**scores.items, **measured.items},
            tuple(outputs),
            tuple(part.targets),
            scores.details,
        )

    def costs(self, part: P) -> Costs:
        return writing_costs(self.trained, part, self.spaced(part, TIMED), self.positions_are)

    def compile_steps(self, precision: Precision = "float32", beams: Sequence[int] = (1,)) -> tuple[int, ...]:
        return self.trained.compile_ahead(precision, beams)

    def state_bytes_after(self, length: int) -> int:
        """Bytes of the decoder's state after `length` tokens of a source and `length` tokens of a target."""
        if self.source.accepts != "tokens":
            return super().state_bytes_after(length)
        return state_bytes_after(self.trained, length)

    def describe(self, data: D) -> dict[str, Any]:
        batches: Any = self.batches(data.train, seed=0)
        return {"tokens_per_epoch": batches.tokens, "batches_per_epoch": len(batches)}

    def lower_inputs(self) -> None:
        self.tokenizers.source.lower_first = self.tokenizers.target.lower_first = True

    def more_options(self) -> dict[str, Any]:
        return {"longest_output": self.trained.longest_output}
