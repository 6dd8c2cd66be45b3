"""Documents of one file, in blocks that can be read on their own; here a file that is one document, text or code.

`scan` goes through a file once, refuses bad content and lists its blocks; `read` gives the text of a block. Neither
keeps more than a block in memory (`BLOCK_BYTES`, or a row where that is longer; of parquet some thousand rows): the
size of a corpus does not matter.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple, final

from sightline.core.errors import InputError
from sightline.data.rows.compression import compression_of
from sightline.data.rows.files import BOM, UTF16, Content, check_expansion, open_bytes, plain_errors

BLOCK_BYTES = 1 << 18
_BLANK = frozenset(b" \t\r\n\v\f")
_TAIL = 1 << 16  # bytes in which a block looks for a good end

Refuse = Callable[[str, str], None]  # a problem and its place: raises, or counts it where bad rows are skipped


class Block(NamedTuple):
    """A stretch of a file, in bytes of its content or, in parquet, in rows."""

    start: int
    stop: int
    line: int  # number of its first line or row, from 1
    begins: bool = True  # a document begins where the block does
    ends: bool = True  # and ends where it does


class Document(NamedTuple):
    """A scan's record of a document, or of its part in a block: the digest identifies the whole document."""

    digest: bytes
    size: int  # bytes of UTF-8 in this block


class Fragment(NamedTuple):
    """Text of one document, the whole of it where it `begins` and `ends` here."""

    text: str
    begins: bool
    ends: bool


class Reader(ABC):
    """One file of a corpus."""

    one_document: ClassVar[bool]  # the file is one document, and its blocks are stretches of it

    def __init__(self, path: Path, column: str = "text") -> None:
        self.path = path
        self.column = column

    @property
    def in_order(self) -> bool:
        """Whether blocks are cheap to read only one after another."""
        return compression_of(self.path) is not None

    @abstractmethod
    def scan(self, refuse: Refuse) -> Iterator[tuple[Block, list[Document]]]:
        """Every block with its documents, in order."""

    @abstractmethod
    def read(self, block: Block) -> Iterator[tuple[Fragment, bytes]]:
        """The texts of a block in order; with each whole document its digest, with a stretch of one nothing."""


@final
class TextFile(Reader):
    """A file that is one document, line ends as they are; only a byte order mark is left out."""

    one_document = True

    def __init__(self, path: Path, column: str = "text") -> None:
        super().__init__(path, column)
        self._content = Content(path)

    def scan(self, refuse: Refuse) -> Iterator[tuple[Block, list[Document]]]:
        digest, blocks = hashlib.sha256(), []
        try:
            for block, content in self._blocks():
                digest.update(content)
                blocks.append((block, len(content)))
        except _Fault as fault:
            refuse(fault.problem, f"{self.path}:{fault.line}")
            return
        name = digest.digest()
        for block, size in blocks:
            yield block, [Document(name, size)]

    def read(self, block: Block) -> Iterator[tuple[Fragment, bytes]]:
        content = self._content.read(block.start, block.stop)
        yield Fragment(_decoded(content, self.path), block.begins, block.ends), b""

    def start_of_character(self, place: int) -> int:
        """The first place from `place` on where a character begins."""
        following = self._content.read(place, place + 1)
        while following and 0x80 <= following[0] < 0xC0:
            place += 1
            following = self._content.read(place, place + 1)
        return place

    def _blocks(self) -> Iterator[tuple[Block, bytes]]:
        """Blocks with their content."""
        size, place, line, held = self.path.stat().st_size, 0, 1, b""
        last: tuple[Block, bytes] | None = None
        with open_bytes(self.path) as stream, plain_errors(self.path):
            more = stream.read(BLOCK_BYTES)
            if more.startswith(UTF16):
                raise InputError("is UTF-16; save it as UTF-8", where=f"{self.path}:1")
            if more.startswith(BOM):
                more, place = more.removeprefix(BOM), len(BOM)
            while more or held:
                held += more
                check_expansion(place + len(held), size, self.path)
                cut = _cut(held) if more else len(held)
                content, held = held[:cut], held[cut:]
                _check(content, line)
                if last is not None:
                    yield last
                last = Block(place, place + cut, line, last is None, False), content
                place += cut
                line += content.count(b"\n")
                more = stream.read(BLOCK_BYTES)
        if last is not None:
            yield last[0]._replace(ends=True), last[1]


@final
class _Fault(Exception):
    """The fault of a text, and its line."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem, self.line = problem, line


def _cut(held: bytes) -> int:
    """Where a block of text may end: after the last line end between two words, or between characters.

    No tokenizer joins the two sides of such a line end, so that text in blocks has the tokens of the whole.
    """
    floor, end, second = max(0, len(held) - _TAIL), len(held), 0
    while (end := held.rfind(b"\n", floor, end)) > 0:
        if end + 1 < len(held) and held[end + 1] not in _BLANK:
            if held[end - 1] not in _BLANK:
                return end + 1
            second = second or end + 1
    if second:
        return second
    cut = len(held) - 1
    while cut > len(held) - 4 and 0x80 <= held[cut] < 0xC0:
        cut -= 1
    return cut or len(held)


def _check(content: bytes, line: int) -> None:
    """Raise `_Fault` where text that begins on `line` is not UTF-8 or contains a NUL."""
    try:
        content.decode()
        at, what = content.index(0), "NUL at byte {}: is this a text file in UTF-8?"
    except UnicodeDecodeError as error:
        at, what = error.start, f"invalid UTF-8 at byte {{}} (0x{content[error.start]:02x}): convert the text to UTF-8"
    except ValueError:  # no NUL
        return
    begin = content.rfind(b"\n", 0, at) + 1
    raise _Fault(what.format(at - begin + 1), line + content.count(b"\n", 0, at))


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InputError("has changed since it was read first", where=path) from None
