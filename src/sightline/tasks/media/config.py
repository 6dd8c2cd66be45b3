"""What a user chooses about a model that answers sounds and pictures with text, and about its data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from sightline.core.config import nearest
from sightline.core.errors import InputError
from sightline.data.media.audio import AudioOptions, Mix, Resampling
from sightline.data.media.columns import KINDS, MediaKind
from sightline.data.media.images import Colour, Fit, ImageOptions
from sightline.models import ARCHITECTURES, ModelConfig
from sightline.parts.audio_frames import AudioFrames
from sightline.parts.image_patches import ImagePatches, Pixels, Positions, Stem
from sightline.parts.log_mel import Normalise, Scale
from sightline.parts.spec_augment import SpecAugmentConfig
from sightline.tasks.rates import optim_preset
from sightline.tasks.run import RunConfig, part_of
from sightline.tasks.translation.config import TokenizerConfig, check_architecture
from sightline.training.loss import Smoothing

FEW_PATCHES = 64


@dataclass(frozen=True)
class SoundConfig:
    """How sounds are read and become positions; see `AudioOptions` for the first four, `AudioFrames` for the others."""

    rate_hz: int = 16_000
    mix: Mix = "mean"
    resample: Resampling = "polyphase"
    max_s: float = 60.0
    window_ms: float = 25.0
    hop_ms: float = 10.0
    mels: int = 40
    low_hz: float = 0.0
    high_hz: float | None = None
    scale: Scale = "slaney"
    normalise: Normalise = "level"
    stride: int = 4
    augment: SpecAugmentConfig | None = field(default_factory=SpecAugmentConfig)

    def __post_init__(self) -> None:
        self.reading  # noqa: B018  both complain of what cannot be meant
        self.front_end  # noqa: B018

    @property
    def reading(self) -> AudioOptions:
        """How files are read."""
        return AudioOptions(self.rate_hz, self.mix, self.resample, self.max_s)

    @property
    def front_end(self) -> AudioFrames:
        """What the model reads of a sound."""
        return AudioFrames(
            self.rate_hz,
            self.window_ms,
            self.hop_ms,
            self.mels,
            self.low_hz,
            self.high_hz,
            self.scale,
            self.normalise,
            self.stride,
            self.augment,
        )


@dataclass(frozen=True)
class PictureConfig:
    """How pictures are read and become positions; see `ImageOptions`, `ImagePatches` and `Pixels`.

    height, width: None = those of the training pictures, if they are all of one size
    view: patches of `patch` × `patch` pixels; pixels, one after another, by their values; or levels, a vector for each
        of 256 levels of grey
    patch: None = the smallest that divides both sides and makes at most 64 patches
    stem: linear, or convolutions that see over the edges of patches
    """

    height: int | None = None
    width: int | None = None
    fit: Fit = "refuse"
    colour: Colour = "rgb"
    ground: int = 0
    view: Literal["patches", "pixels", "levels"] = "patches"
    patch: int | None = None
    stem: Stem = "linear"
    positions: Positions = "learned"
    mean: float = 0.5
    deviation: float = 0.5

    def __post_init__(self) -> None:
        if (self.height is None) != (self.width is None):
            raise InputError("must be given together with width", where="height")
        if self.view == "levels" and self.colour != "grey":
            raise InputError("levels are of grey: set colour to grey", where="view")
        self.reading  # noqa: B018  complains of what cannot be meant

    @property
    def reading(self) -> ImageOptions:
        """How files are read."""
        size = None if self.height is None or self.width is None else (self.height, self.width)
        return ImageOptions(size, self.fit, self.colour, self.ground)

    @property
    def front_end(self) -> ImagePatches | Pixels:
        """What the model reads of a picture, once its size is settled."""
        if self.height is None or self.width is None:
            raise ValueError("the size of pictures is not settled")
        common = self.height, self.width, self.reading.channels
        if self.view != "patches":
            embedding = "linear" if self.view == "pixels" else "levels"
            return Pixels(*common, embedding, self.positions, self.mean, self.deviation)
        if self.patch is None:
            raise ValueError("the size of patches is not settled")
        return ImagePatches(*common, self.patch, self.positions, self.stem, self.mean, self.deviation)

    def settled(self, shapes: Sequence[tuple[int, ...]]) -> PictureConfig:
        """The same with sizes for pictures of these shapes (C, H, W), where it names none.

        Raises:
            InputError: "the pictures have 3 sizes (28 x 28, 28 x 30, …): set picture.height, picture.width and …".
        """
        height, width = self.height, self.width
        if height is None or width is None:
            sizes = sorted({shape[1:] for shape in shapes})
            if len(sizes) > 1:
                shown = ", ".join(" x ".join(map(str, size)) for size in sizes[:3]) + (", …" if len(sizes) > 3 else "")
                raise InputError(
                    f"the pictures have {len(sizes)} sizes ({shown}): set picture.height and picture.width, and "
                    "picture.fit to stretch or pad"
                )
            height, width = sizes[0]
        patch = _few(height, width) if self.patch is None and self.view == "patches" else self.patch
        made = replace(self, height=height, width=width, patch=patch)
        made.front_end  # noqa: B018  complains where the patch does not divide the sides
        return made


def _few(height: int, width: int) -> int:
    """The smallest side of patches that divides both sides and makes at most `FEW_PATCHES`."""
    both = math.gcd(height, width)
    for side in range(1, both + 1):
        if both % side == 0 and height * width <= FEW_PATCHES * side * side:
            return side
    raise InputError(
        f"{height} x {width} pixels cannot be cut into {FEW_PATCHES} square patches or fewer: set picture.patch to a "
        f"divisor of {both}, or picture.height and picture.width to a rounder size"
    )


def parse_sources(sources: Sequence[str]) -> tuple[tuple[str, MediaKind], ...]:
    """`("image:image", "question:text")` as columns with their kinds; a kind alone is of the column `source`.

    Raises:
        InputError: "sources: expected column:kind, kind being audio, image or text, found 'image:pcture', did you mean
            'image'?"
    """
    found: list[tuple[str, MediaKind]] = []
    for text in sources:
        name, _, kind = text.rpartition(":")
        known = next((one for one in KINDS if one == kind), None)
        if known is None:
            near = nearest(kind, KINDS)
            hint = f", did you mean {near!r}?" if near else ""
            raise InputError(
                f"expected column:kind, kind being {', '.join(KINDS[:-1])} or {KINDS[-1]}, found {text!r}{hint}",
                where="sources",
            )
        found.append((name or "source", known))
    names = [name for name, _ in found]
    if not found or len(set(names)) < len(names):
        raise InputError(f"expected one or more different columns, found {', '.join(names)}", where="sources")
    if all(kind == "text" for _, kind in found):
        raise InputError("expected a sound or a picture among them: texts alone are for translation", where="sources")
    return tuple(found)


@dataclass(frozen=True)
class MediaDataConfig:
    """Which manifests to train on, and their columns.

    sources: `column:kind` for each source, kind being audio, image or text, such as image:image,question:text
    limit: only the first so many items of each manifest
    data_seed: decides which items validate and test, where no manifest of their own is named
    """

    data: str = ""
    valid: str | None = None
    test: str | None = None
    sources: tuple[str, ...] = ("source:audio",)
    target_column: str = "target"
    limit: int | None = None
    lowercase: bool = False
    skip_bad: bool = False
    data_seed: int = 0


@dataclass(frozen=True)
class MediaTextConfig:
    """What is trained on sounds or pictures and texts: architecture and sizes, how sources are read, loss and batches.

    tokenizer: of the targets, and of sources that are texts
    batch_tokens: most padded positions of a training batch, those of a source or of a target, whichever are more
    validation_items, validation_outputs: how many items a validation scores, and how many of them it decodes
    """

    arch: str = "transformer"
    model: ModelConfig = ARCHITECTURES["transformer"]
    sound: SoundConfig = field(default_factory=SoundConfig)
    picture: PictureConfig = field(default_factory=PictureConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    label_smoothing: float = 0.0
    smoothing: Smoothing = "uniform"
    batch_tokens: int = 1024
    validation_items: int = 1000
    validation_outputs: int = 100

    def __post_init__(self) -> None:
        check_architecture(self.arch)
        if type(self.model) is not type(ARCHITECTURES[self.arch]):
            raise InputError(f"{type(self.model).__name__} is not the config of {self.arch!r}", where="model")
        if getattr(self.model, "tie", None) == "all":
            raise InputError("all is for texts on both sides: choose none or target", where="model.tie")
        if not 0.0 <= self.label_smoothing < 1.0:
            raise InputError(f"must be in [0, 1), found {self.label_smoothing}", where="label_smoothing")
        for name in ("batch_tokens", "validation_items", "validation_outputs"):
            if getattr(self, name) < 1:
                raise InputError(f"must be at least 1, found {getattr(self, name)}", where=name)


@dataclass(frozen=True)
class MediaTextRun(RunConfig, MediaTextConfig, MediaDataConfig):
    """All of such a training."""

    Data: ClassVar[type] = MediaDataConfig

    task: str = "transcription"

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)
        MediaTextConfig.__post_init__(self)
        parse_sources(self.sources)

    @property
    def settings(self) -> MediaTextConfig:
        """Which model, and how its sources become batches."""
        return part_of(MediaTextConfig, self)

    @classmethod
    def preset(cls, arch: str, **changes: Any) -> MediaTextRun:
        """The named architecture with its optimizer; a preset that shares embeddings with its source does not here."""
        check_architecture(arch)
        model: Any = ARCHITECTURES[arch]
        if getattr(model, "tie", None) == "all":
            model = replace(model, tie="target")
        own: dict[str, Any] = {"arch": arch, "model": model, "optim": optim_preset(arch)}
        return cls(**{**own, **changes})
