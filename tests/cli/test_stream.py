from __future__ import annotations

import io

import pytest

from sightline.cli.stream import arriving, shown
from sightline.core.errors import InputError
from sightline.data.rows.files import MAX_LINE_BYTES


class Chunks:
    """A pipe that returns one write at a time."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = [*chunks, b""]

    def read1(self, size: int, /) -> bytes:
        return self.chunks.pop(0)


def test_lines_come_as_soon_as_they_are_whole():
    stream = Chunks(b"one\ntw", b"o\nthree\n", "vi\u00e9".encode()[:3], "\u00e9r\n".encode()[1:], b"five")
    lines = arriving(stream)
    assert next(lines) == ["one"]
    assert len(stream.chunks) == 5  # nothing more was read before the first line was given
    assert next(lines) == ["two", "three"]
    assert next(lines) == ["vi\u00e9r"]
    assert next(lines) == ["five"]
    assert next(lines, None) is None


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\xef\xbb\xbfa\nb", ["a", "b"]),
        ("a\u2028b\x0bc\rd\n\n".encode(), ["a\u2028b\x0bc\rd", ""]),
    ],
    ids=["nothing", "empty_line", "crlf", "byte_order_mark", "line_feed_alone"],
)
def test_a_line_ends_at_a_line_feed_and_nowhere_else(content, lines):
    assert [line for batch in arriving(io.BytesIO(content)) for line in batch] == lines


def test_many_lines_come_in_bounded_lists():
    content = "".join(f"{i}\n" for i in range(5000)).encode()
    batches = list(arriving(io.BytesIO(content), most=700))
    assert max(map(len, batches)) == 700
    assert [line for batch in batches for line in batch] == [str(i) for i in range(5000)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [(b"\xff\xfe", "stdin:3: invalid UTF-8 at byte 1"), (b"a\0b", "stdin:3: NUL at byte 2"),
     (b"x" * (MAX_LINE_BYTES + 1), "stdin:3: the line is longer than")],
    ids=["utf8", "nul", "long"],
)  # fmt: skip
def test_a_bad_line_is_named_after_the_good_ones_were_given(bad, message):
    lines = arriving(io.BytesIO(b"one\ntwo\n" + bad + b"\nfour\n"))
    given = []

    def take_all():
        for batch in lines:
            given.extend(batch)

    with pytest.raises(InputError, match=message):
        take_all()
    assert given == ["one", "two"]


HOSTILE = "a\x1b[31mred\x1b[0m\x1b]0;title\x07b\x1bcc\x07\x9b1md\u202ee\u2066f\tg"


def test_a_terminal_gets_no_control_sequences():
    assert shown(HOSTILE, terminal=True) == "aredbc1mdef\tg"
    assert shown("\u05e9\u05dc\u05d5\u05dd \u200f\u4e2d", terminal=True) == "\u05e9\u05dc\u05d5\u05dd \u200f\u4e2d"


def test_a_file_gets_the_text_as_it_is_in_one_line():
    assert shown(HOSTILE, terminal=False) == HOSTILE
    assert shown("two\nlines\r\nor three", terminal=False) == "two lines or three"
