"""A corpus of running text: documents for training, validation and test, read in blocks, never held in memory.

A scan before training reads everything once: it refuses what is no text, counts, hashes, and says where the blocks
stand. From then on any block may be read at any time, so that order and place in a training are free to choose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from sightline.core.errors import InputError
from sightline.data.text.files import STDLIB, text_files
from sightline.data.text.readers import Block, Document, Fragment, Reader, TextFile
from sightline.data.text.rows import reader_of

Split = Literal["auto", "documents", "position"]
_SHOWN = 5
_FEW = 1000  # documents: of more, no part stays empty


class Held(NamedTuple):
    """A block that holds documents of a part."""

    reader: int
    block: Block
    documents: int  # of this part that begin in the block
    size: int  # bytes of this part's text in it
    only: tuple[int, ...] | None = None  # which of these documents to take, by their place among them; None = all


class TextPart:
    """The documents of one part.

    documents, size: how many, and their bytes of UTF-8; `runs` are the stretches of blocks that are cheap to read only
    in order (of a compressed file), every other block is a stretch of its own.
    """

    def __init__(self, name: str, readers: Sequence[Reader], held: Sequence[Held], belongs: _Belongs) -> None:
        self.name = name
        self.blocks = tuple(held)
        self._readers = readers
        self._belongs = belongs
        self.documents = sum(block.documents for block in held)
        self.size = sum(block.size for block in held)
        self.sizes = np.array([block.size for block in held], dtype=np.int64)

    def __len__(self) -> int:
        return self.documents

    @property
    def runs(self) -> list[range]:
        """Numbers of the blocks of each stretch."""
        starts = [
            number
            for number, held in enumerate(self.blocks)
            if not (number and self._readers[held.reader].in_order and self.blocks[number - 1].reader == held.reader)
        ]
        return [range(a, b) for a, b in zip(starts, [*starts[1:], len(self.blocks)], strict=True)]

    def read(self, number: int) -> Iterator[Fragment]:
        """The texts of block `number` in order."""
        held = self.blocks[number]
        place = 0
        for fragment, digest in self._readers[held.reader].read(held.block):
            if not digest or self._belongs.to(self.name, digest):
                if held.only is None or place in held.only:
                    yield fragment
                place += 1

    def select(self, chosen: Sequence[int]) -> TextPart:
        """The documents that `chosen` names by number, in its order."""
        ends = np.cumsum([held.documents for held in self.blocks])
        taken: list[tuple[int, list[int]]] = []
        for number in chosen:
            if not 0 <= number < self.documents:
                raise InputError(f"the {self.name} part has no document {number}, only {self.documents}")
            block = int(np.searchsorted(ends, number, "right"))
            place = number - int(ends[block] - self.blocks[block].documents)
            if taken and taken[-1][0] == block and taken[-1][1][-1] < place:
                taken[-1][1].append(place)
            else:
                taken.append((block, [place]))
        kept: list[Held] = []
        for block, places in taken:
            kept.append(self._only(block, places))
            following = block + 1  # the rest of a text that is longer than a block
            while following < len(self.blocks) and not self.blocks[following].block.begins:
                kept.append(self.blocks[following])
                following += 1
        return TextPart(self.name, self._readers, kept, self._belongs)

    def _only(self, number: int, places: list[int]) -> Held:
        held = self.blocks[number]
        if len(places) == held.documents:
            return held
        before = range(held.documents) if held.only is None else held.only
        sizes = [len(fragment.text.encode()) for fragment in self.read(number)]
        return held._replace(
            documents=len(places), size=sum(sizes[place] for place in places), only=tuple(before[p] for p in places)
        )

    def numbered(
        self, numbers: Sequence[int] | None = None, most_bytes: int | None = None
    ) -> Iterator[tuple[int, Fragment]]:
        """All texts in order with the numbers of their blocks, or those of the blocks `numbers`, up to `most_bytes`."""
        left = most_bytes
        for number in range(len(self.blocks)) if numbers is None else numbers:
            for fragment in self.read(number):
                if left is not None:
                    raw = fragment.text.encode()
                    if len(raw) > left:  # between characters; what follows is no end of the document
                        yield number, Fragment(raw[:left].decode("utf-8", "ignore"), fragment.begins, False)
                        return
                    left -= len(raw)
                yield number, fragment

    def fragments(self, numbers: Sequence[int] | None = None, most_bytes: int | None = None) -> Iterator[Fragment]:
        """The texts of `numbered`."""
        for _, fragment in self.numbered(numbers, most_bytes):
            yield fragment

    def texts(self) -> Iterator[str]:
        """The whole documents, one after another: for parts that are known to be small."""
        pieces: list[str] = []
        for fragment in self.fragments():
            if fragment.begins and pieces:
                yield "".join(pieces)
                pieces = []
            pieces.append(fragment.text)
        if pieces:
            yield "".join(pieces)

    def sample(self, most_bytes: int) -> list[int]:
        """Numbers of evenly spaced blocks that hold at most about `most_bytes` together, at least one."""
        if self.size <= most_bytes:
            return list(range(len(self.blocks)))
        wanted = max(1, int(len(self.blocks) * most_bytes / self.size))
        return [i * len(self.blocks) // wanted for i in range(wanted)]


@dataclass(frozen=True)
class TextCorpus:
    """Running text for training, validation and test.

    sha256: of the documents themselves, in order, and of how much each part has of them: the same texts, divided in the
        same way, have the same hash in whatever container they came
    notes: what the user should know, a line each
    """

    name: str
    train: TextPart
    valid: TextPart
    test: TextPart
    sha256: str
    notes: tuple[str, ...] = ()
    unit: str = "documents"

    @property
    def sizes(self) -> dict[str, int]:
        """Documents of each part."""
        return {part.name: part.documents for part in (self.train, self.valid, self.test)}


def load_text(
    data: str | Path,
    *,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    column: str = "text",
    split: Split = "auto",
    valid_share: float = 0.1,
    test_share: float = 0.1,
    limit: int | None = None,
    seed: int = 0,
    skip_bad: bool = False,
) -> TextCorpus:
    """Scan and split a corpus; see `text_files` for what `data` may be.

    A document is a file, or a row of JSON Lines or parquet, whose text stands under `column`. Parts that are not given
    as files are split off: by "documents", chosen by a hash of their text and `seed`, so that equal documents never
    stand on both sides; or by "position", the last `test_share` of the one text file for test and `valid_share`
    before it for validation. "auto" is by position for a single text file and by documents otherwise. A share of 0
    leaves its part empty.

    limit: keep only the first so many documents of each part
    skip_bad: leave out and count documents that are no text, in place of raising

    Raises:
        InputError: "corpus.txt:17: invalid UTF-8 at byte 3 (0xff)" and the like: one line that names file and line.
        EnvironmentFault: "corpus.txt: no permission to read it".
    """
    _check_shares(valid_share, test_share)
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, found {limit}")
    name = str(data)
    counted = _Counted(skip_bad or name == STDLIB)
    given = {"valid": valid, "test": test}
    shares = {part: share for part, share in (("test", test_share), ("valid", valid_share)) if given[part] is None}
    readers = [reader_of(path, column) for path in text_files(name)]
    alone = len(readers) == 1 and readers[0].one_document
    if split == "position" and not alone:
        raise InputError("a split by position needs one text file; choose documents", where=name)
    if alone and split == "documents" and any(shares.values()):
        raise InputError("one document cannot be split by documents; choose position", where=name)
    digest = hashlib.sha256()
    if alone:
        parts = _by_position(readers[0], shares, counted, digest)
    else:
        parts = _by_documents(readers, shares, counted, digest, seed)
    for part, files in given.items():
        if files is not None:
            others = [reader_of(path, column) for path in text_files(str(files))]
            parts[part] = _by_documents(others, {}, counted, digest, seed, whole=part)[part]
    for part, files in (("train", data), *given.items()):
        if not parts[part].documents and (part == "train" or files is not None):
            raise InputError(counted.nothing(), where=str(files))
    if limit is not None:
        parts = {part: found.select(range(min(limit, found.documents))) for part, found in parts.items()}
    for part, found in parts.items():
        digest.update(f"{part} {found.documents} {found.size}\0".encode())
    return TextCorpus(name, parts["train"], parts["valid"], parts["test"], digest.hexdigest(), tuple(counted.notes()))


@dataclass
class _Counted:
    """What was left out of a corpus."""

    skip_bad: bool
    skipped: int = 0
    empty: int = 0
    complaints: list[str] = field(default_factory=list)

    def refuse(self, problem: str, place: str) -> None:
        error = InputError(problem, where=place)
        if not self.skip_bad:
            raise error
        self.skipped += 1
        if len(self.complaints) < _SHOWN:
            self.complaints.append(str(error))

    def nothing(self) -> str:
        if self.skipped:
            return f"no good document: {self.skipped} bad ones, first {self.complaints[0]}"
        return "is empty"

    def notes(self) -> Iterator[str]:
        if self.skipped:
            more = f"; and {self.skipped - len(self.complaints)} more" if self.skipped > len(self.complaints) else ""
            yield f"skipped {self.skipped} bad documents: {'; '.join(self.complaints)}{more}"
        if self.empty:
            yield f"left out {self.empty} empty files"


class _Belongs:
    """Which part a document belongs to, by its digest: a number u in [0, 1) from it and the seed, and where that falls.

    test: u >= 0.9, valid: 0.8 <= u < 0.9 for shares of a tenth. Where a part would stay empty, the borders move
    (`moved`) so that the document that comes nearest goes there.
    """

    def __init__(self, seed: int, shares: Mapping[str, float], whole: str = "train") -> None:
        self.seed, self.whole = seed, whole
        self.lowest: dict[str, float] = {}
        low = 1.0
        for part, share in shares.items():
            if share > 0.0:
                low -= share
                self.lowest[part] = low
        self._seen: set[float] = set()

    def place(self, digest: bytes) -> float:
        found = hashlib.sha256(f"{self.seed}/{digest.hex()}".encode()).digest()
        return int.from_bytes(found[:6], "big") / 2**48

    def part(self, digest: bytes) -> str:
        if not self.lowest:
            return self.whole
        u = self.place(digest)
        if len(self._seen) < _FEW:
            self._seen.add(u)
        return next((part for part, low in self.lowest.items() if u >= low), self.whole)

    def to(self, part: str, digest: bytes) -> bool:
        return self.part(digest) == part

    def moved(self) -> bool:
        """Moves the borders so that every part has one of the few documents; False where they are too few."""
        ranked = sorted(self._seen)
        if len(ranked) <= len(self.lowest):
            return False
        for later, part in zip(range(len(self.lowest), 0, -1), self.lowest, strict=True):
            count = sum(u >= self.lowest[part] for u in ranked)
            for _ in range(min(max(count, 1), len(ranked) - later)):
                self.lowest[part] = ranked.pop()
        return True


def _by_documents(
    readers: Sequence[Reader],
    shares: Mapping[str, float],
    counted: _Counted,
    digest: hashlib._Hash,
    seed: int,
    whole: str = "train",
) -> dict[str, TextPart]:
    belongs = _Belongs(seed, shares, whole)
    parts = ("train", "valid", "test")
    while True:
        held: dict[str, list[Held]] = {part: [] for part in parts}
        before, trial = counted.skipped, digest.copy()
        for number, reader in enumerate(readers):
            documents = 0
            for block, found in reader.scan(counted.refuse):
                for part, (count, size) in _tally(block, found, belongs).items():
                    held[part].append(Held(number, block, count, size))
                for document in found if block.begins else ():
                    trial.update(document.digest)
                documents += len(found)
            if not documents and reader.path.stat().st_size == 0:
                counted.empty += 1
        if all(held[part] for part in (whole, *belongs.lowest)) or not any(held.values()):
            break
        if not belongs.moved():
            raise InputError(
                f"too few different documents for {len(belongs.lowest) + 1} parts; "
                "add some, name the files of all parts, or set a share to 0",
                where=readers[0].path,
            )
        counted.skipped, counted.empty = before, 0
        del counted.complaints[before:]
    digest.update(trial.digest())
    return {part: TextPart(part, readers, held[part], belongs) for part in parts}


def _tally(block: Block, documents: Sequence[Document], belongs: _Belongs) -> dict[str, tuple[int, int]]:
    """For each part that the block holds something of, its documents that begin here and its bytes."""
    found: dict[str, tuple[int, int]] = {}
    for document in documents:
        part = belongs.part(document.digest)
        count, size = found.get(part, (0, 0))
        found[part] = count + block.begins, size + document.size
    return found


def _by_position(
    reader: Reader, shares: Mapping[str, float], counted: _Counted, digest: hashlib._Hash
) -> dict[str, TextPart]:
    """Stretches of one text, in the order of training, validation and test; nothing ends where the text goes on."""
    assert isinstance(reader, TextFile)
    scanned = list(reader.scan(counted.refuse))
    digest.update(b"".join(document.digest for _, found in scanned[:1] for document in found))
    held: dict[str, list[Held]] = {part: [] for part in ("train", "valid", "test")}
    first, end = (scanned[0][0].start, scanned[-1][0].stop) if scanned else (0, 0)
    borders, left = [], 1.0
    for part in ("test", "valid"):
        left -= shares.get(part, 0.0)
        borders.append(reader.start_of_character(first + int((end - first) * left)) if scanned and left < 1.0 else end)
    stretches = {"train": (first, borders[1]), "valid": (borders[1], borders[0]), "test": (borders[0], end)}
    for part, (low, high) in stretches.items():
        if scanned and shares.get(part, 0.0) > 0.0 and low == high:
            raise InputError(f"is too short to split off a {part} part", where=reader.path)
        for block, _ in scanned:
            start, stop = max(block.start, low), min(block.stop, high)
            if start < stop:
                piece = Block(start, stop, block.line, start == low, block.ends and stop == block.stop)
                held[part].append(Held(0, piece, int(start == low), stop - start))
    return {part: TextPart(part, [reader], held[part], _Belongs(0, {})) for part in held}


def _check_shares(valid_share: float, test_share: float) -> None:
    for name, share in (("valid_share", valid_share), ("test_share", test_share)):
        if not 0.0 <= share < 1.0:
            raise InputError(f"must be in [0, 1), found {share}", where=name)
    if valid_share + test_share >= 1.0:
        raise InputError(f"{valid_share} and test_share {test_share} leave nothing to train on", where="valid_share")
