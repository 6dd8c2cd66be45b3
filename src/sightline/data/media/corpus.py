"""Columns of sounds, pictures or texts beside their targets, read from a manifest and divided into parts.

Files are read once when the data is loaded, so that whatever is wrong is said before a training begins. What fits into
`KEEP_BYTES` stays in memory; the rest is read again when a batch wants it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from sightline.core.errors import InputError
from sightline.data.media.audio import AudioOptions, read_audio
from sightline.data.media.images import ImageOptions, read_idx, read_image
from sightline.data.media.manifest import Manifest, located, read_manifest
from sightline.data.pairs.corpus import Pairs, split_by_source

Kind = Literal["audio", "image", "text"]
KINDS: tuple[Kind, ...] = ("audio", "image", "text")
KEEP_BYTES = 1 << 30
_SHOWN = 5
_PLACE_IN_IDX = re.compile(r"(.+)#(\d{1,12})")


class ImageReader:
    """Reads pictures; `digits-idx3-ubyte.gz#17` is picture 17 of an idx file, counted from 0, whose array is kept."""

    def __init__(self, options: ImageOptions) -> None:
        self.options = options
        self._arrays: dict[Path, np.ndarray] = {}

    def __call__(self, path: Path) -> np.ndarray:
        """The pixels (C, H, W), uint8."""
        match = _PLACE_IN_IDX.fullmatch(path.name)
        if match is None or path.exists():
            return read_image(path, self.options)
        file, place = path.with_name(match[1]), int(match[2])
        if file not in self._arrays:
            self._arrays[file] = read_idx(file)
        pictures = self._arrays[file]
        if pictures.ndim != 3:
            raise InputError(f"holds no pictures but an array of {pictures.ndim} dimensions", where=file)
        if place >= len(pictures):
            raise InputError(f"has no picture {place}, only {len(pictures)}, counted from 0", where=file)
        size = pictures.shape[1:]
        if self.options.size is not None and size != self.options.size:
            wanted, found = (" x ".join(map(str, both)) for both in (self.options.size, size))
            raise InputError(f"has {found} pixels, expected {wanted}", where=file)
        return np.repeat(pictures[place][None], self.options.channels, 0)


class AudioReader:
    """Reads sounds as `read_audio` does."""

    def __init__(self, options: AudioOptions) -> None:
        self.options = options

    def __call__(self, path: Path) -> np.ndarray:
        """The samples (T,), float32."""
        return read_audio(path, self.options)


Reader: TypeAlias = AudioReader | ImageReader


class Store:
    """Arrays of files, by number: checked and measured once, kept as long as they fit into `keep_bytes` together."""

    def __init__(self, read: Reader, keep_bytes: int = KEEP_BYTES) -> None:
        self._read = read
        self.options: AudioOptions | ImageOptions = read.options
        self._left = keep_bytes
        self._files: list[tuple[Path, str]] = []
        self._kept: dict[int, np.ndarray] = {}
        self.shapes: list[tuple[int, ...]] = []
        self.digests: list[bytes] = []

    def add(self, file: Path, place: str) -> int:
        """The number of a file, once it is read; `place` is where it was named."""
        with located(place):
            array = self._read(file)
        number = len(self._files)
        self._files.append((file, place))
        self.shapes.append(array.shape)
        self.digests.append(hashlib.sha256(str(array.shape).encode() + array.tobytes()).digest())
        if array.nbytes <= self._left:
            self._left -= array.nbytes
            self._kept[number] = array
        return number

    def name(self, number: int) -> str:
        """A file's name, without its folder."""
        return self._files[number][0].name

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
                raise InputError("has changed since it was first read", where=file)
        return array


@dataclass(frozen=True)
class Column:
    """One source of every item: numbers in a store of arrays, or texts."""

    name: str
    kind: Kind
    texts: tuple[str, ...] = ()
    store: Store | None = None
    numbers: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.texts) if self.store is None else len(self.numbers)

    def array(self, row: int) -> np.ndarray:
        """Samples (T,) or pixels (C, H, W) of a row."""
        if self.store is None:
            raise TypeError(f"the column {self.name} holds texts")
        return self.store.get(self.numbers[row])

    def shape(self, row: int) -> tuple[int, ...]:
        """The shape of `array(row)`, without reading it."""
        if self.store is None:
            raise TypeError(f"the column {self.name} holds texts")
        return self.store.shapes[self.numbers[row]]

    def digest(self, row: int) -> bytes:
        """What equal contents have in common."""
        return self.texts[row].encode() if self.store is None else self.store.digests[self.numbers[row]]

    def shown(self, row: int) -> str:
        """A row as people may read it: its text, or its file's name."""
        return self.texts[row] if self.store is None else self.store.name(self.numbers[row])

    def select(self, rows: Sequence[int]) -> Column:
        """The rows named, in their order."""
        if self.store is None:
            return Column(self.name, self.kind, tuple(self.texts[row] for row in rows))
        return Column(self.name, self.kind, (), self.store, tuple(self.numbers[row] for row in rows))


