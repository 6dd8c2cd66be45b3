"""Inputs of a classifier: sources of one kind as arrays, and the front end for them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np

from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig, InputKind
from sightline.data.labelled.gaps import filled
from sightline.data.labelled.table import LabelledSource, SourceKind
from sightline.data.media.audio import sound_of
from sightline.data.media.columns import AudioReader, ImageReader
from sightline.data.media.files import MediaFile
from sightline.data.media.images import fit_pixels
from sightline.data.rows.arrays import array_of
from sightline.data.rows.numbers import series_of
from sightline.data.tokens.spelling import Spelling
from sightline.data.tokens.tokenizer import Tokenizer, read_tokenizer_file
from sightline.data.tokens.words import Words
from sightline.tasks.classification.config import READ_AS, ClassificationConfig, TextConfig
from sightline.tasks.one_or_several import dimensions
from sightline.tasks.text_inputs import USUAL

VOCABULARY = "tokenizer.json"
LANGUAGE_WORDS = 1_000
LANGUAGE_EPOCHS, WORD_DROPOUT = 10, 0.5  # of texts of a language, by default (LOG.md)
MOST_POSITIONS = 256  # of a series, by default
_CHANNELS = (1, 3, 4)  # of a picture as bytes (H, W, C): grey, RGB, RGB with transparency
# A channel that changes by less than float32 can tell at its largest value is not divided by its deviation.
LEAST_SCALE = float(np.finfo(np.float32).eps)

Vocabulary: TypeAlias = Words | Tokenizer | Spelling


@final
@dataclass(frozen=True)
class Scaling:
    """Mean and deviation of each channel of the training series."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, series: Sequence[np.ndarray]) -> Scaling:
        """Over all steps of all series (T, C); a channel that never changes, apart from rounding, keeps its size."""
        steps = np.concatenate([one.astype(np.float64) for one in series])
        deviation = steps.std(0)
        changes = deviation > LEAST_SCALE * np.abs(steps).max(0)
        return cls(tuple(steps.mean(0).tolist()), tuple(np.where(changes, deviation, 1.0).tolist()))

    def __call__(self, series: np.ndarray) -> np.ndarray:
        """The series (T, C), scaled."""
        return ((series - np.array(self.mean)) / np.array(self.deviation)).astype(np.float32)


