"""Bad data ends in one line that names the file, and the line where there is one; nothing is left behind."""

from __future__ import annotations

import gzip
import json
import os
import socket
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.pairs.corpus import Pairs, load_corpus, read
from sightline.data.rows import files

DEEP = 100_000


def parquet(**columns: list[object]) -> Callable[[Path], None]:
    return lambda path: pl.DataFrame(columns).write_parquet(path)


def damaged_parquet(path: Path) -> None:
    pl.DataFrame({"source": ["a"], "target": ["b"]}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])


# name of the case: (file, content or writer, the place after the path, the message)
CASES: dict[str, tuple[str, bytes | Callable[[Path], object], str, str]] = {
    "tsv: too many columns": ("a.tsv", b"a\tb\nc\td\te\n", ":2", "expected 2 columns, found 3"),
    "tsv: too few columns": ("a.tsv", b"a\tb\n\nc\td\n", ":2", "expected 2 columns, found 1 (an empty line)"),
    "tsv: one column": ("a.tsv", b"a b\nc d\n", ":1", "expected at least 2 columns, found 1"),
    "tsv: empty file": ("a.tsv", b"", "", "is empty"),
    "tsv: only a byte order mark": ("a.tsv", b"\xef\xbb\xbf", "", "is empty"),
    "tsv: header only": ("a.tsv", b"source\ttarget\n", "", "has a header but no rows"),
    "tsv: invalid UTF-8": ("a.tsv", b"a\tb\nc\t\xff\n", ":2", "invalid UTF-8 at byte 3 (0xff)"),
    "tsv: Latin-1": ("a.tsv", "a\tb\nM\u00e4rz\tx\n".encode("latin-1"), ":2",
        "byte 2 (0xe4): convert the text to UTF-8, or leave"),
    "tsv: truncated UTF-8": ("a.tsv", b"a\tb\nc\t\xe6\x97", ":2", "invalid UTF-8 at byte 3 (0xe6)"),
    "tsv: encoded surrogate": ("a.tsv", b"a\tb\nc\t\xed\xa0\x80\n", ":2", "invalid UTF-8 at byte 3 (0xed)"),
    "tsv: NUL": ("a.tsv", b"a\tb\nc\0\td\n", ":2", "NUL at byte 2"),
    "tsv: UTF-16 LE": ("a.tsv", "a\tb\n".encode("utf-16"), ":1", "is UTF-16; save it as UTF-8"),
    "tsv: UTF-16 BE": ("a.tsv", b"\xfe\xff" + "a\tb\n".encode("utf-16-be"), ":1", "is UTF-16; save it as UTF-8"),
    "tsv: UTF-16 unmarked": ("a.tsv", "a\tb\n".encode("utf-16-le"), ":1", "NUL at byte 2"),
    "tsv: empty source": ("a.tsv", b"a\tb\n\td\n", ":2",
        "the source is empty, or leave such rows out by --skip-bad"),
    "tsv: blank target": ("a.tsv", b"a\tb\nc\t  \n", ":2", "the target is empty"),
    "tsv: column twice": ("a.tsv", b"source\ttarget\tsource\na\tb\tc\n", ":1", "two columns are named 'source'"),
    "csv: too many columns": ("a.csv", b'a b,c d\n"x\ny",d\ne,f,g\n', ":4", "expected 2 columns, found 3"),
    "csv: open quote": ("a.csv", b'a,b\nc,"d\ne,f\n', ":2", "the quote opened here is never closed"),
    "csv: text after quote": ("a.csv", b'a,b\n"c"d,e\n', ":2", "text after a closing quote"),
    "csv: carriage return": ("a.csv", b"a,b\nc\rd,e\n", ":2", "a carriage return outside quotes"),
    "csv: spaces": ("a.csv", b"a b\nc d\n", ":1", "expected at least 2 columns, found 1"),
    "csv: invalid UTF-8 in quotes": ("a.csv", b'a,b\n"c\n\xff",d\n', ":2",
        "(0xff): convert the text to UTF-8 (line 3)"),
    "csv: header only": ("a.csv", b"source,target\r\n", "", "has a header but no rows"),
    "csv: empty line": ("a.csv", b"a,b\n\nc,d\n", ":2", "expected 2 columns, found 1 (an empty line)"),
    "jsonl: not JSON": ("a.jsonl", b'{"source": "a", "target": "b"}\nsource\n', ":2", "bad JSON: Expecting value"),
    "jsonl: cut short": ("a.jsonl", b'{"source": "a", "target": "b\n', ":1", "bad JSON: Unterminated string"),
    "jsonl: an array": ("a.jsonl", b'["a", "b"]\n', ":1", "expected a JSON object, found a list"),
    "jsonl: null": ("a.jsonl", b"null\n", ":1", "expected a JSON object, found null"),
    "jsonl: missing key": ("a.jsonl", b'{"source": "a", "targt": "b"}\n', ":1", "no key 'target', did you mean"),
    "jsonl: a number": ("a.jsonl", b'{"source": "a", "target": 7}\n', ":1", "must be a string, found a number"),
    "jsonl: a boolean": ("a.jsonl", b'{"source": true, "target": "b"}\n', ":1", "string, found true or false"),
    "jsonl: a huge number": ("a.jsonl", b'{"source": "a", "target": %s}\n' % (b"9" * 9999), ":1", "found a number"),
    "jsonl: NaN": ("a.jsonl", b'{"source": "a", "target": NaN}\n', ":1", "NaN is not a JSON value"),
    "jsonl: key twice": ("a.jsonl", b'{"source": "a", "source": "b"}\n', ":1", "the key 'source' occurs twice"),
    "jsonl: deep lists": ("a.jsonl", b"[" * DEEP + b"]" * DEEP + b"\n", ":1", "the JSON is nested too deeply"),
    "jsonl: deep objects": ("a.jsonl", b'{"a":' * DEEP + b"\n", ":1", "the JSON is nested too deeply"),
    "jsonl: surrogate": ("a.jsonl", b'{"source": "\\ud800", "target": "b"}\n', ":1", "contains an unpaired surrogate"),
    "jsonl: NUL escape": ("a.jsonl", b'{"source": "a\\u0000", "target": "b"}\n', ":1", "NUL in the source"),
    "jsonl: empty value": ("a.jsonl", b'{"source": "", "target": "b"}\n', ":1", "the source is empty"),
    "jsonl: empty line": ("a.jsonl", b'{"source": "a", "target": "b"}\n\n{}', ":2", "bad JSON: Expecting value"),
    "gzip: no gzip": ("a.tsv.gz", b"a\tb\n", "", "is not gzip although its name ends in .gz"),
    "gzip: unnamed": ("a.tsv", gzip.compress(b"a\tb\n"), "", "is gzip: let its name end in .gz"),
    "gzip: cut short": ("a.tsv.gz", gzip.compress(os.urandom(5000).hex().encode())[:-50], "", "broken gzip: "),
    "gzip: bad checksum": ("a.tsv.gz", gzip.compress(b"a\tb\n")[:-8] + b"\0" * 8, "", "broken gzip: crc check failed"),
    "gzip: bomb": ("a.tsv.gz", gzip.compress((b"a" * 5000 + b"\tb\n") * 4000), "", "expands to more than 200 times"),
    "gzip: one-line bomb": ("a.tsv.gz", gzip.compress(b"a" * 20_000_000), "", "expands to more than 200 times"),
    "parquet: no parquet": ("a.parquet", b"source,target\na,b\n", "", "broken parquet: "),
    "parquet: empty file": ("a.parquet", b"", "", "broken parquet: "),
    "parquet: cut short": ("a.parquet", damaged_parquet, "", "broken parquet: "),
    "parquet: no such column": ("a.parquet", parquet(source=["a"], targte=["b"]), "", "did you mean 'targte'?"),
    "parquet: numbers": ("a.parquet", parquet(source=["a"], target=[1]), "", "must contain strings, found Int64"),
    "parquet: null": ("a.parquet", parquet(source=["a", "b"], target=["x", None]), ":2", "the target is empty"),
    "parquet: no rows": ("a.parquet", lambda path: pl.DataFrame(
        schema={"source": pl.String, "target": pl.String}
    ).write_parquet(path), "", "has a header but no rows"),
    "parquet: bomb": ("a.parquet", parquet(source=["a"] * 1_200_000, target=["b"] * 1_200_000), "", "expands to more"),
    "unknown suffix": ("a.xlsx", b"PK", "", "unknown format '.xlsx'"),
    "one text file": ("a.txt", b"a\n", "", "two parallel text files are given as a,b"),
    "directory": ("a.tsv", Path.mkdir, "", "is a directory"),
    "FIFO": ("a.tsv", os.mkfifo, "", "is not a regular file but a FIFO"),
    "missing": ("a.tsv", lambda path: None, "", "no such file"),
    "dangling link": ("a.tsv", lambda path: path.symlink_to("nowhere"), "", "no such file"),
    "link to itself": ("a.tsv", lambda path: path.symlink_to(path), "", "cannot be opened: "),
    "socket": ("a.tsv", lambda path: socket.socket(socket.AF_UNIX).bind(str(path)), "", "but a socket"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("case", CASES)
def test_bad_data_is_one_line_with_its_place(case: str, tmp_path: Path) -> None:
    name, content, place, problem = CASES[case]
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError) as caught:
        load_corpus(path)
    message = str(caught.value)
    assert message.startswith(f"{path}{place}: ")
    assert problem in message
    assert "\n" not in message
    assert message.isprintable()
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (b"a\nb\nc\n", b"x\ny\n", "a.de, a.en: 3 lines against 2"),
        (b"a\n", b"x\ny", "a.de, a.en: 1 line against 2"),
        (b"a\nb\n", b"", "a.en: is empty"),
        (b"a\nb\n", b"x\n\n", "a.de, a.en: 2 lines against 1"),
        (b"a\nb\n", b"\nx\n", "a.en:1: the line is empty"),
        (b"a\n\xff\n", b"x\ny\n", "a.de:2: invalid UTF-8 at byte 1 (0xff)"),
        (b"a\nb\n", b"x\ny\0\n", "a.en:2: NUL at byte 2"),
    ],
)
def test_parallel_files_that_do_not_match(
    left: bytes, right: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.de").write_bytes(left)
    Path("a.en").write_bytes(right)
    with pytest.raises(InputError) as caught:
        read("a.de,a.en")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("", {}, "no data: give"),
        ("a,b,c", {}, "a,b,c: expected one file, or two parallel ones as a,b, found 3 names"),
        ("a,", {}, "a,: expected one file"),
        ("a.tsv", {"source_column": "sorce"}, "a.tsv:1: no column 'sorce' for the source, did you mean 'source'?"),
        (
            "a.tsv",
            {"target_column": "zebra"},
            "a.tsv:1: no column 'zebra' for the target; columns: 'source', 'target'",
        ),
        ("a.de,a.en", {"source_column": "de"}, "a.de,a.en: parallel text files have no columns"),
        ("nowhere\n.tsv", {}, "nowhere\\n.tsv: no such file"),
        ("nul\0.tsv", {}, "nul\\x00.tsv: cannot be opened"),
        ("x" * 5000 + ".tsv", {}, "x"),
    ],
)
def test_bad_names_and_columns(
    data: str, options: dict[str, str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.tsv").write_bytes(b"source\ttarget\na\tb\n")
    with pytest.raises(InputError) as caught:
        read(data, **options)
    assert str(caught.value).startswith(message)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("builtin:numbers", "unknown built-in data 'numbers'"),
        ("builtin:dates?local=3", "unknown option 'local', did you mean 'locales'?"),
        ("builtin:dates?locales=0", "locales must be from 1 to"),
        ("builtin:dates?locales=en+dee", "unknown locale 'dee', did you mean 'de'?"),
        ("builtin:dates?size=-1", "size must be from 1 to 500000, found '-1'"),
        ("builtin:dates?size=9999999", "size must be from 1 to 500000"),
        ("builtin:dates?seed=x", "seed must be from 0 to"),
        ("builtin:dates?size=", "size must be from 1 to 500000, found ''"),
    ],
)
def test_bad_options_of_built_in_data(data: str, message: str) -> None:
    with pytest.raises(InputError, match=r"^builtin:") as caught:
        load_corpus(data)
    assert message in str(caught.value)