@dataclass(frozen=True)
class MediaPart:
    """Items: their source columns, their targets, and where each was named."""

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
        """What items with equal sources have in common."""
        return hashlib.sha256(b"\0".join(column.digest(row) for column in self.columns)).hexdigest()


@dataclass(frozen=True)
class MediaCorpus:
    """Items for training, validation and test; `sha256` is of samples, pixels and texts, whatever files they lie in."""

    name: str
    train: MediaPart
    valid: MediaPart
    test: MediaPart
    sha256: str
    notes: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """How many items each part has."""
        return {part: len(getattr(self, part)) for part in ("train", "valid", "test")}


@dataclass(frozen=True)
class MediaReading:
    """How a manifest becomes items: its source columns with their kinds, in order, and how files are read.

    skip_bad: rows whose cells or files are bad are left out and told of, instead of ending it
    """

    sources: tuple[tuple[str, Kind], ...]
    target: str = "target"
    audio: AudioOptions = field(default_factory=AudioOptions)
    image: ImageOptions = field(default_factory=ImageOptions)
    limit: int | None = None
    lowercase: bool = False
    skip_bad: bool = False

    def read(self, path: str | Path, *, keep_bytes: int = KEEP_BYTES) -> tuple[MediaPart, list[str]]:
        """The items of a manifest, and notes on rows that were skipped.

        Raises:
            InputError: "clips.csv:17: clips/a.wav: no such file", and whatever else is wrong with table or files.
        """
        names = tuple(name for name, _ in self.sources)
        manifest = read_manifest(path, sources=names, target=self.target, skip_bad=self.skip_bad)
        stores = {
            name: Store(self._reader(kind), keep_bytes // len(names)) for name, kind in self.sources if kind != "text"
        }
        rows: list[int] = []
        numbers: dict[str, list[int]] = {name: [] for name in stores}
        bad: list[str] = []
        for row in range(len(manifest.targets)):
            if self.limit is not None and len(rows) == self.limit:
                break
            try:
                added = {
                    name: store.add(manifest.file(name, row), manifest.place(row)) for name, store in stores.items()
                }
            except InputError as error:
                if not self.skip_bad:
                    raise
                bad.append(str(error))
                continue
            rows.append(row)
            for name, number in added.items():
                numbers[name].append(number)
        notes = list(manifest.notes)
        if bad:
            more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
            notes.append(f"{path}: skipped {len(bad)} rows with bad files: {'; '.join(bad[:_SHOWN])}{more}")
        if not rows:
            raise InputError(f"no good row: {len(bad)} bad ones, first {bad[0]}", where=path)
        return self._part(manifest, rows, stores, numbers), notes

    def _reader(self, kind: Kind) -> Reader:
        return AudioReader(self.audio) if kind == "audio" else ImageReader(self.image)

    def _part(
        self, manifest: Manifest, rows: list[int], stores: dict[str, Store], numbers: dict[str, list[int]]
    ) -> MediaPart:
        case = str.lower if self.lowercase else str
        columns = []
        for name, kind in self.sources:
            if name in stores:
                columns.append(Column(name, kind, (), stores[name], tuple(numbers[name])))
            else:
                columns.append(Column(name, kind, tuple(case(manifest.sources[name][row]) for row in rows)))
        targets = tuple(case(manifest.targets[row]) for row in rows)
        return MediaPart(tuple(columns), targets, tuple(manifest.place(row) for row in rows))

    def corpus(
        self, train: str | Path, valid: str | Path | None = None, test: str | Path | None = None, *, seed: int = 0
    ) -> MediaCorpus:
        """Items for training, validation and test; a part without a manifest is a tenth of the first, chosen by a hash
        of the sources' content and `seed`, so that equal ones never stand on both sides.
        """
        parts: dict[str, MediaPart] = {}
        notes: list[str] = []
        for name, path in (("train", train), ("valid", valid), ("test", test)):
            if path is not None:
                parts[name], told = self.read(path)
                notes += told
        digests = {name: [part.digest(row) for row in range(len(part))] for name, part in parts.items()}
        missing = {name: 0.1 for name in ("test", "valid") if name not in parts}
        for name, part in parts.items():
            known = set(digests["train"]) if name != "train" else set()
            double = [part.places[row] for row, digest in enumerate(digests[name]) if digest in known]
            if double:
                shown = ", ".join(double[:_SHOWN]) + (", …" if len(double) > _SHOWN else "")
                notes.append(f"{len(double)} of {len(part)} {name} sources occur in training too ({shown})")
        if missing:
            whole, rows = parts["train"], [str(row) for row in range(len(parts["train"]))]
            divided = split_by_source(Pairs(digests["train"], rows), missing, seed)
            for name, pairs in divided.items():
                parts[name] = whole.select([int(row) for row in pairs.targets])
        return MediaCorpus(str(train), parts["train"], parts["valid"], parts["test"], _sha256(parts), tuple(notes))


def _sha256(parts: dict[str, MediaPart]) -> str:
    found = hashlib.sha256()
    for name in ("train", "valid", "test"):
        found.update(f"{name} {len(parts[name])}\0".encode())
        for row, target in enumerate(parts[name].targets):
            found.update(f"{parts[name].digest(row)}\0{target}\0".encode())
    return found.hexdigest()
