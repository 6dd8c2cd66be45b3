r"""The user's files as checked lines of text, in bounded memory.

A line ends at `\n` and nowhere else; `\r\n` ends and a byte order mark are accepted. Every error is one line that names
the file and the line.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from itertools import accumulate, count, repeat
from pathlib import Path
from typing import NamedTuple, final

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.rows.compression import MAGIC_BYTES, check_magic, compression_of, is_broken

MAX_LINE_BYTES = 10_000_000
MAX_EXPANSION = 200  # real text shrinks three- to twentyfold, a gzip bomb a thousandfold
_FREE_BYTES = 16 << 20  # below this the expansion does not matter
_BLOCK_BYTES = 1 << 16  # that are checked at a time
BOM, UTF16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


class TextLine(NamedTuple):
    """A line's number, from 1, its text, and its problem; the text is then the readable rest.

    stop: bytes of the file's content up to the end of the line
    """

    number: int
    text: str
    error: str | None = None
    stop: int = 0


def check_file(path: Path) -> None:
    """Refuse anything but a readable regular file.

    Raises:
        InputError: "pairs.tsv: no such file", "pairs: is a directory", "pairs.tsv: is not a regular file but a FIFO".
        EnvironmentFault: "pairs.tsv: no permission to read it".
    """
    try:
        mode = path.stat().st_mode
    except PermissionError:
        raise EnvironmentFault(f"{path}: no permission to read it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        missing = isinstance(error, (FileNotFoundError, NotADirectoryError))
        raise InputError("no such file" if missing else f"cannot be opened: {reason}", where=_name(path)) from None
    if stat.S_ISDIR(mode):
        raise InputError("is a directory; give a file in it", where=_name(path))
    if not stat.S_ISREG(mode):
        raise InputError(f"is not a regular file but a {_kind(mode)}; save the data in a file first", where=_name(path))
    if not os.access(path, os.R_OK):
        raise EnvironmentFault(f"{path}: no permission to read it")


def open_bytes(path: Path) -> BufferedIOBase:
    """A stream of the file's content, decompressed when its name says so (`COMPRESSIONS`).

    Raises:
        InputError: "a.tsv: is xz: let its name end in .xz" and the like: what `check_magic` raises.
        EnvironmentFault: "a.tsv.zst: reading .zst needs backports.zstd: pip install backports.zstd".
    """
    check_file(path)
    try:
        raw = path.open("rb")
    except PermissionError:
        raise EnvironmentFault(f"{path}: no permission to read it") from None
    try:
        check_magic(path, raw.read(MAGIC_BYTES))
    except InputError:
        raw.close()
        raise
    entry = compression_of(path)
    if entry is None:
        raw.seek(0)
        return raw
    raw.close()
    return entry.open(path)


def read_lines(path: Path) -> Generator[TextLine, None, None]:
    """The lines of a text file, without their ends.

    A line that cannot be used (too long, NUL, not UTF-8) comes with its `error`: the caller may skip it.

    Raises:
        InputError: a problem of the whole file, such as "pairs.tsv: is empty" or "pairs.tsv.gz: broken gzip: …".
    """
    number = stop = 0
    with open_bytes(path) as stream:
        for block, end in _blocks(stream, path):
            begin, stop = stop, end
            if not number:
                if block.startswith(UTF16):
                    raise InputError("is UTF-16; save it as UTF-8", where=f"{path}:1")
                begin += len(BOM) if block.startswith(BOM) else 0
                block = block.removeprefix(BOM)
            for line in _lines(block, number + 1, begin, stop):
                number = line.number
                yield line
    if not number:
        raise InputError("is empty", where=path)


def _lines(block: bytes, number: int, start: int, stop: int) -> Iterator[TextLine]:
    """The lines of a block of whole lines, from line `number` on, between two places."""
    if len(block) <= MAX_LINE_BYTES and b"\0" not in block and b"\r" not in block:
        try:
            texts = block.removesuffix(b"\n").decode().split("\n") if block else []
        except UnicodeDecodeError:
            pass
        else:
            _, *ends = accumulate(map((1).__add__, map(len, block.split(b"\n"))), initial=start)
            ends[len(texts) - 1 :] = [stop]  # without a line end in the last line of a file
            yield from map(TextLine, count(number), texts, repeat(None), ends)
            return
    for line in split_lines(block, number, start):
        yield line._replace(stop=stop) if line.stop - start == len(block) else line


def without_blank_end(lines: Iterable[TextLine]) -> Iterator[TextLine]:
    """The lines without the empty ones at the end of the file."""
    blank: list[TextLine] = []
    for line in lines:
        if not line.text and not line.error:
            blank.append(line)
            continue
        if blank:
            yield from blank
            blank.clear()
        yield line


def split_lines(content: bytes, number: int, stop: int = 0) -> Iterator[TextLine]:
    """The lines of a part of a text file that begins with line `number`, after `stop` bytes."""
    for raw in io.BytesIO(content):
        stop += len(raw)
        yield checked_line(number, raw.removeprefix(BOM) if number == 1 else raw, stop)
        number += 1


def _blocks(stream: BufferedIOBase, path: Path) -> Iterator[tuple[bytes, int]]:
    """Blocks of whole lines with the place of their end; of too long a line its first `MAX_LINE_BYTES` + 1 bytes."""
    size = path.stat().st_size
    expanded = 0
    with plain_errors(path):
        while block := stream.read(_BLOCK_BYTES):
            expanded += len(block)
            if not block.endswith(b"\n"):
                rest = stream.readline(MAX_LINE_BYTES + 1)
                block += rest
                expanded += len(rest)
                while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
                    rest = stream.readline(MAX_LINE_BYTES + 1)
                    expanded += len(rest)
                    check_expansion(expanded, size, path)
            check_expansion(expanded, size, path)
            yield block, expanded


def read_whole(path: Path) -> bytes:
    """All bytes of a file, decompressed, for formats that need random access."""
    size = path.stat().st_size
    chunks: list[bytes] = []
    total = 0
    with open_bytes(path) as stream, plain_errors(path):
        while chunk := stream.read(1 << 20):
            total += len(chunk)
            check_expansion(total, size, path)
            chunks.append(chunk)
    return b"".join(chunks)


@final
class Content:
    """The content of a file at any place; of a compressed one best read forwards."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: BufferedIOBase | None = None

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`."""
        if compression_of(self.path) is None:
            with open_bytes(self.path) as stream, plain_errors(self.path):
                stream.seek(start)
                return self._whole(stream.read(stop - start), stop - start)
        if self._stream is None or self._stream.tell() > start:
            self._stream = open_bytes(self.path)
        with plain_errors(self.path):
            self._stream.seek(start)
            return self._whole(self._stream.read(stop - start), stop - start)

    def _whole(self, content: bytes, size: int) -> bytes:
        if len(content) < size:
            raise InputError("has become shorter since it was read first", where=self.path)
        return content


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Raise failures to read a file as errors of one line."""
    try:
        yield
    except Exception as error:
        entry = compression_of(path)
        if entry is not None and is_broken(error):
            raise InputError(f"broken {entry.name}: {str(error).lower()}", where=path) from None
        if isinstance(error, OSError):
            raise EnvironmentFault(f"{path}: cannot be read: {error.strerror or error}") from None
        raise


def check_expansion(expanded: int, size: int, path: Path) -> None:
    """Refuse a file whose content, `expanded` bytes so far, is out of proportion to its `size`.

    Raises:
        InputError: "pairs.tsv.gz: expands to more than 200 times its 1000 bytes; …".
    """
    if expanded > _FREE_BYTES and expanded > MAX_EXPANSION * size:
        raise InputError(
            f"expands to more than {MAX_EXPANSION} times its {size} bytes; if this is intended, save it uncompressed",
            where=path,
        )


def checked_line(number: int, raw: bytes, stop: int = 0) -> TextLine:
    """The line in `raw`, which includes its end, and its problem."""
    end = -2 if raw.endswith(b"\r\n") else -1 if raw.endswith(b"\n") else None
    raw = raw[:end]
    if len(raw) > MAX_LINE_BYTES:
        return TextLine(number, "", f"the line is longer than {MAX_LINE_BYTES} bytes", stop)
    if b"\0" in raw:
        text = raw.replace(b"\0", b"").decode("utf-8", "replace")
        return TextLine(number, text, f"NUL at byte {raw.index(0) + 1}: is this a text file in UTF-8?", stop)
    try:
        return TextLine(number, raw.decode("utf-8"), None, stop)
    except UnicodeDecodeError as error:
        problem = f"invalid UTF-8 at byte {error.start + 1} (0x{raw[error.start]:02x}): convert the text to UTF-8"
        return TextLine(number, raw.decode("utf-8", "replace"), problem, stop)


def _kind(mode: int) -> str:
    tests = {"FIFO": stat.S_ISFIFO, "socket": stat.S_ISSOCK, "device": lambda m: stat.S_ISCHR(m) or stat.S_ISBLK(m)}
    return next((name for name, test in tests.items() if test(mode)), "special file")


def _name(path: Path) -> str:
    """The path as one printable line, whatever characters it contains."""
    text = str(path)
    return text if text.isprintable() else ascii(text)[1:-1]