def test_no_permission_is_a_fault_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes(b"a\tb\n")
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, whom no mode stops
    with pytest.raises(EnvironmentFault, match="no permission to read it"):
        read(path)


@pytest.mark.slow
def test_a_100_mb_line_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    with path.open("wb") as file:
        file.write(b"a\tb\n")
        for _ in range(100):
            file.write(b"x" * 1_000_000)
        file.write(b"\t\nc\td\n")
    with pytest.raises(InputError):
        read(path)  # modules that are imported here take memory too
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"a\.tsv:2: the line is longer than 10000000 bytes"):
            read(path)
        assert read(path, skip_bad=True).pairs == Pairs(["a", "c"], ["b", "d"])
        assert tracemalloc.get_traced_memory()[1] < 5 * files.MAX_LINE_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz"])
def test_an_open_quote_does_not_take_the_whole_file(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 1000)
    content = b'a,b\nc,"d\n' + b"eee,fff\n" * 1000
    path = tmp_path / f"a{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    with pytest.raises(
        InputError, match=r"a\.csv(\.gz)?:2: a quoted field is longer than 1000 characters: is its quote"
    ):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "lines", "skipped"),
    [
        ("a.tsv", b"a\tb\nc\nd\te\tf\n\xff\tx\ng\th\n", [1, 5], 3),
        ("a.csv", b'a a,b\n"c"c,d\n"e\ne",f\n\xff,x\ng\n', [1, 3], 3),
        ("a.jsonl", b'{"source":"a","target":"b"}\n{}\n[]\n{"source":"c","target":"d"}', [1, 4], 2),
        ("a.parquet", parquet(source=["a", None, "c"], target=["x", "y", ""]), [1], 2),
    ],
)
def test_skip_bad_counts_and_keeps_line_numbers(
    name: str, content: bytes | Callable[[Path], None], lines: list[int], skipped: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    table = read(path, skip_bad=True)
    assert list(table.lines) == lines
    assert table.skipped == skipped
    assert len(table.complaints) == skipped
    with pytest.raises(InputError):
        read(path)


def test_skip_bad_is_reported_in_the_notes(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("".join(f"s{i}\tt{i}\n" if i % 10 else "bad\n" for i in range(1, 101)))
    _, note = load_corpus(path, skip_bad=True).notes
    assert note.startswith(f"{path}: skipped 10 bad rows: {path}:10: expected 2 columns, found 1")
    assert "and 5 more" in note


def test_nothing_but_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}\n{}\n")
    with pytest.raises(InputError, match=r"no good row: 2 bad ones, first .*a\.jsonl:1: no key 'source'"):
        read(path, skip_bad=True)


def test_damaged_parquet_never_escapes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"source": ["a", "b"], "target": ["x", "y"]}).write_parquet(path)
    good = path.read_bytes()
    for position in range(0, len(good), 7):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x5A]) + good[position + 1 :])
        with suppress(InputError):
            read(path)
    assert capfd.readouterr().err == ""


