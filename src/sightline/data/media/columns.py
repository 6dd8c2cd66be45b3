"""Columns of sounds, pictures or texts beside their targets: the items of one part.

Files are read once when the data is loaded, so that errors are raised before training begins. What fits into
`KEEP_BYTES` stays in memory; the rest is read again for each batch.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, final

import numpy as np

from sightline.core.errors import InputError
from sightline.data.media.audio import AudioOptions, read_audio
from sightline.data.media.deep import DeepLevels
from sightline.data.media.files import MediaFile
from sightline.data.media.images import ImageOptions, fit_pixels, read_idx, read_image
from sightline.data.media.manifest import located

MediaKind = Literal["audio", "image", "text"]
KINDS: tuple[MediaKind, ...] = ("audio", "image", "text")
KEEP_BYTES = 1 << 30
_PLACE_IN_IDX = re.compile(r"(.+)#(\d{1,12})")


@final
class ImageReader:
    """Reads pictures; `digits-idx3-ubyte.gz#17` is picture 17 of an idx file, counted from 0, whose array is kept."""

    def __init__(self, options: ImageOptions) -> None:
        self.options = options
        self._arrays: dict[Path, np.ndarray] = {}
        self._levels = DeepLevels()

    def __call__(self, source: Path | MediaFile) -> np.ndarray:
        """The pixels (C, H, W), uint8."""
        source = MediaFile.of(source)
        path = source.path
        match = None if source.content is not None else _PLACE_IN_IDX.fullmatch(path.name)
        if match is None or os.path.exists(path):
            return read_image(source, self.options, self._levels)
        file, place = path.with_name(match[1]), int(match[2])
        if file not in self._arrays:
            self._arrays[file] = read_idx(file)
        pictures = self._arrays[file]
        if pictures.ndim != 3:
            raise InputError(f"contains no pictures but an array of {pictures.ndim} dimensions", where=file)
        if place >= len(pictures):
            raise InputError(f"has no picture {place}, only {len(pictures)}, counted from 0", where=file)
        return fit_pixels(pictures[place], self.options, file)

    def notes(self) -> list[str]:
        """For the user: what became of pictures with more than 8 bits a channel."""
        return self._levels.notes()


@final
class AudioReader:
    """Reads sounds as `read_audio` does."""

    def __init__(self, options: AudioOptions) -> None:
        self.options = options

    def __call__(self, source: Path | MediaFile) -> np.ndarray:
        """The samples (T,), float32."""
        return read_audio(source, self.options)

    def notes(self) -> list[str]:
        """For the user: nothing."""
        return []


FileReader: TypeAlias = AudioReader | ImageReader


@final
class Store:
    """Arrays of files, by number: checked and measured once, kept as long as they fit into `keep_bytes` together."""

    def __init__(self, read: FileReader, keep_bytes: int = KEEP_BYTES) -> None:
        self._read = read
        self.options: AudioOptions | ImageOptions = read.options
        self._left = keep_bytes
        self._files: list[tuple[MediaFile, str]] = []
        self._kept: dict[int, np.ndarray] = {}
        self.shapes: list[tuple[int, ...]] = []
        self.digests: list[bytes] = []

    def notes(self) -> list[str]:
        """For the user, on the files that were read."""
        return self._read.notes()

    def add(self, source: Path | MediaFile, place: str) -> int:
        """Read a file and return its number; `place` is the row that names it."""
        file = MediaFile.of(source)
        with located(place):
            array = self._read(file)
        number = len(self._files)
        self.shapes.append(array.shape)
        self.digests.append(hashlib.sha256(str(array.shape).encode() + array.tobytes()).digest())
        if array.nbytes <= self._left:
            self._left -= array.nbytes
            self._kept[number] = array
            file = MediaFile(file.path)  # its bytes are no longer needed
        self._files.append((file, place))
        return number

    def name(self, number: int) -> str:
        """A file's name, without its folder."""
        return self._files[number][0].path.name

    def get(self, number: int) -> np.ndarray:
        """The array of a file, read again where it was not kept.

        Raises:
            InputError: "clips.csv:17: clips/a.wav: has changed since it was first read".
        """
        if number in self._kept:
            return self._kept[number]
        file, place = self._files[number]
        with located(place):
            array = self._read(file)
            if array.shape != self.shapes[number]:
                raise InputError("has changed since it was first read", where=file.path)
        return array


@final
@dataclass(frozen=True)
class Column:
    """One source of every item: numbers in a store of arrays, or texts."""

    name: str
    kind: MediaKind
    texts: tuple[str, ...] = ()
    store: Store | None = None
    numbers: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.texts) if self.store is None else len(self.numbers)

    def array(self, row: int) -> np.ndarray:
        """Samples (T,) or pixels (C, H, W) of a row."""
        if self.store is None:
            raise TypeError(f"the column {self.name} contains texts")
        return self.store.get(self.numbers[row])

    def shape(self, row: int) -> tuple[int, ...]:
        """The shape of `array(row)`, without reading it."""
        if self.store is None:
            raise TypeError(f"the column {self.name} contains texts")
        return self.store.shapes[self.numbers[row]]

    def digest(self, row: int) -> bytes:
        """A key that equal contents share."""
        return self.texts[row].encode() if self.store is None else self.store.digests[self.numbers[row]]

    @property
    def rate_hz(self) -> int | None:
        """Samples a second of sounds; None for pictures and texts."""
        options = None if self.store is None else self.store.options
        return options.rate_hz if isinstance(options, AudioOptions) else None

    def shown(self, row: int) -> str:
        """A row for display: its text, or its file's name."""
        return self.texts[row] if self.store is None else self.store.name(self.numbers[row])

    def select(self, rows: Sequence[int]) -> Column:
        """The rows named, in their order."""
        if self.store is None:
            return Column(self.name, self.kind, tuple(self.texts[row] for row in rows))
        return Column(self.name, self.kind, (), self.store, tuple(self.numbers[row] for row in rows))


@final
@dataclass(frozen=True)
class MediaPart:
    """Items: their source columns, their targets, and the row of the manifest that names each."""

    columns: tuple[Column, ...]
    targets: tuple[str, ...]
    places: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, rows: Sequence[int]) -> MediaPart:
        """The items named, in their order."""
        return MediaPart(
            tuple(column.select(rows) for column in self.columns),
            tuple(self.targets[row] for row in rows),
            tuple(self.places[row] for row in rows),
        )

    def digest(self, row: int) -> str:
        """A key that items with equal sources share."""
        return hashlib.sha256(b"\0".join(column.digest(row) for column in self.columns)).hexdigest()

    def digests(self) -> list[str]:
        """The `digest` of every item."""
        return [self.digest(row) for row in range(len(self))]
