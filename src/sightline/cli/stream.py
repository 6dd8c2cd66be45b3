"""Lines of a stream as they come, and texts as they may be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedIOBase
from typing import IO, Protocol, runtime_checkable

from sightline.core.errors import InputError
from sightline.data.rows.files import MAX_LINE_BYTES, checked_line

# Escape sequences (CSI, OSC and two-character ones), other control characters but the tab, and what turns text around.
_HOSTILE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?"
    r"|[\x00-\x08\x0a-\x1f\x7f-\x9f]|[\u202a-\u202e\u2066-\u2069]"
)


@runtime_checkable
class Stream(Protocol):
    """A binary stream such as `sys.stdin.buffer`."""

    def read1(self, size: int, /) -> bytes: ...


def arriving(stream: Stream, *, name: str = "stdin", most: int = 2000) -> Iterator[list[str]]:
    r"""Lists of 1 to `most` lines, each as soon as no more are there to read at once: a reader that waits is answered.

    A line ends at `\n` alone; `\r\n`, a byte order mark at the start and a last line without an end are accepted.

    Raises:
        InputError: "stdin:17: invalid UTF-8 at byte 3 (0xff)", and likewise for NUL and lines over 10 MB.
    """
    number, rest = 0, b""
    ended = False
    while not ended:
        chunk = stream.read1(1 << 16)
        ended = not chunk
        *whole, rest = (rest + chunk).split(b"\n")
        if ended and rest:
            whole, rest = [rest], b""
        if len(rest) > MAX_LINE_BYTES:
            raise InputError(f"the line is longer than {MAX_LINE_BYTES} bytes", where=f"{name}:{number + 1}")
        lines = []
        for raw in whole:
            number += 1
            line = checked_line(number, (raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw) + b"\n")
            if line.error:
                if lines:  # what came before is answered first
                    yield lines
                raise InputError(line.error, where=f"{name}:{number}")
            lines.append(line.text)
            if len(lines) == most:
                yield lines
                lines = []
        if lines:
            yield lines


def shown(text: str, *, terminal: bool) -> str:
    """`text` as one line; on a terminal without control sequences and without what changes the writing direction."""
    text = text.replace("\r\n", " ").replace("\n", " ")
    return _HOSTILE.sub("", text) if terminal else text


def harmless(text: str) -> str:
    """`text` for a terminal, its line ends kept: without control sequences and what changes the writing direction."""
    return "\n".join(_HOSTILE.sub("", line) for line in text.split("\n"))


def whole_text(stream: IO[bytes] | BufferedIOBase, name: str) -> str:
    """All of a stream as one text; a byte order mark is left out.

    Raises:
        InputError: "stdin:17: invalid UTF-8 at byte 3 (0xff)", and likewise for NUL; "stdin: is longer than …".
    """
    raw = stream.read(MAX_LINE_BYTES + 1)
    if len(raw) > MAX_LINE_BYTES:
        raise InputError(f"is longer than {MAX_LINE_BYTES} bytes", where=name)
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    for number, line in enumerate(raw.split(b"\n"), 1):
        if error := checked_line(number, line + b"\n").error:
            raise InputError(error, where=f"{name}:{number}")
    return raw.decode()
