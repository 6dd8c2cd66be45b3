"""Language models of running text: trained on documents, measured by code length, used to continue prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

from torch import nn

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.core.metrics import Baseline, metrics_of
from sightline.data.spaced import at_least_one
from sightline.data.text.batches import Lanes, PackedRows, TextBatch, TextBatches
from sightline.data.text.corpus import TextCorpus
from sightline.data.text.part import TextPart
from sightline.data.tokens.text import TextTokenizer
from sightline.decoding.engine import DecodingConfig
from sightline.models.decoder import Decoder
from sightline.models.stateful import StatefulDecoder
from sightline.models.store import LoadedModel
from sightline.tasks.card import Card
from sightline.tasks.language.baselines import code_lengths
from sightline.tasks.language.config import LanguageConfig, LanguageRun
from sightline.tasks.language.generation import Generated, GenerationConfig, OnText
from sightline.tasks.language.language_model import LanguageModel
from sightline.tasks.language.likelihood import LIKELIHOODS
from sightline.tasks.outcomes import Answer, Measured
from sightline.tasks.task import Task
from sightline.tasks.text_inputs import text_front_end
from sightline.training.loss import Loss, cross_entropy

BOTH_WAYS = ("bidirectional", "encoder", "bert", "bilstm", "bigru", "birnn")  # names that people try


@final
class LanguageTask(Task[TextCorpus, TextPart, LanguageRun]):
    """A causal model with its tokenizer; `data` describes its training data in a line.

    With `bptt="stateful"` an untrained task's `model` is the decoder in a `StatefulDecoder`, so that a checkpoint has
    the state that the next batch begins with; the decoder is saved, measured and used.

    language_model: the decoder with its tokenizer, which scores texts and continues prompts
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

    def __init__(
        self, config: LanguageConfig, model: Decoder | StatefulDecoder, tokenizer: TextTokenizer, *, data: str = ""
    ) -> None:
        self.config = config
        self.model = model
        self.tokenizer = tokenizer
        self.data = data
        self.decoder = model.model if isinstance(model, StatefulDecoder) else model
        self.language_model = LanguageModel(self.decoder, tokenizer)

    @classmethod
    def check_architecture(cls, arch: str) -> None:
        if arch in BOTH_WAYS:
            raise InputError(
                f"{arch!r} sees what it should predict: language modelling needs a causal architecture, one of "
                f"{', '.join(cls.architectures())}",
                where="arch",
            )
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
        if config.bptt == "stateful":
            model = StatefulDecoder(model, config.rows, config.context)
        return cls(config, model, tokenizer, data=cls.trained_on(data))

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

    def validator(self, part: TextPart, share: float = 1.0) -> Callable[[nn.Module], dict[str, float]]:
        """A function of the model: loss, bits per byte and perplexity of `validation_bytes`, evenly spaced."""
        most = at_least_one(share * min(part.size, self.config.validation_bytes))
        held = list(part.numbered(part.sample(most), most))
        return lambda model: self.language_model.score(iter(held), self.config).measured().metrics

    def measure(self, part: TextPart, decoding: Any = None) -> Measured:
        """Bits per byte, loss and perplexity of all of a part; `details` has the loss by position in the context."""
        if not part.size:
            raise InputError("no text to evaluate on")
        tally = self.language_model.score(part.numbered(), self.config)
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
        return self.language_model.generate(prompts, config or GenerationConfig(), first=first, on_text=on_text)

    def answer_list(self, inputs: list[str], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        generations = self.generate(inputs, GenerationConfig(decoding or DecodingConfig()), first=first)
        return [one.answer() for one in generations]

    def predict_list(self, inputs: list[str], decoding: DecodingConfig | None = None) -> list[str]:
        """A continuation of each text; greedy without `decoding`."""
        return [answer.text for answer in self.answer_list(inputs, decoding)]

    def outputs_of(self, part: TextPart) -> list[str]:
        return self.predict_list(list(part.texts()))

    def state_bytes_after(self, length: int) -> int:
        return self.language_model.state_bytes_after(length)

    def facts(self) -> dict[str, str]:
        config = self.config
        kinds = {"byte": "bytes", "char": "characters", "bpe": "byte-pair encoding", "unigram": "unigram pieces"}
        return {"tokens": f"{kinds[self.tokenizer.kind]}, {self.tokenizer.size:,}", "context": str(config.context)}

    def describe(self, data: TextCorpus) -> dict[str, Any]:
        parts = (data.train, data.valid, data.test)
        return {
            "bytes": {part.name: part.size for part in parts},
            "vocabulary": self.tokenizer.size,
            "tokenizer": self.tokenizer.note or self.tokenizer.kind,
            "rows": self.config.rows,
        }

    @property
    def source(self) -> FrontEndConfig:
        return self.language_model.source(self.config.front_end)

    @property
    def outputs(self) -> int:
        return self.tokenizer.size

    @property
    def stored_model(self) -> nn.Module:
        return self.decoder

    def card(self) -> Card:
        return self.language_model.card(self.config.context)

    def save_files(self, directory: Path) -> None:
        self.language_model.save_tokenizer(directory)

    @classmethod
    def restore(cls, directory: Path, loaded: LoadedModel, config: LanguageConfig, options: Any) -> LanguageTask:
        model = LanguageModel.load(directory, loaded, config.front_end)
        return cls(config, model.decoder, model.tokenizer, data=options.data)
