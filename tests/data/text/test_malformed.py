"""Bad text ends in one line that names the file, and the line where there is one."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.text import readers
from sightline.data.text.corpus import load_text

GOOD = b'{"text": "good"}\n'


def parquet(column: str = "text", values: tuple[object, ...] = ("a", "b", "c", "d")) -> Callable[[Path], None]:
    return lambda path: pl.DataFrame({column: values}).write_parquet(path)


def cut_parquet(path: Path) -> None:
    pl.DataFrame({"text": ["some text"] * 100}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])


def bomb(path: Path) -> None:
    path.write_bytes(gzip.compress(b"a" * 40_000_000))


def cut_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(os.urandom(50_000).hex().encode())[:-2000])


# name of the case: (file, content or writer, the place after the path, the message)
CASES: dict[str, tuple[str, bytes | Callable[[Path], object], str, str]] = {
    "text: empty": ("a.txt", b"", "", "is empty"),
    "text: only a byte order mark": ("a.txt", b"\xef\xbb\xbf", "", "is empty"),
    "text: invalid UTF-8": ("a.txt", b"one\ntwo\nth\xffree\n", ":3", "invalid UTF-8 at byte 3 (0xff)"),
    "text: Latin-1": (
        "a.py",
        "# M\u00e4rz\n".encode("latin-1"),
        ":1",
        "invalid UTF-8 at byte 4 (0xe4): convert the text to UTF-8",
    ),
    "text: cut inside a character": ("a.txt", b"one\nt\xe6\x97", ":2", "invalid UTF-8 at byte 2 (0xe6)"),
    "text: an encoded surrogate": ("a.txt", b"x\xed\xa0\x80\n", ":1", "invalid UTF-8 at byte 2 (0xed)"),
    "text: overlong": ("a.txt", b"\n\n\xc0\xaf\n", ":3", "invalid UTF-8 at byte 1 (0xc0)"),
    "text: NUL": ("a.txt", b"one\n\ntw\0o\n", ":3", "NUL at byte 3: is this a text file in UTF-8?"),
    "text: UTF-16": ("a.txt", "text\n".encode("utf-16"), ":1", "is UTF-16; save it as UTF-8"),
    "text: UTF-16 unmarked": ("a.txt", "text\n".encode("utf-16-le"), ":1", "NUL at byte 2"),
    "text: a picture": ("a.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "", "is a PNG picture"),
    "text: far behind": ("a.txt", b"line\n" * 200_000 + b"ba\x80d\n", ":200001", "invalid UTF-8 at byte 3 (0x80)"),
    "text: too short": ("a.txt", b"ab", "", "is too short to split off a"),
    "gzip: no gzip": ("a.txt.gz", b"text", "", "is not gzip although its name ends in .gz"),
    "gzip: unnamed": ("a.txt", gzip.compress(b"text"), "", "is gzip: let its name end in .gz"),
    "gzip: cut short": ("a.txt.gz", cut_gzip, "", "broken gzip"),
    "gzip: damaged": ("a.txt.gz", gzip.compress(b"text")[:-8] + b"\0" * 8, "", "broken gzip"),
    "gzip: a bomb": ("a.txt.gz", bomb, "", "expands to more than 200 times its"),
    "gzip: a bomb of rows": ("a.jsonl.gz", bomb, "", "expands to more than 200 times its"),
    "gzip: bad text inside": ("a.txt.gz", gzip.compress(b"one\n\xff"), ":2", "invalid UTF-8 at byte 1 (0xff)"),
    "jsonl: not JSON": ("a.jsonl", GOOD + b"text\n", ":2", "bad JSON: Expecting value at character 1"),
    "jsonl: cut short": ("a.jsonl", GOOD + b'{"text": "b\n', ":2", "bad JSON: Unterminated string"),
    "jsonl: a list": ("a.jsonl", b'["a"]\n', ":1", "expected a JSON object, found a list"),
    "jsonl: missing key": ("a.jsonl", b'{"txt": "a"}\n', ":1", "no key 'text', did you mean 'txt'?"),
    "jsonl: a number": ("a.jsonl", GOOD + b'{"text": 7}\n', ":2", "'text' must be a string, found a number"),
    "jsonl: null": ("a.jsonl", GOOD + b'{"text": null}\n', ":2", "'text' is empty"),
    "jsonl: a huge number": ("a.jsonl", b'{"text": %s}\n' % (b"9" * 9999), ":1", "found a number"),
    "jsonl: NaN": ("a.jsonl", b'{"text": NaN}\n', ":1", "NaN is not a JSON value"),
    "jsonl: key twice": ("a.jsonl", b'{"text": "a", "text": "b"}\n', ":1", "the key 'text' occurs twice"),
    "jsonl: deep": ("a.jsonl", b"[" * 100_000 + b"\n", ":1", "the JSON is nested too deeply"),
    "jsonl: surrogate": ("a.jsonl", b'{"text": "\\ud800"}\n', ":1", "contains an unpaired surrogate"),
    "jsonl: NUL": ("a.jsonl", b'{"text": "a\\u0000"}\n', ":1", "NUL in 'text'"),
    "jsonl: empty text": ("a.jsonl", GOOD + b'{"text": ""}\n', ":2", "'text' is empty"),
    "jsonl: empty line": ("a.jsonl", GOOD + b"\n" + GOOD, ":2", "bad JSON: Expecting value"),
    "jsonl: invalid UTF-8": ("a.jsonl", GOOD + b'{"text": "\xff"}\n', ":2", "invalid UTF-8 at byte 11 (0xff)"),
    "jsonl: UTF-16": ("a.jsonl", GOOD.decode().encode("utf-16"), ":1", "is UTF-16; save it as UTF-8"),
    "jsonl: one long line": (
        "a.jsonl",
        b'{"text": "' + b"a" * 10**7 + b'"}\n',
        ":1",
        "longer than 10000000 bytes",
    ),
    "jsonl: empty": ("a.jsonl", b"", "", "is empty"),
    "jsonl: one text": ("a.jsonl", GOOD * 50, "", "too few different documents for 3 parts"),
    "parquet: no parquet": ("a.parquet", b"text", "", "broken parquet"),
    "parquet: cut short": ("a.parquet", cut_parquet, "", "broken parquet"),
    "parquet: no such column": ("a.parquet", parquet("txt"), "", "no column 'text', did you mean 'txt'?"),
    "parquet: numbers": ("a.parquet", parquet(values=(1, 2)), "", "must contain strings, found Int64"),
    "parquet: null": ("a.parquet", parquet(values=("a", None, "c")), ":2", "'text' is empty"),
    "parquet: empty text": ("a.parquet", parquet(values=("a", "b", "")), ":3", "'text' is empty"),
    "parquet: NUL": ("a.parquet", parquet(values=("a", "b\0")), ":2", "NUL in 'text'"),
    "parquet: no rows": ("a.parquet", parquet(values=()), "", "must contain strings, found Null"),
    "parquet: zipped": ("a.parquet.gz", gzip.compress(b"PAR1"), "", "save it without gzip"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_bad_text_is_one_line_with_its_place(tmp_path, name):
    file, content, place, message = CASES[name]
    path = tmp_path / file
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    with pytest.raises(InputError) as caught:
        load_text(path)
    assert str(caught.value).startswith(f"{path}{place}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


BAD_ROWS = [name for name, case in CASES.items() if case[2] and case[0].endswith(".jsonl") and "UTF-16" not in name]


@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_may_be_skipped(tmp_path, name):
    path = tmp_path / "a.jsonl"
    rows = [json.dumps({"text": f"text {i}"}).encode() + b"\n" for i in range(40)]
    content = CASES[name][1]
    assert isinstance(content, bytes)
    path.write_bytes(b"".join(rows) + content)
    corpus = load_text(path, skip_bad=True)
    good = len({"good"}) * content.count(GOOD)
    assert sum(corpus.sizes.values()) == 40 + good
    assert corpus.notes[0].startswith("skipped 1 bad document: ")


def test_places_are_those_of_the_file_wherever_blocks_end(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "BLOCK_BYTES", 100)
    for line in (1, 7, 50, 99):
        lines = [b"a line of some length"] * 100
        lines[line - 1] = b"bad \xfe"
        path = tmp_path / "a.txt"
        path.write_bytes(b"\n".join(lines))
        with pytest.raises(InputError, match=rf"a\.txt:{line}: invalid UTF-8 at byte 5 \(0xfe\)"):
            load_text(path)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("nothing.txt", "nothing.txt: no such file"),
        ("*.nothing", "matches no file"),
        ("a.txt,", "an empty name between commas"),
        ("", "no data: give"),
        ("builtin:stdlibs", "unknown built-in text 'builtin:stdlibs'; there is builtin:stdlib"),
        ("a\0b", "a\\x00b: cannot be opened"),
    ],
)
def test_names_that_lead_nowhere(tmp_path, monkeypatch, data, problem):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load_text(data)
    assert problem in str(caught.value)


def test_a_folder_without_files(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").write_text("x")
    with pytest.raises(InputError, match="contains no files"):
        load_text(tmp_path)


def test_a_pipe_is_no_text(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(InputError, match="not a regular file but a FIFO"):
        load_text(tmp_path / "a.txt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("text")
    path.chmod(0)
    with pytest.raises(EnvironmentFault, match="no permission to read it"):
        load_text(path)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"split": "documents"}, "one document cannot be split by documents; choose position"),
        ({"valid_share": 1.5}, "valid_share: must be in [0, 1), found 1.5"),
        ({"valid_share": 0.5, "test_share": 0.5}, "leave nothing to train on"),
        ({"limit": 0}, "limit: must be at least 1, found 0"),
    ],
)
def test_options_that_do_not_fit(tmp_path, options, problem):
    path = tmp_path / "a.txt"
    path.write_text("text\n" * 100)
    with pytest.raises(InputError) as caught:
        load_text(path, **options)
    assert problem in str(caught.value)


def test_by_position_needs_one_text(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(GOOD * 9)
    with pytest.raises(InputError, match="a split by position needs one text file; choose documents"):
        load_text(path, split="position")


def test_a_file_that_shrinks_while_it_is_used(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("text\n" * 1000)
    corpus = load_text(path)
    path.write_text("text")
    with pytest.raises(InputError, match="has become shorter since it was read first"):
        list(corpus.train.fragments())


def test_damage_behind_the_header_of_a_gzip_file_is_no_traceback(tmp_path):
    raw = bytearray(gzip.compress(zlib.compress(os.urandom(1000)).hex().encode()))
    raw[40] ^= 0xFF
    path = tmp_path / "a.txt.gz"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=r"broken gzip|invalid UTF-8|NUL"):
        load_text(path)