# Bytes that mean something to one format or another, so that random files get past its first check.
MEANINGFUL = [
    b"\t",
    b"\n",
    b"\r\n",
    b",",
    b'"',
    b'""',
    b"\0",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"source",
    b"target",
    b"\\u",
]
MEANINGFUL += [
    b'{"source": "a", "target": "b"}\n',
    b"{",
    b"}",
    b"[",
    b":",
    b"a\tb\n",
    b"a,b\n",
    b"1e999",
    b"\xed\xa0\x80",
]


@given(
    content=st.lists(st.one_of(st.sampled_from(MEANINGFUL), st.binary(max_size=6)), max_size=12).map(b"".join),
    suffix=st.sampled_from([".tsv", ".csv", ".jsonl", ".parquet"]),
    compressed=st.booleans(),
    skip_bad=st.booleans(),
)
def test_no_file_at_all_gives_anything_but_pairs_or_one_line(
    content: bytes, suffix: str, compressed: bool, skip_bad: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}{'.gz' if compressed else ''}"
    path.write_bytes(gzip.compress(content) if compressed else content)
    try:
        table = read(path, skip_bad=skip_bad)
    except InputError as error:
        text = str(error)
    else:
        text = f"{path}: fine"
        assert len(table.pairs.sources) == len(table.pairs.targets) == len(table.lines) > 0
        assert all(text.strip() and "\0" not in text for texts in table.pairs.sides for text in texts)
        assert list(table.lines) == sorted(set(table.lines))
    assert text.startswith(str(path))
    assert "\n" not in text


def test_too_few_sources_to_split(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"source": "ab"[i % 2], "target": str(i)}) + "\n" for i in range(9)))
    with pytest.raises(InputError, match="2 different sources cannot be split into 3 parts; add rows"):
        load_corpus(path)
