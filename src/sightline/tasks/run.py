"""The configuration of one training: its data, its model and how it is trained."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

from sightline.core.config import encode
from sightline.core.errors import InputError
from sightline.core.front_end import InputKind
from sightline.core.settings import CheckedConfig, flat, flat_parts, key, keys_of
from sightline.data.corpus import named_notes
from sightline.models import FORMS
from sightline.models.plugins import NeededPlugin, used_plugins
from sightline.parts.front_end_choice import FrontEndChoice
from sightline.tasks.architectures import check_architecture
from sightline.tasks.match_flag import parse_match
from sightline.training.optim import OptimConfig, paper_lr
from sightline.training.state import TrainConfig

RATES = {"rnn": 1e-3, "lstm": 3e-3, "gru": 4e-3, "bahdanau": 1e-2, "luong": 4e-3, "transformer": 4e-3}

# The keys of data that choose and divide items; all others say how an item is read.
CHOOSING = {
    "data",
    "valid",
    "test",
    "limit",
    "skip_bad",
    "data_seed",
    "split",
    "split_column",
    "valid_share",
    "test_share",
}

C = TypeVar("C", bound="TaskConfig")
R = TypeVar("R", bound="RunConfig")

logger = logging.getLogger("sightline")


def log_notes(data: str, notes: Iterable[str]) -> None:
    """Log how data was read, for the user."""
    for note in named_notes(data, notes):
        logger.warning("%s", note)


@dataclass(frozen=True)
class DataConfig(CheckedConfig):
    """The data to train on; the base of every task's.

    Raises:
        InputError: "limit: must be at least 1, found 0".
    """

    data: str = key("", "Data to train on.")
    limit: int | None = key(None, "Use only this many items of each part, the first ones; null: all.", at_least=1)

    def named(self, kinds: str) -> str:
        """The data's path or name; `kinds` names the possible ones in the error.

        Raises:
            InputError: "--data: no data: give a text file, a folder, a glob or builtin:stdlib".
        """
        if not self.data:
            raise InputError(f"no data: give {kinds}", where="--data")
        return self.data


@dataclass(frozen=True)
class FilesConfig(DataConfig):
    """Data whose parts may be files of their own."""

    valid: str | None = key(None, "Validation data; null: a part of the data.")
    test: str | None = key(None, "Test data; null: a part of the data.")
    skip_bad: bool = key(False, "Leave out rows that cannot be read, and count them; otherwise the first one stops.")
    data_seed: int = key(0, "Seed of the split into training, validation and test.")

    @property
    def division(self) -> dict[str, Any]:
        """How the data is divided, as the functions that load a corpus take it."""
        return {
            "valid": self.valid, "test": self.test, "limit": self.limit, "seed": self.data_seed, "trainable": False
        }  # fmt: skip


@dataclass(frozen=True)
class TaskConfig(CheckedConfig):
    """Settings of a task's model; a subclass adds the fields `arch` and `model`, and its other settings of the model.

    form: of the models, a key of `FORMS`
    reads: the kinds of inputs that its data has, by which `front_end` chooses; empty: a task without that choice

    Raises:
        InputError: what `check_architecture` raises; "model: RecurrentConfig is not the config of 'transformer'".
    """

    form: ClassVar[str]
    reads: ClassVar[tuple[InputKind, ...]] = ()

    front_end: FrontEndChoice = key(FrontEndChoice(), "Front end of the model, and its own keys.")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.front_end.check(self.reads)
        arch, model = vars(self)["arch"], vars(self)["model"]
        check_architecture(arch, self.form)
        if type(model) is not type(FORMS[self.form][arch]):
            raise InputError(f"{type(model).__name__} is not the config of {arch!r}", where="model")

    @classmethod
    def preset(cls: type[C], arch: str, **changes: Any) -> C:
        """The named architecture with its own settings, `changes` on top.

        Raises:
            InputError: "arch: unknown architecture 'lstmm', did you mean 'lstm'?"
        """
        check_architecture(arch, cls.form)
        own: dict[str, Any] = {"arch": arch, "model": FORMS[cls.form][arch], **cls.own(arch), **changes}
        return cls(**own)

    @classmethod
    def own(cls, arch: str) -> dict[str, Any]:
        """Settings of an architecture that differ from the defaults, by key."""
        return {}

    @classmethod
    def optimizer(cls, arch: str) -> OptimConfig:
        """The optimizer's settings for an architecture at its preset's size.

        For `transformer-2017` those of the paper, section 5.3; the others' rates were chosen on dates within a minute
        of one core (LOG.md), from few trials; those of `rnn` and `luong` were compared with no other, and the
        architectures that are one mechanism in a Transformer's place have the Transformer's.
        """
        if arch == "transformer-2017":
            return OptimConfig(
                lr=paper_lr(512, 4000),
                beta2=0.98,
                eps=1e-9,
                weight_decay=0.0,
                warmup_steps=4000,
                schedule="inverse_sqrt",
                clip_norm=None,
            )
        return OptimConfig(lr=RATES.get(arch, RATES["transformer"]))


@dataclass(frozen=True)
class RunConfig(CheckedConfig):
    """The configuration of a training, as config.yaml and the flags of `sightline train` spell it.

    A task's `Run` gives the types of `corpus` and `settings`. The keys of the three parts are spelled without the
    part's name, so that a file, the environment and flags need no levels: `--arch`, not `--settings.arch`.
    """

    corpus: DataConfig = flat()
    settings: TaskConfig = flat()
    training: TrainConfig = flat(TrainConfig())
    task: str = key("translation", "Task that the model is trained for.")
    match: str | None = key(
        None,
        "Scale the model's widths to a number of parameters (params=2M), of training operations per token (flops=1.5M) "
        "or to bytes of state after a number of tokens (state=64KB@1024).",
    )
    plugin: tuple[str, ...] = key((), "Plugins that the model needs; a file loads none, only the flag does.")

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_match(self.match)

    @classmethod
    def preset(cls: type[R], arch: str) -> R:
        """The named architecture with its own settings and its optimizer."""
        kind = flat_parts(cls)["settings"]
        return cls(settings=kind.preset(arch), training=TrainConfig(optim=kind.optimizer(arch)))

    def load(self) -> Any:
        """The data, read and divided; `InputError` for whatever is wrong with it."""
        return self.corpus.load()  # type: ignore[attr-defined]

    def read(self) -> Any:
        """All items of the data as one part; raises as `load`."""
        return self.corpus.read()  # type: ignore[attr-defined]

    @property
    def data_keys(self) -> tuple[str, ...]:
        """The keys that say which data it is."""
        return tuple(keys_of(type(self.corpus)))

    @property
    def reading_keys(self) -> dict[str, Any]:
        """How items of the data are read, by key: all of its keys but those that choose and divide the items."""
        return {key: value for key, value in encode(self.corpus).items() if key not in CHOOSING}

    @property
    def parameters(self) -> int | None:
        """The parameter count that `match` asks for, if it asks for one."""
        match = parse_match(self.match)
        return match.amount if match is not None and match.kind == "params" else None

    def changed(self: R, **values: Any) -> R:
        """The same with other values of some keys, whichever part they belong to: `run.changed(arch="gru", seed=1)`."""
        parts = {}
        for name in flat_parts(type(self)):
            part = values.pop(name, getattr(self, name))
            inside = {inner: values.pop(inner) for inner in keys_of(type(part)) if inner in values}
            parts[name] = replace(part, **inside) if inside else part
        return replace(self, **parts, **values)

    @property
    def plugins(self) -> list[NeededPlugin]:
        """The loaded plugins that the model needs."""
        return used_plugins(self.settings.form, vars(self.settings)["arch"], vars(self.settings)["model"])

    def with_plugins(self: R) -> R:
        """The same with the names of `plugins`."""
        return replace(self, plugin=tuple(one.name for one in self.plugins))

    def dotted(self) -> dict[str, Any]:
        """All values by dotted key."""
        return dotted(encode(self))


def dotted(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted key."""
    flattened: dict[str, Any] = {}
    for name, value in values.items():
        flattened |= dotted(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flattened