@final
class LabelledInputs:
    """Sources of one kind as the model reads them; fitted to the training part alone.

    words: what makes inputs of texts; scaling: of series, None = as they are
    grey: whether all training pictures are grey, though the model may read three channels
    """

    def __init__(
        self,
        kind: SourceKind,
        config: ClassificationConfig,
        front_end: FrontEndConfig,
        words: Vocabulary | None = None,
        scaling: Scaling | None = None,
        *,
        grey: bool = False,
    ) -> None:
        self.kind, self.config, self.front_end = kind, config, front_end
        self.words, self.scaling, self.grey = words, scaling, grey

    @classmethod
    def fit(
        cls,
        kind: SourceKind,
        sources: Sequence[LabelledSource],
        config: ClassificationConfig,
        *,
        lowercase: bool = False,
    ) -> LabelledInputs:
        """The inputs for such sources; `config` of the result has the sizes of pictures and patches settled.

        lowercase: whether the texts were lower-cased when they were read, which the vocabulary then does to new ones
        """
        config.front_end.check(READ_AS[kind])
        if kind == "text":
            if config.text.word_dropout and config.front_end.kind(USUAL) != USUAL:
                raise InputError("requires a vocabulary; this front end reads letters", where="text.word_dropout")
            words = _VOCABULARIES[config.front_end.kind(USUAL)](
                [source for source in sources if isinstance(source, str)], config.text, lowercase
            )
            return cls(kind, config, config.fitted(kind, vocabulary=words.size), words)
        arrays = [source for source in sources if isinstance(source, np.ndarray)]
        if kind == "series":
            longest = max(len(series) for series in arrays)
            patch = config.series.patch or math.ceil(longest / MOST_POSITIONS)
            config = replace(config, series=replace(config.series, patch=patch, stride=config.series.stride or patch))
            scaling = Scaling.fit(arrays) if config.series.scale else None
            return cls(kind, config, config.fitted(kind, channels=arrays[0].shape[1]), scaling=scaling)
        if kind == "audio":
            return cls(kind, config, config.fitted(kind))
        picture = config.picture
        if arrays[0].shape[0] == 1 and picture.colour != "grey":  # data that is grey already
            picture = replace(picture, colour="grey")
        config = replace(config, picture=picture.settled([array.shape for array in arrays[:1]], config.front_end))
        grey = all(bool((array == array[:1]).all()) for array in arrays)
        return cls(kind, config, config.fitted(kind), grey=grey)

    @property
    def in_language(self) -> bool:
        """Whether sources are texts of a language, where a word can be missing and is learnt in few passes; in texts of
        a few symbols every one may decide.
        """
        return isinstance(self.words, Words) and self.words.size >= LANGUAGE_WORDS

    @property
    def word_dropout(self) -> float:
        """The share of a text's tokens that training makes unknown."""
        share = self.config.text.word_dropout
        return (WORD_DROPOUT if self.in_language else 0.0) if share is None else share

    @property
    def unknown(self) -> int | None:
        """The token of an unknown word; None where there is no vocabulary."""
        return getattr(self.words, "UNK", None)

    @property
    def channels(self) -> int:
        """Channels of series, 0 of other sources."""
        return getattr(self.front_end, "channels", 0) if self.kind == "series" else 0

    def pieces(self, text: str) -> list[str]:
        """The label of each position of a text; `words` must be there."""
        words: Any = self.words
        return words.pieces(words.encode(text)) if isinstance(words, Tokenizer) else words.pieces(text)

    def arrays(self, sources: Sequence[LabelledSource], place: Callable[[int], str] | None = None) -> list[np.ndarray]:
        """The arrays of batches: ids (T,), series (T, C), samples (T,), pictures (C, H, W).

        Raises:
            InputError: "a.csv:17: has 5000 tokens, more than max_length 512: …", "… has 3 channels, the model reads 1".
        """
        where = place or (lambda row: f"item {row + 1}")
        if self.words is not None:
            texts = [source for source in sources if isinstance(source, str)]
            arrays = [np.asarray(ids, np.int64) for ids in self.words.encode_batch(texts)]
        else:
            arrays = [source for source in sources if isinstance(source, np.ndarray)]
        if len(arrays) < len(sources):
            form = str if self.words is not None else np.ndarray
            wrong = next(row for row, source in enumerate(sources) if not isinstance(source, form))
            raise InputError(f"expected {self.kind}, found {type(sources[wrong]).__name__}", where=where(wrong))
        if self.kind in ("text", "series"):
            arrays = [self._fitting(array, row, where) for row, array in enumerate(arrays)]
        if self.kind == "image":
            self._check_pictures(arrays, where)
        return arrays

    def _fitting(self, array: np.ndarray, row: int, place: Callable[[int], str]) -> np.ndarray:
        most = self.config.max_length
        if most is not None and len(array) > most:
            if self.config.too_long == "error":
                what = "tokens" if self.kind == "text" else "steps"
                raise InputError(
                    f"has {len(array)} {what}, more than max_length {most}: raise it, or set too_long to truncate",
                    where=place(row),
                )
            array = array[:most]
        if self.kind == "series":
            if array.ndim != 2 or array.shape[1] != self.channels:
                raise InputError(
                    f"has {array.shape[1] if array.ndim == 2 else 0} channels, the model reads {self.channels}",
                    where=place(row),
                )
            return array if self.scaling is None else self.scaling(array)
        return array

    @property
    def _picture_shape(self) -> tuple[int, int, int]:
        """The pictures (C, H, W) that the model reads."""
        keys = self.config.picture.front_end_fields
        return keys["channels"], keys["height"], keys["width"]

    def _check_pictures(self, pictures: Sequence[np.ndarray], place: Callable[[int], str]) -> None:
        for row, picture in enumerate(pictures):
            if picture.shape != self._picture_shape:
                sizes = [" x ".join(map(str, shape)) for shape in (picture.shape, self._picture_shape)]
                raise InputError(f"has {sizes[0]} channels and pixels, the model reads {sizes[1]}", where=place(row))

    def read(self, line: str) -> LabelledSource:
        """The source from a line of input: a text, comma-separated numbers or a JSON list, or the path of a file.

        Raises:
            InputError: what is wrong with the file, or "expected numbers …".
        """
        if self.kind == "text":
            return line
        if self.kind in ("audio", "image"):
            return self._of_file(MediaFile(Path(line)))
        try:
            values = line if line.lstrip()[:1] == "[" else line.split(",")
            return series_of(filled(values, self.config.series.missing, "the series"), "the series")
        except ValueError as error:
            raise InputError(f"expected comma-separated numbers or a JSON list: {error}") from None

    def is_one(self, value: Any) -> bool:
        """Whether an array, or a list of numbers, is one source: by its axes, and the model's channels and pixels.

        Pictures are as in training data: (H, W) or (H, W, C) is one, (N, H, W) or (N, H, W, C) several. One of three
        channels may also be (C, H, W), as it is in a corpus; of a model of grey ones only if its channels are equal.

        Raises:
            InputError: "expected samples (T,) or a list of them, found shape (2, 16000)".
        """
        axes = None if self.kind == "text" else dimensions(value)
        if axes is None:
            return False
        if self.kind == "audio" and axes > 1:
            raise InputError(f"expected samples (T,) or a list of them, found shape {value.shape}")
        if self.kind == "series" and axes == 2:  # (T, C), or several series of one channel
            return self.channels > 1 or value.shape[1] == 1
        if self.kind == "image" and axes == 3:
            return self._is_one_picture(np.asarray(array_of(value)))
        return axes <= {"series": 1, "audio": 1, "image": 2}[self.kind]

    def _is_one_picture(self, value: np.ndarray) -> bool:
        """Whether an array of three axes is (H, W, C), or (C, H, W) in the model's size, and not (N, H, W)."""
        channels, *size = self._picture_shape
        if [*value.shape[1:]] != size:
            return value.shape[-1] in _CHANNELS
        return 1 < channels == len(value) and (not self.grey or bool((value == value[:1]).all()))

    def accept(self, value: Any, place: str | None = None) -> LabelledSource:
        """An input as `predict` takes it: a text or a path as in `read`, a file's bytes, an array, or nested lists of
        a series (T, C).

        place: that of an array, for errors

        Raises:
            InputError: as `read`; "input 3: expected a series (T,) or (T, C) of numbers"; "input 3: step 4 of the
                series is nan: numbers must be finite"; "input 3: has 5 x 5 pixels, expected 8 x 8: …".
        """
        if isinstance(value, str | Path):
            return self.read(str(value))
        if isinstance(value, MediaFile):
            return self._of_file(value)
        array = array_of(value)
        value = value if array is None else array
        if self.kind == "audio" and array is not None:
            return sound_of(array, self.config.sound.reading, place)
        if self.kind == "image" and array is not None:
            return self._picture(array, place)
        if self.kind != "series":
            return value
        try:
            series = np.asarray(value, np.float32)
            series = np.asarray(filled(series.tolist(), self.config.series.missing, "the series"), np.float32)
        except (ValueError, TypeError):
            raise InputError("expected a series (T,) or (T, C) of numbers", where=place) from None
        if series.ndim not in (1, 2) or not series.size:
            raise InputError(f"expected a series (T,) or (T, C) of numbers, found shape {series.shape}", where=place)
        if not np.isfinite(series).all():
            step = np.argwhere(~np.isfinite(series))[0]
            raise InputError(
                f"step {step[0] + 1} of the series is {series[tuple(step)]}: numbers must be finite", where=place
            )
        return series if series.ndim == 2 else series[:, None]

    def _picture(self, pixels: np.ndarray, place: str | None) -> np.ndarray:
        """The picture (C, H, W) of an array, as a file of the same pixels is read; one of that shape as it is."""
        if pixels.shape == self._picture_shape:
            return pixels
        if pixels.ndim == 3 and len(pixels) == 1:  # (1, H, W)
            pixels = pixels[0]
        if pixels.ndim != 2 and (pixels.ndim != 3 or pixels.shape[-1] not in _CHANNELS):
            return pixels  # refused with the shape that the model reads
        if pixels.dtype != np.uint8:
            raise InputError(f"expected the bytes of a picture, type uint8, found {pixels.dtype}", where=place)
        try:
            return fit_pixels(pixels, self.config.picture.reading)
        except InputError as error:
            raise InputError(str(error), where=place) from None

    def _of_file(self, file: MediaFile) -> np.ndarray:
        """The samples of a sound, or the pixels of a picture."""
        if self.kind == "audio":
            return AudioReader(self.config.sound.reading)(file)
        if self.kind == "image":
            return ImageReader(self.config.picture.reading)(file)
        raise InputError(f"expected {self.kind}, found a file")

    def check(self, place: str) -> None:
        """Refuses, of a model's file, a front end that is not for this kind of source or not that of the settings, and
        a scaling that does not fit.

        Raises:
            InputError: "config.json: options: a model of ImagePatches(…) does not read series".
        """
        front, sizes = self.front_end, {}
        if front.accepts not in READ_AS[self.kind]:
            raise InputError(f"a model of {front} does not read {self.kind}", where=place)
        channels = self.channels
        if self.scaling is not None:
            values = (*self.scaling.mean, *self.scaling.deviation)
            if len(self.scaling.mean) != channels or len(values) != 2 * channels or 0.0 in self.scaling.deviation:
                raise InputError(f"a scaling that does not fit {channels} channels", where=place)
        if self.words is not None:
            sizes = {"vocabulary": self.words.size}
        elif self.kind == "series":
            sizes = {"channels": channels}
        if front != self.config.fitted(self.kind, **sizes):
            section = {"audio": "sound", "image": "picture"}.get(self.kind, self.kind)
            raise InputError(f"settings.{section} and settings.front_end are not those of the model", where=place)

    def save(self, directory: Path) -> None:
        """Writes the vocabulary, where there is one."""
        if self.words is not None:
            content = {"format": 1, "source": self.words.to_dict()}
            (directory / VOCABULARY).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def load_vocabulary(path: Path) -> Vocabulary:
    """The vocabulary that `LabelledInputs.save` wrote.

    Raises:
        InputError: "runs/x/tokenizer.json: not a tokenizer file of format 1"; errors of the vocabulary's `from_dict`.
    """
    content = read_tokenizer_file(path)
    if not isinstance(content.get("source"), dict):
        raise InputError("not a tokenizer file of format 1", where=path)
    source = content["source"]
    kinds: dict[Any, type[Vocabulary]] = {Words.kind: Words, Spelling.kind: Spelling}
    return kinds.get(source.get("kind"), Tokenizer).from_dict(source, where=path)


def _vocabulary(texts: Sequence[str], config: TextConfig, lowercase: bool) -> Words | Tokenizer:
    if config.kind == Words.kind:
        return Words.train(texts, config.size, config.min_count, lowercase)
    return Tokenizer.train(texts, config.kind, config.size, lowercase)


_VOCABULARIES: dict[InputKind, Callable[[Sequence[str], TextConfig, bool], Vocabulary]] = {
    "tokens": _vocabulary,
    "words": lambda texts, config, lowercase: Spelling(lowercase),
}
