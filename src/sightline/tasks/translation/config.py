"""What a user chooses about a translation model and its data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from sightline.core.config import nearest
from sightline.core.errors import InputError
from sightline.data.pairs.corpus import PairCorpus, load_corpus
from sightline.data.tokens.tokenizer import TokenizerKind
from sightline.models import ARCHITECTURES, ModelConfig
from sightline.tasks.run import RunConfig, part_of, values_of
from sightline.training.loss import Smoothing


@dataclass(frozen=True)
class DataConfig:
    """Which pairs to train on; the fields are the arguments of `load_corpus`, `data_seed` its `seed`."""

    data: str = ""
    valid: str | None = None
    test: str | None = None
    source_column: str | None = None
    target_column: str | None = None
    limit: int | None = None
    lowercase: bool = False
    skip_bad: bool = False
    data_seed: int = 0

    def load(self) -> PairCorpus:
        """The corpus; raises what `load_corpus` raises, and `InputError` where no data is named."""
        if not self.data:
            raise InputError("no data named: give a file, two parallel files a,b, or builtin:dates", where="--data")
        options = values_of(self)
        return load_corpus(options.pop("data"), seed=options.pop("data_seed"), **options)


@dataclass(frozen=True)
class TokenizerConfig:
    """How texts become tokens: `kind`, at most `size` tokens, one vocabulary for both sides with `shared`."""

    kind: TokenizerKind = "char"
    size: int = 8000
    shared: bool = False
    lowercase: bool = False


@dataclass(frozen=True)
class TranslationConfig:
    """What is trained on pairs of texts: architecture and sizes, tokenizers, loss and batches.

    `preset(arch)` gives the table's sizes and, for a preset with a paper's name, the paper's loss and vocabulary.

    label_smoothing: ε of the loss, spread over the vocabulary as `smoothing` names (see `training.loss`)
    batch_tokens: most padded tokens of a training batch, the longer side counted; within a minute of a CPU many small
        steps teach more than few large ones (LOG.md), a longer training wants more
    max_length: most tokens of an example; a longer one raises, is skipped or is truncated, as `too_long` says
    validation_pairs, validation_outputs: how many pairs a validation scores, and how many of them it decodes
    """

    arch: str = "transformer"
    model: ModelConfig = ARCHITECTURES["transformer"]
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    label_smoothing: float = 0.0
    smoothing: Smoothing = "uniform"
    batch_tokens: int = 1024
    max_length: int | None = None
    too_long: Literal["error", "skip", "truncate"] = "error"
    validation_pairs: int = 1000
    validation_outputs: int = 100

    def __post_init__(self) -> None:
        check_architecture(self.arch)
        if type(self.model) is not type(ARCHITECTURES[self.arch]):
            raise InputError(f"{type(self.model).__name__} is not the config of {self.arch!r}", where="model")
        if not 0.0 <= self.label_smoothing < 1.0:
            raise InputError(f"must be in [0, 1), found {self.label_smoothing}", where="label_smoothing")
        for name in ("batch_tokens", "validation_pairs", "validation_outputs"):
            if getattr(self, name) < 1:
                raise InputError(f"must be at least 1, found {getattr(self, name)}", where=name)

    @classmethod
    def preset(cls, arch: str, **changes: Any) -> TranslationConfig:
        """The named architecture with its own settings, `changes` on top.

        Raises:
            InputError: "unknown architecture 'lstmm', did you mean 'lstm'?"
        """
        check_architecture(arch)
        own: dict[str, Any] = {"arch": arch, "model": ARCHITECTURES[arch]}
        if arch == "transformer":
            own["batch_tokens"] = 768  # wants more steps than the recurrences do (LOG.md)
        if arch == "transformer-2017":  # Vaswani et al. 2017, sections 5.1 and 5.4
            own |= {"label_smoothing": 0.1, "tokenizer": TokenizerConfig("bpe", shared=True)}
        return cls(**{**own, **changes})


def check_architecture(arch: str) -> None:
    """Raise `InputError` with the nearest name where `arch` is not in the table."""
    if arch not in ARCHITECTURES:
        near = nearest(arch, ARCHITECTURES)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(ARCHITECTURES)}"
        raise InputError(f"unknown architecture {arch!r}, {hint}", where="arch")


@dataclass(frozen=True)
class TranslationRun(RunConfig, TranslationConfig, DataConfig):
    """All of a translation's training."""

    Data: ClassVar[type] = DataConfig

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)
        TranslationConfig.__post_init__(self)

    @property
    def corpus(self) -> DataConfig:
        """Which pairs."""
        return part_of(DataConfig, self)

    @property
    def settings(self) -> TranslationConfig:
        """Which model, and how its texts become batches."""
        return part_of(TranslationConfig, self)
