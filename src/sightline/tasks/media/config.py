"""Settings of a model from sounds and pictures to text, and of its data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, final

from sightline.core.config import nearest
from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig
from sightline.core.settings import CheckedConfig, flat, key
from sightline.data.media.audio import AudioOptions, Mix, Resampling
from sightline.data.media.columns import KINDS, MediaKind, MediaPart
from sightline.data.media.corpus import MediaCorpus, MediaReading
from sightline.data.media.images import Colour, Fit, Frames, ImageOptions, size_flags
from sightline.models import FORMS
from sightline.parts.audio_frames import AudioFrames
from sightline.parts.front_end_choice import FrontEndChoice
from sightline.parts.image_patches import GridEncoding, Stem
from sightline.parts.log_mel import MelScale, Normalise
from sightline.parts.spec_augment import SpecAugmentConfig
from sightline.tasks.run import FilesConfig, RunConfig, log_notes
from sightline.tasks.text_inputs import TEXT_KINDS
from sightline.tasks.texts_out.config import TextsOutConfig

LEAST_PATCHES, FEW_PATCHES = 9, 64


@final
@dataclass(frozen=True)
class SoundConfig(CheckedConfig):
    """Reading and framing of sounds; see `AudioOptions` for the first four, `AudioFrames` for the others."""

    rate_hz: int = key(16_000, "Samples per second; sounds of another rate are resampled.")
    mix: Mix = key("mean", "How several channels become one.")
    resample: Resampling = key("polyphase", "Resampler.")
    max_s: float = key(60.0, "Longest sound, in seconds.")
    window_ms: float = key(25.0, "Length of an analysis window, in milliseconds.")
    hop_ms: float = key(10.0, "Distance between windows, in milliseconds.")
    mels: int = key(40, "Mel bands.")
    low_hz: float = key(0.0, "Lower edge of the lowest mel band.")
    high_hz: float | None = key(None, "Upper edge of the highest mel band; null: half of rate_hz.")
    scale: MelScale = key("slaney", "Mel scale.")
    normalise: Normalise = key("level", "How log-mel energies are normalised.")
    stride: int = key(4, "Frames that one position of the model covers.")
    augment: SpecAugmentConfig | None = key(SpecAugmentConfig(), "SpecAugment while training; null: none.")

    usual: ClassVar[str] = "audio"  # the front end where none is chosen

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reading  # noqa: B018  both refuse impossible values
        self.front_end  # noqa: B018

    @property
    def reading(self) -> AudioOptions:
        """The options for reading files."""
        return AudioOptions(self.rate_hz, self.mix, self.resample, self.max_s)

    @property
    def front_end_fields(self) -> dict[str, Any]:
        """The values that a front end for sounds takes from this section, by field."""
        return {field.name: getattr(self, field.name) for field in fields(AudioFrames)}

    @property
    def front_end(self) -> AudioFrames:
        """The usual front end for sounds."""
        return AudioFrames(**self.front_end_fields)

    def fitted(self, choice: FrontEndChoice) -> FrontEndConfig:
        """The chosen front end for sounds."""
        return choice.fit(self.usual, {"audio": self.front_end_fields})


@final
@dataclass(frozen=True)
class PictureConfig(CheckedConfig):
    """Reading and embedding of pictures; see `ImageOptions`, `ImagePatches` and `Pixels`."""

    height: int | None = key(None, "Height in pixels; null: that of the training pictures, if all have one size.")
    width: int | None = key(None, "Width in pixels; null: that of the training pictures, if all have one size.")
    fit: Fit = key("refuse", "How to treat pictures of other sizes.")
    colour: Colour = key("rgb", "Channels that are read.")
    ground: int = key(0, "Grey level of padding and of the background of transparent pixels, 0 to 255.")
    frames: Frames = key("refuse", "How to treat animations and files of several pages: refuse or first.")
    black: float = key(0.0, "Value that becomes 0 in pictures with more than 8 bits a channel.")
    white: float | None = key(
        None,
        "Value that becomes 255 in pictures with more than 8 bits a channel; null: the largest of the file's type.",
    )
    view: Literal["patches", "pixels", "levels"] = key(
        "patches", "Positions: patches; pixels by value; or pixels by a vector for each of 256 levels of grey."
    )
    patch: int | None = key(
        None,
        "Side of a patch in pixels; null: the smallest above 1 that divides both sides and makes 9 to 64 patches, else "
        "the smallest that makes at most 64.",
    )
    stem: Stem = key("linear", "How patches are embedded; convolutions see across the edges of patches.")
    positions: GridEncoding = key("learned", "Position embeddings.")
    mean: float = key(0.5, "Subtracted from values in [0, 1].")
    deviation: float = key(0.5, "Divides the values after `mean` is subtracted.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.height is None) != (self.width is None):
            raise InputError("must be given together with width", where="height")
        if self.view == "levels" and self.colour != "grey":
            raise InputError("levels are of grey: set colour to grey", where="view")
        self.reading  # noqa: B018  refuses impossible values

    @property
    def reading(self) -> ImageOptions:
        """The options for reading files."""
        size = None if self.height is None or self.width is None else (self.height, self.width)
        return ImageOptions(size, self.fit, self.colour, self.ground, self.frames, self.black, self.white)

    @property
    def usual(self) -> str:
        """The front end where none is chosen."""
        return "patches" if self.view == "patches" else "pixels"

    @property
    def front_end_fields(self) -> dict[str, Any]:
        """The values that a front end for pictures takes from this section, by field, once the sizes are settled."""
        if self.height is None or self.width is None:
            raise ValueError("the size of pictures is not settled")
        names = ("height", "width", "patch", "positions", "stem", "mean", "deviation")
        values = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        embedding = "levels" if self.view == "levels" else "linear"
        return {**values, "channels": self.reading.channels, "embedding": embedding}

    def fitted(self, choice: FrontEndChoice) -> FrontEndConfig:
        """The chosen front end for pictures, once the sizes are settled."""
        keys = self.front_end_fields
        if self.patch is None and "patch" in choice.inherited(self.usual):
            raise ValueError("the size of patches is not settled")
        return choice.fit(self.usual, {"image": keys})

    def settled(
        self,
        shapes: Sequence[tuple[int, ...]],
        choice: FrontEndChoice = FrontEndChoice(),  # noqa: B008  a value
    ) -> PictureConfig:
        """The same with sizes for pictures of these shapes (C, H, W), where it names none; of patches, if the front end
        has a field for them.

        Raises:
            InputError: "the pictures have 3 sizes (28 x 28, 28 x 30, …): make them alike by --picture.height=28 …".
        """
        height, width = self.height, self.width
        if height is None or width is None:
            sizes = sorted({shape[1:] for shape in shapes})
            if len(sizes) > 1:
                shown = ", ".join(" x ".join(map(str, size)) for size in sizes[:3]) + (", …" if len(sizes) > 3 else "")
                flags = size_flags(shape[1:] for shape in shapes)
                raise InputError(f"the pictures have {len(sizes)} sizes ({shown}): make them alike by {flags}")
            height, width = sizes[0]
        choice = choice.where_suits(("image",))
        cuts = self.patch is None and "patch" in choice.inherited(self.usual)
        settled = replace(self, height=height, width=width, patch=_few(height, width) if cuts else self.patch)
        settled.fitted(choice)  # refuses a patch that does not divide the sides
        return settled


def _few(height: int, width: int) -> int:
    """The smallest side of patches that divides both sides and makes at most `FEW_PATCHES`.

    Of several pixels where these are at least `LEAST_PATCHES`, since one pixel says little (docs/defaults.md).
    """
    both = math.gcd(height, width)
    counts = {side: height * width // side**2 for side in range(1, both + 1) if both % side == 0}
    few = [side for side, count in counts.items() if count <= FEW_PATCHES]
    if few:
        return next((side for side in few if side > 1 and counts[side] >= LEAST_PATCHES), few[0])
    raise InputError(
        f"{height} x {width} pixels cannot be cut into {FEW_PATCHES} square patches or fewer: set "
        f"{size_flags([(height, width)])}, or --picture.patch={both} for more patches"
    )


def parse_sources(sources: Sequence[str]) -> tuple[tuple[str, MediaKind], ...]:
    """`("image:image", "question:text")` as columns with their kinds; a kind alone is of the column `source`.

    Raises:
        InputError: "sources: expected column:kind, kind being audio, image or text, found 'image:pcture', did you mean
            'image'?"
    """
    columns: list[tuple[str, MediaKind]] = []
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
        columns.append((name or "source", known))
    names = [name for name, _ in columns]
    if not columns or len(set(names)) < len(names):
        raise InputError(f"expected one or more different columns, found {', '.join(names)}", where="sources")
    if all(kind == "text" for _, kind in columns):
        raise InputError("expected a sound or a picture among them: texts alone are for translation", where="sources")
    return tuple(columns)


@final
@dataclass(frozen=True)
class ManifestConfig(FilesConfig):
    """The manifests to train on, and their columns."""

    sources: tuple[str, ...] = key(
        ("source:audio",), "Sources as column:kind, kind being audio, image or text: image:image,question:text."
    )
    target_column: str = key("target", "Column of the targets.")
    base: str | None = key(None, "Folder that paths in the table are relative to; null: the table's own.")
    lowercase: bool = key(False, "Lower-case texts when they are read.")

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_sources(self.sources)


@final
@dataclass(frozen=True)
class MediaTextConfig(TextsOutConfig):
    """Settings of a model from sounds or pictures to text: architecture, sizes, reading of sources, loss, batches."""

    sound: SoundConfig = key(SoundConfig(), "How sounds are read.")
    picture: PictureConfig = key(PictureConfig(), "How pictures are read.")
    validation_items: int = key(1000, "Items that a validation scores.", at_least=1)

    reads = ("audio", "image", *TEXT_KINDS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if getattr(self.model, "tie", None) == "all":
            raise InputError("all is for texts on both sides: choose none or target", where="model.tie")

    def settled(self, train: MediaPart) -> MediaTextConfig:
        """The same with sizes for these pictures; raises what `PictureConfig.settled` raises."""
        config = self
        for column in train.columns:
            if column.kind == "image":
                shapes = [column.shape(row) for row in range(len(column))]
                config = replace(config, picture=config.picture.settled(shapes, config.front_end))
        return config

    @classmethod
    def own(cls, arch: str) -> dict[str, Any]:
        """A preset that shares embeddings with its source does not here."""
        model: Any = FORMS[cls.form][arch]
        return {"model": replace(model, tie="target")} if getattr(model, "tie", None) == "all" else {}


@final
@dataclass(frozen=True)
class MediaTextRun(RunConfig):
    """The configuration of a training on sounds or pictures."""

    corpus: ManifestConfig = flat(ManifestConfig())
    settings: MediaTextConfig = flat(MediaTextConfig())
    task: str = "transcription"

    @property
    def reading(self) -> MediaReading:
        """The options for reading manifests."""
        corpus, settings = self.corpus, self.settings
        return MediaReading(
            parse_sources(corpus.sources),
            corpus.target_column,
            settings.sound.reading,
            settings.picture.reading,
            corpus.limit,
            corpus.lowercase,
            corpus.skip_bad,
            None if corpus.base is None else Path(corpus.base),
        )

    def load(self) -> MediaCorpus:
        """The data; raises what `MediaReading.corpus` raises."""
        corpus = self.corpus
        names = ", ".join(name for name, _ in parse_sources(corpus.sources))
        data = corpus.named(f"a manifest, a table with columns {names} and {corpus.target_column}")
        return self.reading.corpus(data, corpus.valid, corpus.test, seed=corpus.data_seed, trainable=False)

    def read(self) -> MediaPart:
        """All items of the data as one part; raises what `MediaReading.read` raises; logs notes."""
        part, notes = self.reading.read(self.corpus.data)
        log_notes(self.corpus.data, notes)
        return part
