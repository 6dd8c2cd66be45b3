"""MP3 without a header that counts its frames, such as one that was written into a pipe.

libsndfile then guesses the length from the first frames and reads no further than its guess, which is too short where
the bit rate varies. A header frame as Xing's encoder writes it, which names the number of frames, in front of the file
gives it the length; the decoder then leaves out the 529 samples of its own delay at the start.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple, final

_KBIT = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG-1, layer III
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG-2 and 2.5
}
_RATES_HZ = (44_100, 48_000, 32_000)
_MARK = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
_LONG = 9  # index of a bit rate whose frames have room for the count at every rate


@final
class Frame(NamedTuple):
    """A frame of layer III: where it begins, and where behind its header a count may be."""

    start: int
    count_at: int


def is_mp3(head: bytes) -> bool:
    """Whether a file with these first bytes is MP3."""
    return head[:3] == b"ID3" or _MARK.match(head) is not None


def counted(content: bytes) -> bytes:
    """The content, with a frame in front that counts the others where none does so and their bit rate varies.

    Raises:
        ValueError: "is cut short: 100 frames are named, 57 are there".
    """
    frames = [*_frames(content)]
    if not frames:
        return content
    first = frames[0]
    at = first.start + first.count_at
    head = content[at : at + 12]
    if head[:4] in (b"Xing", b"Info"):
        flags, count = struct.unpack(">II", head[4:].ljust(8, b"\0"))
        if flags & 1 and count:
            if len(frames) - 1 < count:
                raise ValueError(f"is cut short: {count} frames are named, {len(frames) - 1} are there")
            return content
        frames = frames[1:]
    if len({content[frame.start + 2] >> 4 for frame in frames}) < 2:
        return content
    mark = bytearray(content[first.start : first.start + 4])
    mark[1] |= 1  # no checksum
    mark[2] = (mark[2] & 0x0C) | _LONG << 4
    frame = bytes(mark).ljust(first.count_at, b"\0") + b"Xing" + struct.pack(">II", 1, len(frames))
    size = _size(bytes(mark))
    return frame.ljust(size, b"\0") + content[frames[0].start :]


def _frames(content: bytes) -> Iterator[Frame]:
    at = 0
    if content[:3] == b"ID3" and len(content) > 10:
        size = 0
        for byte in content[6:10]:
            size = size << 7 | (byte & 0x7F)
        at = 10 + size
    while (match := _MARK.search(content, at)) is not None:  # what is between frames is left out by the decoder too
        at = match.start()
        size = _size(content[at : at + 4])
        following = content[at + size : at + size + 8]
        ends = len(following) < 2 or following.startswith((b"TAG", b"APETAGEX"))
        if not size or not (ends or _MARK.match(following)):
            at += 1
            continue
        if at + size > len(content):
            return
        mpeg1, mono = bool(content[at + 1] & 8), content[at + 3] >> 6 == 3
        yield Frame(at, 4 + ((17 if mono else 32) if mpeg1 else (9 if mono else 17)))
        at += size


def _size(mark: bytes) -> int:
    """The bytes of the frame that the header begins; 0 where it is not a header of MP3."""
    if len(mark) < 4:
        return 0
    mpeg1, kbit, rate = bool(mark[1] & 8), mark[2] >> 4, mark[2] >> 2 & 3
    if kbit in (0, 15) or rate == 3 or mark[1] >> 3 & 3 == 1:
        return 0
    scale = {3: 1, 2: 2, 0: 4}[mark[1] >> 3 & 3]  # of MPEG-1, 2 and 2.5
    padding = mark[2] >> 1 & 1
    return (144_000 if mpeg1 else 72_000) * _KBIT[mpeg1][kbit] * scale // _RATES_HZ[rate] + padding
