"""The length of a sound that its header claims, and what is there: libsndfile silently shortens what is cut short."""

from __future__ import annotations

import re
import struct
from typing import Any, NamedTuple, final

from sightline.data.media.files import Opened

_NEAR = 1 << 16  # bytes: a length this close to the limits of 32 bits is written by programs that cannot know it
_PIPES = (1 << 31, 1 << 32)
_MAX_PAGE_BYTES = 27 + 255 + 255 * 255  # of an Ogg page (RFC 3533, § 6)


@final
class Container(NamedTuple):
    """A file of chunks, each an identifier and a length.

    start: of the first chunk; identifier: bytes of it; whole: whether a length counts identifier and length too
    """

    start: int
    data: bytes
    size: str = "<I"
    identifier: int = 4
    align: int = 2
    whole: bool = False


CONTAINERS = {
    b"RIFF": Container(12, b"data"),
    b"RIFX": Container(12, b"data", ">I"),
    b"RF64": Container(12, b"data"),
    b"FORM": Container(12, b"SSND", ">I"),
    b"riff": Container(40, b"data", "<Q", 16, 8, whole=True),
    b"caff": Container(8, b"data", ">Q", align=1),
}


@final
class SoundBytes(NamedTuple):
    """The bytes of a sound: the number that its header claims, None where it cannot know; the number that is there.

    fill: of a header that does not know the length, the place and the bytes that would name it
    """

    claimed: int | None
    present: int
    fill: tuple[int, bytes] | None = None


def sound_bytes(file: Opened) -> SoundBytes | None:
    """The length by the header of a wav, aiff, w64, caf, au or NIST file; None where it is of no such kind."""
    end = file.seek(0, 2)
    file.seek(0)
    head = file.read(1024)
    if head[:4] in (b".snd", b"dns."):
        start, size = struct.unpack((">" if head[:1] == b"." else "<") + "II", head[4:12].ljust(8, b"\0"))
        return SoundBytes(_known(size), end - start)
    if head[:7] == b"NIST_1A":
        facts = dict(re.findall(rb"(\w+) -i (\d+)", head))
        sizes = [int(facts.get(name, 0)) for name in (b"sample_count", b"channel_count", b"sample_n_bytes")]
        header = int(re.sub(rb"\D", b"", head[8:16]) or 0)
        return SoundBytes(sizes[0] * sizes[1] * sizes[2] or None, end - header)
    kind = CONTAINERS.get(head[:4])
    return None if kind is None else _data_chunk(file, kind, end)


def _data_chunk(file: Opened, kind: Container, end: int) -> SoundBytes | None:
    width = struct.calcsize(kind.size)
    header = kind.identifier + width
    at, long, field = kind.start, None, None
    while at + header <= end:
        file.seek(at)
        chunk = file.read(header)
        (size,) = struct.unpack(kind.size, chunk[kind.identifier :])
        size -= header if kind.whole else 0
        body = at + header
        if chunk[:4] == b"ds64":
            long, field = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))[1], body + 8
        if chunk[:4] == kind.data:
            present = end - body
            size = size if long is None or size != 0xFFFFFFFF else long
            claimed = _known(size) if size or _more_chunks(file.read(8), present) else None
            if claimed is not None:
                return SoundBytes(claimed, present)
            if field is not None:
                return SoundBytes(None, present, (field, struct.pack("<Q", present)))
            length = present + (header if kind.whole else 0)
            most = (1 << 8 * width) - 1  # libsndfile reads all there is
            return SoundBytes(None, present, (at + kind.identifier, struct.pack(kind.size, min(length, most))))
        at = body + max(size, 0) + -max(size, 0) % kind.align
    return None


def _known(size: int) -> int | None:
    """A length, or None where it is what programs write into a pipe: near 2^31, 2^32 or 2^64."""
    return None if size >= 1 << 62 or any(abs(size - limit) <= _NEAR for limit in _PIPES) else size


def _more_chunks(following: bytes, rest: int) -> bool:
    """Whether nothing or another chunk follows, and not the samples of a sound whose length was never filled in."""
    if not rest:
        return True
    return following[:4].isalnum() and len(following) == 8 and struct.unpack("<I", following[4:])[0] + 8 <= rest


@final
class Filled:
    """A file whose bytes at one place are others, for a length that was never filled in."""

    def __init__(self, file: Opened, at: int, content: bytes) -> None:
        self._file, self._at, self._content = file, at, content

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file's `seek`."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """As a file's `tell`."""
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        """As a file's `read`."""
        start = self._file.tell()
        content = bytearray(self._file.read(size) or b"")
        for place, byte in enumerate(self._content, self._at - start):
            if 0 <= place < len(content):
                content[place] = byte
        return bytes(content)


def vorbis_frames(file: Opened, subtype: str) -> int | None:
    """The number of frames in the last page of a Vorbis stream; None for other codecs, whose pages count otherwise.

    libsndfile silently leaves out pages that are damaged or missing.

    Raises:
        ValueError: "is cut short: its last Ogg page is missing".
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - _MAX_PAGE_BYTES))
    tail: Any = file.read()
    page: bytes = tail[tail.rfind(b"OggS") :] if b"OggS" in tail else b""
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    if len(page) < 27 or len(page) < 27 + page[26] + sum(segments) or not page[5] & 4:
        raise ValueError("is cut short: its last Ogg page is missing")
    return struct.unpack_from("<q", page, 6)[0] if subtype == "VORBIS" else None
