"""Language models of running text: trained on documents, measured by code length, used to continue prompts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from torch import nn

from sightline.core.config import encode
from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.core.metrics import Baseline, metrics_of
from sightline.core.modes import evaluating
from sightline.core.state import nbytes
from sightline.data.spaced import at_least_one
from sightline.data.text.batches import Lanes, PackedRows, TextBatch, TextBatches
from sightline.data.text.corpus import TextCorpus
from sightline.data.text.part import TextPart
from sightline.data.text.positions import stretches
from sightline.data.text.readers import Fragment
from sightline.data.text.windows import windows
from sightline.data.tokens.text import TextTokenizer
from sightline.decoding.engine import DecodingConfig
from sightline.models.decoder import Decoder
from sightline.models.stateful import StatefulDecoder
from sightline.models.store import CONFIG, LoadedModel
from sightline.tasks.card import Card
from sightline.tasks.language.baselines import code_lengths
from sightline.tasks.language.config import LanguageConfig, LanguageRun
from sightline.tasks.language.generation import Generated, GenerationConfig, OnText, generate
from sightline.tasks.language.likelihood import LIKELIHOODS, Scored, Tally, score_carried, score_windows
from sightline.tasks.not_files import check_not_paths
from sightline.tasks.outcomes import Answer, Measured
from sightline.tasks.task import Task
from sightline.tasks.text_inputs import in_tokens, text_front_end
from sightline.training.loss import Loss, cross_entropy

TOKENIZER = "tokenizer.json"
BOTH_WAYS = ("bidirectional", "encoder", "bert", "bilstm", "bigru", "birnn")  # names that people try
_ROWS = 64  # windows read at a time, of 128 positions


@final
class LanguageTask(Task[TextCorpus, TextPart, LanguageRun]):
    """A causal model with its tokenizer; `data` describes its training data in a line.

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

    def __init__(
        self, config: LanguageConfig, model: Decoder | StatefulDecoder, tokenizer: TextTokenizer, *, data: str = ""
    ) -> None:
        self.config = config
        self.model = model
        self.tokenizer = tokenizer
        self.data = data

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
        tokenizer = tokenizer or TextTokenizer.train(data.train, **encode(config.tokenizer))
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
        config = run.settings.tokenizer
        name = f"text-{config.kind}-{config.size}-{config.lowercase}-{config.sample_bytes}.json"
        place = directory / name
        if not place.exists():
            beside = place.with_name(f".{name}.{os.getpid()}")
            TextTokenizer.train(data.train, **encode(config)).save(beside)
            os.replace(beside, place)
        return cls.build(data, run, tokenizer=TextTokenizer.load(place))

    @property
    def decoder(self) -> Decoder:
        """The model itself, whose state is a value."""
        return self.model.model if isinstance(self.model, StatefulDecoder) else self.model

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

        def validate(model: nn.Module) -> dict[str, float]:
            tally = Tally(self.tokenizer)
            for scored in self._scored(iter(held)):
                tally.add(scored)
            return tally.measured().metrics

        return validate

    def _scored(self, numbered: Iterator[tuple[int, Fragment]]) -> Iterator[Scored]:
        """The decoder's scores of text, windowed or carried as the config says."""
        config = self.config
        spans = stretches(numbered, self.tokenizer)
        if config.carried:
            return score_carried(self.decoder, spans, self.device)
        rows = max(1, _ROWS * 128 // config.context)
        spread = windows(spans, config.context, config.stride or config.context)
        return score_windows(self.decoder, spread, rows, self.device)

    def measure(self, part: TextPart, decoding: Any = None) -> Measured:
        """Bits per byte, loss and perplexity of all of a part; `details` has the loss by position in the context."""
        if not part.size:
            raise InputError("no text to evaluate on")
        tally = Tally(self.tokenizer)
        with evaluating(self.model):
            for scored in self._scored(part.numbered()):
                tally.add(scored)
        nats, labels, size = tally.rows.T
        config = self.config
        details = {
            "by_position": tally.by_position(),
            "nats": float(nats.sum()),
            "tokens": int(labels.sum()),
            "bytes": int(size.sum()),
            "evaluated": "each document once, the state carried along"
            if config.carried
            else f"windows of {config.context} positions, {config.stride or config.context} apart",
        }
        return replace(tally.measured(), details=details)

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
        """Continuations of prompts (see `generation.generate`); dropout is off.

        Raises:
            InputError: what `generation.generate` and `check_not_paths` raise.
        """
        check_not_paths(prompts)
        with evaluating(self.model):
            chosen = config or GenerationConfig()
            several = [prompts] if isinstance(prompts, str) else prompts
            return generate(self.decoder, self.tokenizer, several, chosen, first=first, on_text=on_text)

    def answer_list(self, inputs: list[str], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        generations = self.generate(inputs, GenerationConfig(decoding or DecodingConfig()), first=first)
        return [
            Answer(
                one.text,
                {"prompt": one.prompt, "output": one.text, "score": one.score, "finished": one.ended != "limit"},
                one.ended != "limit",
            )
            for one in generations
        ]

    def predict_list(self, inputs: list[str], decoding: DecodingConfig | None = None) -> list[str]:
        """A continuation of each text; greedy without `decoding`."""
        return [answer.text for answer in self.answer_list(inputs, decoding)]

    def outputs_of(self, part: TextPart) -> list[str]:
        return self.predict_list(list(part.texts()))

    @torch.no_grad()
    def state_bytes_after(self, length: int) -> int:
        """Bytes of the state after `length` tokens of text."""
        tokens = torch.zeros(1, length, dtype=torch.long, device=self.device)
        with evaluating(self.model):
            _, state = self.decoder(tokens, self.decoder.initial_state(1))
        return nbytes(state)

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
        return text_front_end(self.config.front_end, self.tokenizer.size)

    @property
    def outputs(self) -> int:
        return self.tokenizer.size

    @property
    def stored_model(self) -> nn.Module:
        return self.decoder

    def card(self) -> Card:
        note = f", {self.tokenizer.note}" if self.tokenizer.note else ""
        return Card(
            "what comes next in a text",
            "text-generation",
            'model.predict("Once upon a time")',
            {
                "Tokens": f"{self.tokenizer.kind}, {self.tokenizer.size:,}{note}",
                "Trained in rows of": number_of(self.config.context, "token"),
            },
            ", `tokenizer.json` the vocabulary",
        )

    def save_files(self, directory: Path) -> None:
        self.tokenizer.save(directory / TOKENIZER)

    @classmethod
    def restore(cls, directory: Path, loaded: LoadedModel, config: LanguageConfig, options: Any) -> LanguageTask:
        tokenizer = TextTokenizer.load(directory / TOKENIZER)
        if not isinstance(loaded.model, Decoder) or loaded.source.accepts not in config.reads:
            raise InputError(f"a model of {loaded.source} does not read text", where=directory / CONFIG)
        if (text_front_end(config.front_end, tokenizer.size), tokenizer.size) != (loaded.source, loaded.outputs):
            raise InputError(
                f"a vocabulary of {tokenizer.size} tokens, but the model has {in_tokens(loaded.source)} "
                f"and {loaded.outputs}",
                where=directory / TOKENIZER,
            )
        return cls(config, loaded.model, tokenizer, data=options.data)
