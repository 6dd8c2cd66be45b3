"""Settings of a language model and its text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, final

from sightline.core.config import encode
from sightline.core.errors import InputError
from sightline.core.settings import CheckedConfig, flat, key
from sightline.data.text.batches import GROUP_BYTES
from sightline.data.text.corpus import TextCorpus, TextSplit, load_text
from sightline.data.text.part import TextPart
from sightline.data.text.rows import check_column
from sightline.data.tokens.text import TextTokenizer
from sightline.data.tokens.tokenizer import byte_pairs_for
from sightline.models import LANGUAGE_MODELS, SizedConfig
from sightline.models.language_model import LanguageModelConfig
from sightline.models.recurrent_language_model import RecurrentLanguageModelConfig
from sightline.tasks.run import RATES, FilesConfig, RunConfig, TaskConfig, log_notes
from sightline.training.optim import OptimConfig

Bptt = Literal["rows", "stateful"]
Evaluate = Literal["auto", "windows", "carried"]
PER_TOKEN = 2000  # bytes of training text for each token of a vocabulary by default (docs/defaults.md)
BOTH_WAYS = ("bidirectional", "encoder", "bert", "bilstm", "bigru", "birnn")  # names that people try


@final
@dataclass(frozen=True)
class RunningTextConfig(FilesConfig):
    """The text to train on; see `load_text`."""

    column: str = key("text", "Column of the texts in a table.")
    split: TextSplit = key("auto", "How text is divided into parts.")
    valid_share: float = key(0.1, "Share of the text for validation.")
    test_share: float = key(0.1, "Share of the text for the test.")

    def load(self) -> TextCorpus:
        """The corpus; raises what `load_text` raises, and `InputError` where no data is named."""
        data = self.named("a text file, a folder, a glob or builtin:stdlib")
        if self.column != RunningTextConfig.column:
            check_column(data, self.column)
        shares = {"split": self.split, "valid_share": self.valid_share, "test_share": self.test_share}
        return load_text(data, column=self.column, skip_bad=self.skip_bad, **shares, **self.division)

    def read(self) -> TextPart:
        """All documents of the data as one part; raises what `load_text` raises; logs notes."""
        alone = {"valid_share": 0.0, "test_share": 0.0}
        corpus = load_text(self.data, column=self.column, limit=self.limit, skip_bad=self.skip_bad, **alone)
        log_notes(self.data, corpus.notes)
        return corpus.train


@final
@dataclass(frozen=True)
class TextTokenizerConfig(CheckedConfig):
    """Tokenizer of running text."""

    kind: Literal["auto", "byte", "char", "bpe", "unigram"] = key(
        "auto",
        f"Tokenizer; auto: bpe with a token for each {PER_TOKEN} bytes of training text; for little of it byte, or "
        "char with lowercase.",
    )
    size: int = key(8000, "Maximum size of the vocabulary, for bpe and unigram.", at_least=1)
    lowercase: bool = key(False, "Lower-case the text before it is split into tokens.")
    sample_bytes: int = key(1 << 24, "Bytes of training text, about, that the vocabulary is learned from.", at_least=1)

    def settled(self, part: TextPart) -> TextTokenizerConfig:
        """The kind and the size for this training text, where the kind is "auto"."""
        if self.kind != "auto":
            return self
        size = byte_pairs_for(part.size, PER_TOKEN)
        if size:
            return replace(self, kind="bpe", size=min(self.size, size))
        return replace(self, kind="char" if self.lowercase else "byte")  # bytes have no case

    def learn(self, part: TextPart) -> TextTokenizer:
        """The tokenizer of training text."""
        return TextTokenizer.train(part, **encode(self.settled(part)))

    def prepared(self, part: TextPart, directory: Path) -> TextTokenizer:
        """The same, learned once for all calls with the same settings and the same directory, where it is left."""
        place = directory / f"text-{self.kind}-{self.size}-{self.lowercase}-{self.sample_bytes}.json"
        if not place.exists():
            self.learn(part).save(place)
        return TextTokenizer.load(place)


@final
@dataclass(frozen=True)
class LanguageConfig(TaskConfig):
    """Settings of a language model: architecture and sizes, tokens, rows, and the measurement of its loss.

    bptt: "rows" packs documents into rows and begins each with an empty state; "stateful" continues where the last
        batch ended, its state carried over and gradients cut off (truncated back-propagation through time), which needs
        a model whose state has a fixed size
    evaluate: "windows" measures in windows of `context` positions, `stride` apart; "carried" reads each document once,
        the state carried along; "auto" is carried after stateful training and windows otherwise
    """

    form = "decoder"

    arch: str = key("transformer", "Architecture.")
    model: SizedConfig = key(LANGUAGE_MODELS["transformer"], "Sizes of the model.")
    tokenizer: TextTokenizerConfig = key(TextTokenizerConfig(), "Tokenizer.")
    context: int = key(128, "Positions of a training row, and of a window that is evaluated.", at_least=1)
    batch_tokens: int = key(2048, "Positions of a training batch, in rows of `context`.", at_least=1)
    bptt: Bptt = key("rows", "Begin each row with an empty state, or carry the state from batch to batch.")
    evaluate: Evaluate = key("auto", "Measure in windows, or carry the state along each document.")
    stride: int | None = key(
        None, "Positions that a window scores after a document's first; null: `context`.", at_least=1
    )
    validation_bytes: int = key(200_000, "Bytes of the validation part that a validation scores.", at_least=1)
    group_bytes: int = key(GROUP_BYTES, "Bytes of text that are shuffled at a time, and kept in memory.", at_least=1)

    reads = ("tokens",)  # what it writes is what it reads next

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride is not None and self.stride > self.context:
            raise InputError(f"must be between 1 and the context {self.context}, found {self.stride}", where="stride")

    @property
    def rows(self) -> int:
        """Rows of a training batch."""
        return max(1, self.batch_tokens // self.context)

    @property
    def carried(self) -> bool:
        """Whether evaluation carries the state along each document."""
        return self.evaluate == "carried" or (self.evaluate == "auto" and self.bptt == "stateful")

    @property
    def step(self) -> int:
        """Positions from one evaluated window to the next."""
        return self.stride or self.context

    @property
    def evaluated(self) -> str:
        """How text is read when it is measured, in words."""
        if self.carried:
            return "each document once, the state carried along"
        return f"windows of {self.context} positions, {self.step} apart"

    @classmethod
    def own(cls, arch: str) -> dict[str, Any]:
        """A size for text: d_model 128 and four layers, recurrences two wider ones."""
        model: Any = LANGUAGE_MODELS[arch]
        if isinstance(model, RecurrentLanguageModelConfig):
            return {"model": replace(model, d_model=192, dropout=0.0)}
        if isinstance(model, LanguageModelConfig):
            return {"model": replace(model, d_model=128, layers=3 if len(model.mixers) == 3 else 4, dropout=0.0)}
        return {}

    @classmethod
    def optimizer(cls, arch: str) -> OptimConfig:
        """The Transformer's rate is that of `benchmarks/verify_shakespeare.py`, where no other was tried.

        Mechanisms in its place have the same rate; the recurrences have their rates on pairs.
        """
        rate = RATES[arch] if arch in ("rnn", "lstm", "gru") else 2e-3
        return OptimConfig(lr=rate, beta2=0.99, weight_decay=0.1, final_lr=0.1)


@final
@dataclass(frozen=True)
class LanguageRun(RunConfig):
    """The configuration of a language model's training."""

    corpus: RunningTextConfig = flat(RunningTextConfig())
    settings: LanguageConfig = flat(LanguageConfig())
    task: str = "language"


def check_causal(arch: str, names: Iterable[str]) -> None:
    """Refuse architectures that people try and that see the future; `names` are those that do not."""
    if arch in BOTH_WAYS:
        raise InputError(
            f"{arch!r} sees what it should predict: language modelling needs a causal architecture, one of "
            f"{', '.join(names)}",
            where="arch",
        )
