"""What a user chooses about a language model and its text."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from sightline.core.errors import InputError
from sightline.data.text.batches import GROUP_BYTES
from sightline.data.text.corpus import TextCorpus, TextSplit, load_text
from sightline.data.tokens.text import TextKind
from sightline.models import LANGUAGE_MODELS, SizedConfig
from sightline.models.language_model import LanguageModelConfig
from sightline.models.recurrent_language_model import RecurrentLanguageModelConfig
from sightline.tasks.rates import RATES
from sightline.tasks.run import RunConfig, part_of, values_of
from sightline.training.optim import OptimConfig

Bptt = Literal["rows", "stateful"]
Evaluate = Literal["auto", "windows", "carried"]


@dataclass(frozen=True)
class TextConfig:
    """Which text to train on; the fields are the arguments of `load_text`, `data_seed` its `seed`."""

    data: str = ""
    valid: str | None = None
    test: str | None = None
    column: str = "text"
    split: TextSplit = "auto"
    valid_share: float = 0.1
    test_share: float = 0.1
    limit: int | None = None
    skip_bad: bool = False
    data_seed: int = 0

    def load(self) -> TextCorpus:
        """The corpus; raises what `load_text` raises, and `InputError` where no data is named."""
        if not self.data:
            raise InputError("no data named: give a text file, a folder, a glob or builtin:stdlib", where="--data")
        options = values_of(self)
        return load_text(options.pop("data"), seed=options.pop("data_seed"), **options)


@dataclass(frozen=True)
class TextTokenizerConfig:
    """How text becomes tokens: `kind`, at most `size` tokens, learned from at most about `sample_bytes` of training."""

    kind: TextKind = "byte"
    size: int = 8000
    lowercase: bool = False
    sample_bytes: int = 1 << 24


@dataclass(frozen=True)
class LanguageConfig:
    """What is trained on running text: architecture and sizes, tokens, rows, and what a loss is measured with.

    context: positions of a training row, and of a window that is evaluated
    batch_tokens: positions of a training batch, in rows of `context`
    bptt: "rows" packs documents into rows and begins each with an empty state; "stateful" reads on where the last batch
        ended, its state carried over and gradients cut off (truncated back-propagation through time), which needs a
        model whose state is of fixed size
    evaluate: "windows" measures in windows of `context` positions, `stride` apart; "carried" reads each document once,
        the state carried along; "auto" is carried after stateful training and windows otherwise
    stride: positions that a window scores after a document's first; None = `context`, windows side by side
    validation_bytes: how much of the validation part a validation scores, evenly spaced
    group_bytes: text that is shuffled at a time, and held in memory
    """

    arch: str = "transformer"
    model: SizedConfig = LANGUAGE_MODELS["transformer"]
    tokenizer: TextTokenizerConfig = field(default_factory=TextTokenizerConfig)
    context: int = 128
    batch_tokens: int = 2048
    bptt: Bptt = "rows"
    evaluate: Evaluate = "auto"
    stride: int | None = None
    validation_bytes: int = 200_000
    group_bytes: int = GROUP_BYTES

    def __post_init__(self) -> None:
        if self.arch in LANGUAGE_MODELS and type(self.model) is not type(LANGUAGE_MODELS[self.arch]):
            raise InputError(f"{type(self.model).__name__} is not the config of {self.arch!r}", where="model")
        for name in ("context", "batch_tokens", "validation_bytes", "group_bytes"):
            if getattr(self, name) < 1:
                raise InputError(f"must be at least 1, found {getattr(self, name)}", where=name)
        if self.stride is not None and not 1 <= self.stride <= self.context:
            raise InputError(f"must be between 1 and the context {self.context}, found {self.stride}", where="stride")

    @property
    def rows(self) -> int:
        """Rows of a training batch."""
        return max(1, self.batch_tokens // self.context)

    @property
    def carried(self) -> bool:
        """Whether evaluation carries the state along each document."""
        return self.evaluate == "carried" or (self.evaluate == "auto" and self.bptt == "stateful")

    @classmethod
    def preset(cls, arch: str, **changes: Any) -> LanguageConfig:
        """The named architecture at a size for text: d_model 128 and four layers, recurrences two wider ones."""
        model: Any = LANGUAGE_MODELS[arch]
        if isinstance(model, RecurrentLanguageModelConfig):
            model = replace(model, d_model=192, dropout=0.0)
        elif isinstance(model, LanguageModelConfig):
            model = replace(model, d_model=128, layers=3 if len(model.mixers) == 3 else 4, dropout=0.0)
        own: dict[str, Any] = {"arch": arch, "model": model, **changes}
        return cls(**own)


def language_optim(arch: str) -> OptimConfig:
    """The optimizer's settings for an architecture on text.

    The Transformer's rate is that of `benchmarks/verify_shakespeare.py`, where no other was tried; what stands in its
    place has the same, and the recurrences the rates that they have on pairs.
    """
    rate = RATES[arch] if arch in ("rnn", "lstm", "gru") else 2e-3
    return OptimConfig(lr=rate, beta2=0.99, weight_decay=0.1, final_lr=0.1)


@dataclass(frozen=True)
class LanguageRun(RunConfig, LanguageConfig, TextConfig):
    """All of a language model's training."""

    Data: ClassVar[type] = TextConfig

    task: str = "language"

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)
        LanguageConfig.__post_init__(self)

    @property
    def corpus(self) -> TextConfig:
        """Which text."""
        return part_of(TextConfig, self)

    @property
    def settings(self) -> LanguageConfig:
        """Which model, and how text becomes batches."""
        return part_of(LanguageConfig, self)
