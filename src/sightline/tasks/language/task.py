"""Language models of running text: trained on documents, measured by code length, used to continue prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

from torch import Tensor, nn

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.metrics import Baseline, metric_names
from sightline.core.precision import Precision
from sightline.core.spelling import respelled
from sightline.data.spaced import at_least_one
from sightline.data.text.batches import Lanes, PackedRows, TextBatch, TextBatches
from sightline.data.text.corpus import TextCorpus
from sightline.data.text.part import TextPart
from sightline.data.tokens.text import TextTokenizer
from sightline.models.stateful import StatefulDecoder
from sightline.parts.heads import lazy_heads
from sightline.tasks.language.baselines import code_lengths
from sightline.tasks.language.config import LanguageRun, check_causal
from sightline.tasks.language.generation import NEW_TOKENS, Generated, GenerationConfig, OnText
from sightline.tasks.language.language_model import LanguageModel
from sightline.tasks.language.likelihood import LIKELIHOODS, items_sha256
from sightline.tasks.language.opened import open_text, stretches
from sightline.tasks.language.planted import planted_texts
from sightline.tasks.predicting import in_python
from sightline.tasks.text_inputs import text_front_end
from sightline.tasks.trained import TrainedModelTask
from sightline.training.loss import Loss, cross_entropy, divergence
from sightline.training.measured import Measured


@final
class LanguageTask(TrainedModelTask[TextCorpus, TextPart, LanguageRun, LanguageModel]):
    """Training and measurement of a language model.

    With `bptt="stateful"` an untrained task's `model` is the decoder in a `StatefulDecoder`, so that a checkpoint has
    the state that the next batch begins with; the decoder is saved, measured and used.
    """

    name = "language"
    form = "decoder"
    unit = "documents"
    Run: ClassVar[type[LanguageRun]] = LanguageRun
    Trained = LanguageModel
    opened_by = staticmethod(open_text)
    plant = planted_texts
    accepts_decoding = True
    measures_outputs = False
    reads_texts = True
    continues_prompts = True
    same_in_comparison = ("tokenizer.kind", "tokenizer.size")
    measured_by = ("stride", "evaluate")
    counted = "tokens"

    def __init__(self, trained: LanguageModel, data: str = "") -> None:
        super().__init__(trained, data)
        self.decoder, self.tokenizer = trained.model, trained.tokenizer

    @property
    def longest_output(self) -> int:
        return NEW_TOKENS

    @classmethod
    def check_architecture(cls, arch: str) -> None:
        check_causal(arch, cls.architectures())
        super().check_architecture(arch)

    @classmethod
    def build(cls, data: TextCorpus, run: LanguageRun, *, tokenizer: TextTokenizer | None = None) -> LanguageTask:
        """See `Task.build`; the `tokenizer` of another task on the same text may be given."""
        data.check()
        config = run.settings
        cls.check_architecture(config.arch)
        tokenizer = tokenizer or config.tokenizer.learn(data.train)
        config, model = cls.draw(config, (text_front_end(config.front_end, tokenizer.size), tokenizer.size), run)
        task = cls(LanguageModel(config, model, tokenizer), cls.trained_on(data))
        if config.bptt == "stateful":
            task.model = StatefulDecoder(model, config.rows, config.context)
        return task

    @classmethod
    def trained_on(cls, data: TextCorpus) -> str:
        size = f"{number_of(data.train.documents, 'document')} of {number_of(data.train.size, 'byte')}"
        return f"{data.name}: {size}, sha256 of the data {data.sha256}"

    @classmethod
    def build_prepared(cls, data: TextCorpus, run: LanguageRun, directory: Path) -> LanguageTask:
        """`build`; the tokenizer is left in the directory, for all trainings with the same settings for it."""
        return cls.build(data, run, tokenizer=run.settings.tokenizer.prepared(data.train, directory))

    @classmethod
    def metrics(cls, data: TextCorpus, run: LanguageRun) -> tuple[str, ...]:
        return metric_names(*LIKELIHOODS, first=["bits_per_byte", "perplexity"])

    def batches(self, part: TextPart, *, seed: int) -> TextBatches:
        """Packed rows; for stateful training, lanes that continue from batch to batch."""
        config = self.config
        kind = Lanes if config.bptt == "stateful" else PackedRows
        size = max(config.group_bytes, 64 * config.rows * config.context)  # of many batches, so that few are short
        return kind(part, self.tokenizer, length=config.context, rows=config.rows, seed=seed, group_bytes=size)

    def loss(self, model: nn.Module, batch: TextBatch) -> Loss:
        """Cross entropy of each next token, given those before it in its document."""
        with lazy_heads(model):
            logits, _ = model(batch.tokens, None, batch.mask, batch.starts)  # (B, T, V)
        return cross_entropy(logits, batch.labels, batch.mask)

    def divergence(self, outputs: Any, reference: Any, batch: TextBatch) -> Tensor:
        """How far the outputs for a batch are from those of another model, in nats, summed as the loss is."""
        return divergence(outputs[0], reference[0], batch.mask)

    def validator(self, part: TextPart, share: float = 1.0) -> Callable[[nn.Module], Measured]:
        """A function of the model: loss, bits per byte and perplexity of `validation_bytes`, evenly spaced."""
        most = at_least_one(share * min(part.size, self.config.validation_bytes))
        held = list(part.numbered(part.sample(most), most))
        return lambda model: self.trained.score(iter(held), self.config).measured()

    def measure(self, part: TextPart, decoding: Any = None) -> Measured:
        """Bits per byte, loss and perplexity of all of a part; `details` has the loss by position in the context."""
        if not part.size:
            raise InputError("no text to evaluate on")
        tally = self.trained.score(part.numbered(), self.config, "float32" if decoding is None else decoding.precision)
        return replace(tally.measured(), details=tally.details() | {"evaluated": self.config.evaluated})

    def baselines(self, train: TextPart, valid: TextPart, part: TextPart) -> list[Baseline]:
        return code_lengths(train, valid, part, lowercase=self.tokenizer.lowercase)

    def items_sha256(self, part: TextPart) -> str:
        return items_sha256(part.numbered(), self.tokenizer)

    def generate(
        self,
        prompts: Sequence[str],
        config: GenerationConfig | None = None,
        *,
        first: int = 0,
        on_text: OnText | None = None,
        draft: LanguageTask | None = None,
    ) -> list[Generated]:
        """Continuations of prompts, see `LanguageModel.generate`; `draft` is a task whose model drafts."""
        with respelled(in_python):
            return self.continuations(prompts, config, first=first, on_text=on_text, draft=draft)

    def continuations(
        self,
        prompts: Sequence[str],
        config: GenerationConfig | None = None,
        *,
        first: int = 0,
        on_text: OnText | None = None,
        draft: LanguageTask | None = None,
    ) -> list[Generated]:
        """`generate` for the command line: messages name flags."""
        other = None if draft is None else draft.trained
        return self.trained.generate(prompts, config or GenerationConfig(), first=first, on_text=on_text, draft=other)

    def compile_steps(self, precision: Precision = "float32", beams: Sequence[int] = (1,)) -> tuple[int, ...]:
        return self.trained.compile_ahead(precision, beams)

    def state_bytes_after(self, length: int) -> int:
        return self.trained.state_bytes_after(length)

    def inputs_of(self, part: TextPart, most: int) -> list[str]:
        return stretches(self.trained, part, most)

    def describe(self, data: TextCorpus) -> dict[str, Any]:
        return {
            "bytes": {part.name: part.size for part in (data.train, data.valid, data.test)},
            "vocabulary": self.tokenizer.size,
            "tokenizer": self.tokenizer.note or self.tokenizer.kind,
            "rows": self.config.rows,
        }
