"""Language models of running text: trained on documents, measured by code length, used to continue prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

from torch import Tensor, nn

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.metrics import Baseline, metrics_of
from sightline.data.spaced import at_least_one, spaced
from sightline.data.text.batches import Lanes, PackedRows, TextBatch, TextBatches
from sightline.data.text.corpus import TextCorpus
from sightline.data.text.part import TextPart
from sightline.data.tokens.text import TextTokenizer
from sightline.models.stateful import StatefulDecoder
from sightline.models.store import LoadedModel
from sightline.tasks.language.baselines import code_lengths
from sightline.tasks.language.config import LanguageConfig, LanguageRun, check_causal
from sightline.tasks.language.generation import Generated, GenerationConfig, OnText
from sightline.tasks.language.language_model import LanguageModel
from sightline.tasks.language.likelihood import LIKELIHOODS
from sightline.tasks.language.opened import open_text
from sightline.tasks.language.planted import planted_texts
from sightline.tasks.opened import OpenedInput
from sightline.tasks.outcomes import Measured
from sightline.tasks.planted import SIZES, Planted, PlantedSizes
from sightline.tasks.text_inputs import text_front_end
from sightline.tasks.trained import TrainedModelTask
from sightline.training.loss import Loss, cross_entropy, divergence

STRETCH_TOKENS = 64  # of a text that is looked at
MOST_BYTES = 1 << 20  # of a part that is read for it


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
    accepts_decoding = True
    reads_texts = True
    continues_prompts = True
    same_in_comparison = ("tokenizer.kind", "tokenizer.size")
    measured_by = ("stride", "evaluate")
    counted = "tokens"

    def __init__(self, trained: LanguageModel, data: str = "") -> None:
        super().__init__(trained, data)
        self.decoder, self.tokenizer = trained.model, trained.tokenizer

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
        sizes = text_front_end(config.front_end, tokenizer.size), tokenizer.size
        config, model = cls.draw(config, sizes, run)
        task = cls(LanguageModel(config, model, tokenizer), cls.trained_on(data))
        if config.bptt == "stateful":
            task.model = StatefulDecoder(model, config.rows, config.context)
        return task

    @classmethod
    def trained_on(cls, data: TextCorpus) -> str:
        part = data.train
        size = f"{number_of(part.documents, 'document')} of {number_of(part.size, 'byte')}"
        return f"{data.name}: {size}, sha256 of the data {data.sha256}"

    @classmethod
    def build_prepared(cls, data: TextCorpus, run: LanguageRun, directory: Path) -> LanguageTask:
        """`build`; the tokenizer is left in the directory, for all trainings with the same settings for it."""
        return cls.build(data, run, tokenizer=run.settings.tokenizer.prepared(data.train, directory))

    @classmethod
    def metrics(cls, data: TextCorpus, run: LanguageRun) -> tuple[str, ...]:
        known = metrics_of(*LIKELIHOODS)
        return tuple(dict.fromkeys(["bits_per_byte", "perplexity", *(metric.name for metric in known)]))

    def batches(self, part: TextPart, *, seed: int) -> TextBatches:
        """Packed rows; for stateful training, lanes that continue from batch to batch."""
        config = self.config
        kind = Lanes if config.bptt == "stateful" else PackedRows
        # A group has room for many batches, so that few of them are short.
        size = max(config.group_bytes, 64 * config.rows * config.context)
        return kind(part, self.tokenizer, length=config.context, rows=config.rows, seed=seed, group_bytes=size)

    def loss(self, model: nn.Module, batch: TextBatch) -> Loss:
        """Cross entropy of each next token, given those before it in its document."""
        logits, _ = model(batch.tokens, None, batch.mask, batch.starts)  # (B, T, V)
        return cross_entropy(logits, batch.labels, batch.mask)

    def divergence(self, outputs: Any, reference: Any, batch: TextBatch) -> Tensor:
        """How far the outputs for a batch are from those of another model, in nats, summed as the loss is."""
        return divergence(outputs[0], reference[0], batch.mask)

    def validator(self, part: TextPart, share: float = 1.0) -> Callable[[nn.Module], dict[str, float]]:
        """A function of the model: loss, bits per byte and perplexity of `validation_bytes`, evenly spaced."""
        most = at_least_one(share * min(part.size, self.config.validation_bytes))
        held = list(part.numbered(part.sample(most), most))
        return lambda model: self.trained.score(iter(held), self.config).measured().metrics

    def measure(self, part: TextPart, decoding: Any = None) -> Measured:
        """Bits per byte, loss and perplexity of all of a part; `details` has the loss by position in the context."""
        if not part.size:
            raise InputError("no text to evaluate on")
        tally = self.trained.score(part.numbered(), self.config)
        return replace(tally.measured(), details=tally.details() | {"evaluated": self.config.evaluated})

    def baselines(self, train: TextPart, valid: TextPart, part: TextPart) -> list[Baseline]:
        return code_lengths(train, valid, part)

    def generate(
        self,
        prompts: Sequence[str],
        config: GenerationConfig | None = None,
        *,
        first: int = 0,
        on_text: OnText | None = None,
    ) -> list[Generated]:
        """Continuations of prompts, see `LanguageModel.generate`."""
        return self.trained.generate(prompts, config or GenerationConfig(), first=first, on_text=on_text)

    def state_bytes_after(self, length: int) -> int:
        return self.trained.state_bytes_after(length)

    def open_items(self, part: TextPart, most: int) -> Iterator[OpenedInput]:
        for text in self._stretches(part, most):
            yield self.open_input(text)

    def plant(self, part: TextPart, seed: int, sizes: PlantedSizes = SIZES) -> list[Planted]:
        return planted_texts(self, self._stretches(part, 1000), seed, sizes)

    def _stretches(self, part: TextPart, most: int) -> list[str]:
        """Evenly spaced stretches of the part's texts, each of at most half a context, and of 64 tokens."""
        length = min(STRETCH_TOKENS, max(1, self.config.context // 2))
        found = []
        for text in part.texts() if part.size <= MOST_BYTES else part.fragments(part.sample(MOST_BYTES), MOST_BYTES):
            ids = self.tokenizer.encode(text if isinstance(text, str) else text.text)
            found += [self.tokenizer.decode(ids[first : first + length]) for first in range(0, len(ids), length)]
        found = [text for text in found if text.strip()]
        return [found[number] for number in spaced(len(found), most)] if found else []

    def open_input(self, given: Any) -> OpenedInput:
        return open_text(self.trained, given)

    def describe(self, data: TextCorpus) -> dict[str, Any]:
        parts = (data.train, data.valid, data.test)
        return {
            "bytes": {part.name: part.size for part in parts},
            "vocabulary": self.tokenizer.size,
            "tokenizer": self.tokenizer.note or self.tokenizer.kind,
            "rows": self.config.rows,
        }

    @property
    def stored_model(self) -> nn.Module:
        return self.decoder

    @classmethod
    def restore(cls, directory: Path, loaded: LoadedModel, config: LanguageConfig, options: Any) -> LanguageTask:
        return cls(LanguageModel.restore(directory, loaded, config), options.data)
