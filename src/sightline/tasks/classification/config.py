"""What a user chooses about a model that labels texts, series, sounds or pictures, and about its data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from sightline.core.errors import InputError
from sightline.data.labelled.corpus import LabelledCorpus, load_labelled
from sightline.data.labelled.table import Reading
from sightline.models import FORMS, SizedConfig
from sightline.tasks.media.config import PictureConfig, SoundConfig
from sightline.tasks.rates import optim_preset
from sightline.tasks.run import RunConfig, part_of
from sightline.training.optim import OptimConfig

PRESETS = FORMS["encoder"]
BILSTM_ATTENTION = "bilstm_attention"


@dataclass(frozen=True)
class LabelledDataConfig:
    """Which labelled items to train on, and how they are read; see `data.labelled.Reading`.

    source_kind: what the sources are; "auto" tells it from columns and names of files
    limit: only the first so many items of each part
    data_seed: decides which items validate and test, where nothing else says so
    """

    data: str = ""
    valid: str | None = None
    test: str | None = None
    source_kind: Literal["auto", "text", "series", "audio", "image"] = "auto"
    source_column: str | None = None
    label_column: str = "label"
    label_separator: str | None = None
    split_column: str | None = None
    limit: int | None = None
    lowercase: bool = False
    skip_bad: bool = False
    data_seed: int = 0


@dataclass(frozen=True)
class TextConfig:
    """How texts become tokens: words, characters, or pieces of words, at most `size` of them; see `data.words`.

    min_count: how often a word occurs at least, so that those of training's end teach what an unknown one means
    """

    kind: Literal["word", "char", "bpe", "unigram"] = "word"
    size: int = 20_000
    min_count: int = 2


@dataclass(frozen=True)
class SeriesConfig:
    """How series become positions: patches of `patch` steps, every `stride`; None = 1 up to 256 steps, else fewer.

    scale: each channel gets the training part's mean 0 and deviation 1
    """

    patch: int | None = None
    stride: int | None = None
    scale: bool = True


@dataclass(frozen=True)
class ClassificationConfig:
    """What is trained on labelled items: architecture and sizes, how sources are read, loss and batches.

    class_weights: "balanced" weighs an item's loss by N / (C · n) of its class, n of N training items having it; or a
        weight by name, 1 for those not named. With any number of labels "balanced" weighs the presence of a label by
        how many times rarer it is than its absence
    label_smoothing: ε of the loss, spread evenly over all classes; with any number of labels over presence and absence
    shift_pixels: pictures are moved by up to so many pixels each way while training (see `tasks.augment`)
    batch_size: items of a training batch
    max_length: most tokens or steps of an item; a longer one raises, or loses its end, as `too_long` says
    validation_items: how many items a validation scores
    """

    arch: str = "transformer"
    model: SizedConfig = PRESETS["transformer"]
    text: TextConfig = field(default_factory=TextConfig)
    series: SeriesConfig = field(default_factory=SeriesConfig)
    sound: SoundConfig = field(default_factory=SoundConfig)
    picture: PictureConfig = field(default_factory=PictureConfig)
    class_weights: dict[str, float] | Literal["none", "balanced"] = "none"
    label_smoothing: float = 0.0
    shift_pixels: int = 0
    batch_size: int = 32
    max_length: int | None = None
    too_long: Literal["error", "truncate"] = "error"
    validation_items: int = 2000

    def __post_init__(self) -> None:
        if self.arch not in PRESETS:
            raise InputError(f"{self.arch!r} is no architecture that labels", where="arch")
        if type(self.model) is not type(PRESETS[self.arch]):
            raise InputError(f"{type(self.model).__name__} is not the config of {self.arch!r}", where="model")
        if getattr(self.model, "pooling", None) == "none":
            raise InputError("labels are of whole items: choose mean, last, cls or additive", where="model.pooling")
        if not 0.0 <= self.label_smoothing < 1.0:
            raise InputError(f"must be in [0, 1), found {self.label_smoothing}", where="label_smoothing")
        least = {"shift_pixels": 0, "batch_size": 1, "validation_items": 1, "max_length": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise InputError(f"must be at least {low}, found {value}", where=name)
        if isinstance(self.class_weights, dict):
            for name, weight in self.class_weights.items():
                if not 0.0 <= weight < float("inf"):
                    raise InputError(f"must be a weight of at least 0, found {weight}", where=f"class_weights.{name}")


@dataclass(frozen=True)
class ClassificationRun(RunConfig, ClassificationConfig, LabelledDataConfig):
    """All of such a training."""

    Data: ClassVar[type] = LabelledDataConfig

    task: str = "classification"

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)
        ClassificationConfig.__post_init__(self)

    @property
    def settings(self) -> ClassificationConfig:
        """Which model, and how its sources become batches."""
        return part_of(ClassificationConfig, self)

    @property
    def reading(self) -> Reading:
        """How data is read."""
        return Reading(
            self.source_kind,
            self.source_column,
            self.label_column,
            self.label_separator,
            self.split_column,
            self.lowercase,
            self.skip_bad,
            self.sound.reading,
            self.picture.reading,
        )

    def load(self) -> LabelledCorpus:
        """The data; raises what `load_labelled` raises."""
        parts: dict[str, Any] = {"valid": self.valid, "test": self.test, "limit": self.limit, "seed": self.data_seed}
        return load_labelled(self.data if self.data.startswith("builtin:") else self._path(), self.reading, **parts)

    def _path(self) -> str | Path:
        if not self.data:
            raise InputError(
                "no data named: give a table, a folder that has a folder for each class, or builtin:digits",
                where="--data",
            )
        return Path(self.data)

    @classmethod
    def preset(cls, arch: str, **changes: Any) -> ClassificationRun:
        """The named architecture, pooled by the mean where it has no pooling of its own, with its optimizer.

        For `bilstm_attention` the optimizer's rate and decay are those of Jain & Wallace 2019's code, for the others
        see `tasks.rates`.
        """
        model: Any = PRESETS[arch]
        if getattr(model, "pooling", None) == "none":
            model = replace(model, pooling="mean")
        optim = optim_preset(arch)
        if arch == BILSTM_ATTENTION:
            optim = OptimConfig(lr=1e-3, weight_decay=1e-5, schedule="constant", warmup_steps=0, clip_norm=None)
        own: dict[str, Any] = {"arch": arch, "model": model, "optim": optim}
        return cls(**{**own, **changes})
