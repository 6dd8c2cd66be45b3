"""A corpus of running text: documents for training, validation and test, read in blocks, never held in memory.

A scan before training reads everything once: it refuses what is not text, counts, hashes, and records where the blocks
are. From then on any block may be read at any time, so that training may choose any order and place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.settings import check_in_range
from sightline.data.corpus import Corpus, limited
from sightline.data.rows.record import Refusals
from sightline.data.split import PARTS, HashSplit
from sightline.data.text.describe import survey_text
from sightline.data.text.files import STDLIB, text_files
from sightline.data.text.part import PartBlock, TextPart
from sightline.data.text.readers import Block, Document, Reader, TextFile
from sightline.data.text.rows import notes_on_tables, reader_of

TextSplit = Literal["auto", "documents", "position"]
_FEW = 1000  # documents: of more, no part stays empty


@final
@dataclass(frozen=True)
class TextCorpus(Corpus[TextPart]):
    """Running text for training, validation and test.

    sha256: of the documents themselves, in order, and of how much each part has of them: the same texts, divided in the
        same way, have the same hash whatever files they came in
    """

    describe = survey_text


def load_text(
    data: str | Path,
    *,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    column: str = "text",
    split: TextSplit = "auto",
    valid_share: float = 0.1,
    test_share: float = 0.1,
    limit: int | None = None,
    seed: int = 0,
    skip_bad: bool = False,
    trainable: bool = True,
) -> TextCorpus:
    """Scan and split a corpus; see `text_files` for what `data` may be.

    A document is a file, or a row of JSON Lines or parquet, whose text is in `column`. Parts that are not given as
    files are split off: by "documents", chosen by a hash of their text and `seed`, so that equal documents are never in
    two parts; or by "position", the last `test_share` of the one text file for test and `valid_share`
    before it for validation. "auto" is by position for a single text file and by documents otherwise. A share of 0
    leaves its part empty.

    limit: keep only the first `limit` documents of each part
    skip_bad: leave out and count documents that are not text, instead of raising
    trainable: refuse too little text to divide; otherwise it is all training, and that is the corpus' `problem`

    Raises:
        InputError: "corpus.txt:17: invalid UTF-8 at byte 3 (0xff)" and the like: one line that names file and line.
        EnvironmentFault: "corpus.txt: no permission to read it".
    """
    _check_shares(valid_share, test_share)
    name = str(data)
    files_of: dict[str, str | Path | None] = {"valid": valid, "test": test}
    shares = {part: share for part, share in (("test", test_share), ("valid", valid_share)) if files_of[part] is None}
    readers = [reader_of(path, column) for path in text_files(name)]
    alone = _is_divided_by_position(readers, split, any(shares.values()), name)

    def divided(shares: Mapping[str, float]) -> tuple[dict[str, TextPart], _Counted, hashlib._Hash]:
        counted = _Counted("", skip_bad=skip_bad or name == STDLIB, unit="document")
        digest = hashlib.sha256()
        if alone:
            return _by_position(readers[0], shares, counted, digest), counted, digest
        return _by_documents(readers, shares, counted, digest, seed), counted, digest

    problem = ""
    try:
        parts, counted, digest = divided(shares)
    except InputError as error:
        if trainable:
            raise
        problem = str(error)
        parts, counted, digest = divided({})  # raises again where the texts are bad, not too few
    for part, files in files_of.items():
        if files is not None:
            others = [reader_of(path, column) for path in text_files(str(files))]
            parts[part] = _by_documents(others, {}, counted, digest, seed, whole=part)[part]
    for part, files in (("train", data), *files_of.items()):
        if part == "train" or files is not None:
            counted.check_some(parts[part].documents, files, "is empty")
    parts = limited(parts, limit)
    for part in parts.values():
        digest.update(f"{part.name} {part.documents} {part.size}\0".encode())
    notes = (*counted.notes(), *notes_on_tables(readers))
    return TextCorpus(name, **parts, sha256=digest.hexdigest(), notes=notes, problem=problem)


def _is_divided_by_position(readers: Sequence[Reader], split: TextSplit, divided: bool, name: str) -> bool:
    """Whether the corpus is one document; `InputError` where it cannot be `divided` by this split."""
    alone = len(readers) == 1 and readers[0].one_document
    if split == "position" and not alone:
        raise InputError("a split by position needs one text file; choose documents", where=name)
    if alone and split == "documents" and divided:
        raise InputError("one document cannot be split by documents; choose position", where=name)
    return alone


@final
@dataclass
class _Counted(Refusals):
    """Counts of the documents and files that were left out of a corpus."""

    empty: int = 0

    def notes(self) -> list[str]:
        return super().notes() + ([f"left out {number_of(self.empty, 'empty file')}"] if self.empty else [])


def _by_documents(
    readers: Sequence[Reader],
    shares: Mapping[str, float],
    counted: _Counted,
    digest: hashlib._Hash,
    seed: int,
    whole: str = "train",
) -> dict[str, TextPart]:
    split = HashSplit(shares, seed, rest=whole)
    drawn: set[float] = set()  # of the first documents, the numbers that `split` goes by
    while True:
        blocks: dict[str, list[PartBlock]] = {part: [] for part in PARTS}
        before, trial = counted.skipped, digest.copy()
        for number, reader in enumerate(readers):
            count = 0
            for block, documents in reader.scan(counted.refuse):
                for part, (begun, size) in _tally(block, documents, split).items():
                    blocks[part].append(PartBlock(number, block, begun, size))
                for document in documents:
                    if block.begins:
                        trial.update(document.digest)
                    if len(drawn) < _FEW:
                        drawn.add(split.u(document.digest.hex()))
                count += len(documents)
            if not count and reader.path.stat().st_size == 0:
                counted.empty += 1
        if all(blocks[part] for part in (whole, *split.lowest)) or not any(blocks.values()):
            break
        if not split.fill(drawn):
            raise InputError(
                f"too few different documents for {len(split.lowest) + 1} parts; "
                "add some, give the files of all parts, or set a share to 0",
                where=readers[0].path,
            )
        counted.skipped, counted.empty = before, 0
        del counted.complaints[before:]
    digest.update(trial.digest())
    return {part: TextPart(part, readers, blocks[part], split) for part in PARTS}


def _tally(block: Block, documents: Sequence[Document], split: HashSplit) -> dict[str, tuple[int, int]]:
    """For each part with text in the block, the number of its documents that begin here, and their bytes."""
    tally: dict[str, tuple[int, int]] = {}
    for document in documents:
        part = split.part(document.digest.hex())
        count, size = tally.get(part, (0, 0))
        tally[part] = count + block.begins, size + document.size
    return tally


def _by_position(
    reader: Reader, shares: Mapping[str, float], counted: _Counted, digest: hashlib._Hash
) -> dict[str, TextPart]:
    """Stretches of one text, in the order of training, validation and test; a stretch ends only where the text does."""
    assert isinstance(reader, TextFile)
    scanned = list(reader.scan(counted.refuse))
    digest.update(b"".join(document.digest for _, documents in scanned[:1] for document in documents))
    blocks: dict[str, list[PartBlock]] = {part: [] for part in PARTS}
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
                blocks[part].append(PartBlock(0, piece, int(start == low), stop - start))
    return {part: TextPart(part, [reader], blocks[part], HashSplit({}, 0)) for part in PARTS}


def _check_shares(valid_share: float, test_share: float) -> None:
    for name, share in (("valid_share", valid_share), ("test_share", test_share)):
        check_in_range(name, share, at_least=0.0, below=1.0)
    if valid_share + test_share >= 1.0:
        raise InputError(f"{valid_share} and test_share {test_share} leave nothing to train on", where="valid_share")
