"""A corpus of sounds, pictures or texts with target texts, read from manifests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from sightline.data.corpus import Corpus, limited, overlap_notes, sha256_of, split_off
from sightline.data.media.audio import AudioOptions
from sightline.data.media.columns import (
    KEEP_BYTES,
    AudioReader,
    Column,
    FileReader,
    ImageReader,
    MediaKind,
    MediaPart,
    Store,
)
from sightline.data.media.describe import survey_media
from sightline.data.media.images import ImageOptions
from sightline.data.media.manifest import Manifest, read_manifest
from sightline.data.split import SHARES, HashSplit

_SHOWN = 5


@final
@dataclass(frozen=True)
class MediaCorpus(Corpus[MediaPart]):
    """Items for training, validation and test; `sha256` is of samples, pixels and texts, whatever their files."""

    describe = survey_media


@final
@dataclass(frozen=True)
class MediaReading:
    """Options for reading a manifest: its source columns with their kinds, in order, and the options for files.

    limit: items of each part, the first ones; None = all
    base: the folder that the paths are relative to; None = the manifest's own
    skip_bad: leave out and report rows whose cells or files are bad, instead of raising
    """

    sources: tuple[tuple[str, MediaKind], ...]
    target: str = "target"
    audio: AudioOptions = field(default_factory=AudioOptions)
    image: ImageOptions = field(default_factory=ImageOptions)
    limit: int | None = None
    lowercase: bool = False
    skip_bad: bool = False
    base: Path | None = None

    def read(
        self, path: str | Path, *, keep_bytes: int = KEEP_BYTES, split: HashSplit | None = None
    ) -> tuple[MediaPart, list[str]]:
        """The items of a manifest, and notes on rows that were skipped.

        split: how the items will be divided: the limit is of each of these parts, otherwise of all items

        Raises:
            InputError: "clips.csv:17: clips/a.wav: no such file", and whatever else is wrong with table or files.
        """
        names = tuple(name for name, _ in self.sources)
        manifest = read_manifest(path, sources=names, target=self.target, base=self.base, skip_bad=self.skip_bad)
        stores = {
            name: Store(self._reader(kind), keep_bytes // len(names)) for name, kind in self.sources if kind != "text"
        }
        rows: list[int] = []
        numbers: dict[str, list[int]] = {name: [] for name in stores}
        table = manifest.table
        split = split or HashSplit({}, 0)
        counts: Counter[str] = Counter()
        for row in range(len(manifest.targets)):
            if self.limit is not None and all(counts[part] >= self.limit for part in split.parts):
                break
            try:
                added = {
                    name: store.add(manifest.file(name, row), manifest.place(row)) for name, store in stores.items()
                }
            except ValueError as error:
                table.refuse(error, manifest.place(row))
                continue
            rows.append(row)
            for name, number in added.items():
                numbers[name].append(number)
            if self.limit is not None:
                one = {name: [number] for name, number in added.items()}
                counts[split.part(self._part(manifest, [row], stores, one).digest(0))] += 1
        table.check_some(rows)
        notes = [f"{path}: {note}" for store in stores.values() for note in store.notes()]
        return self._part(manifest, rows, stores, numbers), manifest.notes + table.notes() + notes

    def _reader(self, kind: MediaKind) -> FileReader:
        return AudioReader(self.audio) if kind == "audio" else ImageReader(self.image)

    def _part(
        self, manifest: Manifest, rows: list[int], stores: dict[str, Store], numbers: dict[str, list[int]]
    ) -> MediaPart:
        case = (lambda cell: str(cell).lower()) if self.lowercase else str
        columns = []
        for name, kind in self.sources:
            if name in stores:
                columns.append(Column(name, kind, (), stores[name], tuple(numbers[name])))
            else:
                columns.append(Column(name, kind, tuple(case(manifest.sources[name][row]) for row in rows)))
        targets = tuple(case(manifest.targets[row]) for row in rows)
        return MediaPart(tuple(columns), targets, tuple(manifest.place(row) for row in rows))

    def corpus(
        self,
        train: str | Path,
        valid: str | Path | None = None,
        test: str | Path | None = None,
        *,
        seed: int = 0,
        trainable: bool = True,
    ) -> MediaCorpus:
        """Items for training, validation and test; a part without a manifest is a tenth of the first, chosen by a hash
        of the sources' content and `seed`, so that equal ones are never in two parts.

        trainable: refuse too few items to divide; otherwise that is the corpus' `problem`
        """
        files = {"train": train, "valid": valid, "test": test}
        parts: dict[str, MediaPart] = {}
        notes: list[str] = []
        for name, path in files.items():
            if path is not None:
                divided = {part: share for part, share in SHARES.items() if files[part] is None and name == "train"}
                parts[name], of_file = self.read(path, split=HashSplit(divided, seed))
                notes += of_file
        keys = parts["train"].digests()
        for name, part in parts.items():
            if name != "train":
                notes += overlap_notes(name, part.digests(), set(keys), part.places, most=_SHOWN)
        parts, problem = split_off(parts, keys, seed, where=train, trainable=trainable)
        parts = limited(parts, self.limit)
        sha256 = sha256_of({n: list(zip(part.digests(), part.targets, strict=True)) for n, part in parts.items()})
        return MediaCorpus(str(train), **parts, sha256=sha256, notes=tuple(notes), problem=problem)
