"""One part of a corpus of running text: its documents, read in blocks, never held in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, final

import numpy as np

from sightline.core.errors import InputError
from sightline.data.spaced import spaced
from sightline.data.split import HashSplit
from sightline.data.text.readers import Block, Fragment, Reader


class PartBlock(NamedTuple):
    """A block with documents of a part."""

    reader: int
    block: Block
    documents: int  # of this part that begin in the block
    size: int  # bytes of this part's text in it
    only: tuple[int, ...] | None = None  # which of these documents to take, by their place among them; None = all


@final
class TextPart:
    """The documents of one part.

    documents, size: how many, and their bytes of UTF-8; `runs` are the stretches of blocks that are cheap to read only
    in order (of a compressed file), every other block is a stretch of its own.
    """

    def __init__(self, name: str, readers: Sequence[Reader], blocks: Sequence[PartBlock], split: HashSplit) -> None:
        self.name = name
        self.blocks = tuple(blocks)
        self._readers = readers
        self._split = split
        self.documents = sum(block.documents for block in blocks)
        self.size = sum(block.size for block in blocks)
        self.sizes = np.array([block.size for block in blocks], dtype=np.int64)

    def __len__(self) -> int:
        return self.documents

    @property
    def runs(self) -> list[range]:
        """Numbers of the blocks of each stretch."""
        starts = [
            number
            for number, one in enumerate(self.blocks)
            if not (number and self._readers[one.reader].in_order and self.blocks[number - 1].reader == one.reader)
        ]
        return [range(a, b) for a, b in zip(starts, [*starts[1:], len(self.blocks)], strict=True)]

    def read(self, number: int) -> Iterator[Fragment]:
        """The texts of block `number` in order."""
        one = self.blocks[number]
        place = 0
        for fragment, digest in self._readers[one.reader].read(one.block):
            if not digest or self._split.part(digest.hex()) == self.name:
                if one.only is None or place in one.only:
                    yield fragment
                place += 1

    def select(self, rows: Sequence[int]) -> TextPart:
        """The documents of these numbers, in their order."""
        ends = np.cumsum([block.documents for block in self.blocks])
        taken: list[tuple[int, list[int]]] = []
        for number in rows:
            if not 0 <= number < self.documents:
                raise InputError(f"the {self.name} part has no document {number}, only {self.documents}")
            block = int(np.searchsorted(ends, number, "right"))
            place = number - int(ends[block] - self.blocks[block].documents)
            if taken and taken[-1][0] == block and taken[-1][1][-1] < place:
                taken[-1][1].append(place)
            else:
                taken.append((block, [place]))
        kept: list[PartBlock] = []
        for block, places in taken:
            kept.append(self._only(block, places))
            following = block + 1  # the rest of a document longer than a block
            while following < len(self.blocks) and not self.blocks[following].block.begins:
                kept.append(self.blocks[following])
                following += 1
        return TextPart(self.name, self._readers, kept, self._split)

    def _only(self, number: int, places: list[int]) -> PartBlock:
        whole = self.blocks[number]
        if len(places) == whole.documents:
            return whole
        before = range(whole.documents) if whole.only is None else whole.only
        sizes = [len(fragment.text.encode()) for fragment in self.read(number)]
        return whole._replace(
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
                    if len(raw) > left:  # between characters; the document does not end here
                        yield number, Fragment(raw[:left].decode("utf-8", "ignore"), fragment.begins, False)
                        return
                    left -= len(raw)
                yield number, fragment

    def fragments(self, numbers: Sequence[int] | None = None, most_bytes: int | None = None) -> Iterator[Fragment]:
        """The texts of `numbered`."""
        for _, fragment in self.numbered(numbers, most_bytes):
            yield fragment

    def texts(self) -> Iterator[str]:
        """The whole documents, one after another: only for small parts."""
        pieces: list[str] = []
        for fragment in self.fragments():
            if fragment.begins and pieces:
                yield "".join(pieces)
                pieces = []
            pieces.append(fragment.text)
        if pieces:
            yield "".join(pieces)

    def sample(self, most_bytes: int) -> list[int]:
        """Numbers of evenly spaced blocks of at most about `most_bytes` together, at least one."""
        most = len(self.blocks) if self.size <= most_bytes else int(len(self.blocks) * most_bytes / self.size)
        return spaced(len(self.blocks), max(1, most))
