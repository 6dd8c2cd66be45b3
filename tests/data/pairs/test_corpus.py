"""What counts as a row, a column and a part."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.data.pairs.corpus import PairCorpus, load_corpus, read, read_pairs
from sightline.data.pairs.table import Pairs
from sightline.data.rows import files

# Everything a line of a text file can hold, the separators that split lines elsewhere included.
CELL = st.text(st.characters(exclude_characters="\t\n\0", exclude_categories=["Cs"]), min_size=1)
FULL = CELL.filter(lambda text: not text.isspace())


def write(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


@pytest.mark.slow
@given(rows=st.lists(st.tuples(FULL, FULL.filter(lambda text: not text.endswith("\r"))), min_size=1))
def test_tsv_rows_are_lines(rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("tsv") / "a.tsv"
    write(path, "source\ttarget\n" + "".join(f"{source}\t{target}\n" for source, target in rows))
    assert list(zip(*read_pairs(path).sides, strict=True)) == rows


@pytest.mark.slow
@given(rows=st.lists(st.tuples(FULL, FULL), min_size=1))
def test_csv_written_by_the_standard_library_comes_back(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("source", "target"), *rows])
    assert list(zip(*read_pairs(path).sides, strict=True)) == rows


@pytest.mark.parametrize("separator", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_only_newline_splits_lines(separator: str, tmp_path: Path) -> None:
    text = f"a{separator}b"
    assert read_pairs(write(tmp_path / "a.tsv", f"{text}\t{text}x\n")) == Pairs([text], [text + "x"])
    write(tmp_path / "a.de", text + "\n")
    write(tmp_path / "a.en", text + "x\n")
    assert read_pairs(f"{tmp_path}/a.de,{tmp_path}/a.en") == Pairs([text], [text + "x"])
    line = json.dumps({"source": text, "target": text + "x"}, ensure_ascii=False)
    if separator >= "\x80":  # JSON strings hold no raw control characters
        assert read_pairs(write(tmp_path / "a.jsonl", line + "\n")) == Pairs([text], [text + "x"])


def test_a_quote_in_tsv_is_a_character(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", '"a\tb"\n5" pipe\tc\n')
    assert read_pairs(path) == Pairs(['"a', '5" pipe'], ['b"', "c"])


def test_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    plain = read_pairs(write(tmp_path / "a.tsv", "a\tb\nc\td\n"))
    assert read_pairs(write(tmp_path / "b.tsv", "\ufeffa\tb\r\nc\td")) == plain
    assert read_pairs(write(tmp_path / "b.csv", "\ufeffa,b\r\nc,d\r\n")) == plain


def test_csv_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'source,target\n"a, ""b""\nc",d\ne," f"\n')
    table = read(path)
    assert table.pairs == Pairs(['a, "b"\nc', "e"], ["d", " f"])
    assert list(table.lines) == [2, 4]


@pytest.mark.parametrize(
    "suffix", [".tsv", ".csv", ".jsonl", ".parquet", ".tsv.gz", ".csv.gz", ".jsonl.gz", ".parquet.gz"]
)
def test_every_format_gives_the_same_pairs(suffix: str, tmp_path: Path) -> None:
    pairs = Pairs(["7. März 2019", "二〇一九年"], ["2019-03-07", '"quoted"'])
    frame = pl.DataFrame({"target": pairs.targets, "id": ["1", "2"], "source": pairs.sources})
    path = tmp_path / f"a{suffix.removesuffix('.gz')}"
    if ".tsv" in suffix:
        write(path, "target\tid\tsource\n" + "".join("\t".join(row) + "\n" for row in frame.rows()))
    elif ".csv" in suffix:
        frame.write_csv(path)
    elif ".jsonl" in suffix:
        frame.write_ndjson(path)
    else:
        frame.write_parquet(path)
    if suffix.endswith(".gz"):
        compressed = path.with_name(path.name + ".gz")
        compressed.write_bytes(gzip.compress(path.read_bytes()))
        path = compressed
    assert read_pairs(path) == pairs
    assert read_pairs(path, source_column="id", target_column="target").sources == ["1", "2"]


def test_the_header_names_source_and_target(tmp_path: Path) -> None:
    assert read_pairs(write(tmp_path / "a.tsv", "de\ten\na\tb\n")) == Pairs(["a"], ["b"])
    assert read_pairs(tmp_path / "a.tsv", header=False) == Pairs(["de", "a"], ["en", "b"])
    assert read_pairs(tmp_path / "a.tsv", header=False, source_column="2", target_column="1").sources == ["en", "b"]
    assert read_pairs(tmp_path / "a.tsv", source_column="de", target_column="en") == Pairs(["a"], ["b"])
    assert read_pairs(write(tmp_path / "b.tsv", "Target\tSOURCE \na\tb\n")) == Pairs(["b"], ["a"])
    assert read_pairs(write(tmp_path / "c.tsv", "a\tb\t3\n")) == Pairs(["a"], ["b"])


def test_a_name_with_a_comma_is_one_file_when_it_exists(tmp_path: Path) -> None:
    assert read_pairs(write(tmp_path / "a,b.tsv", "a\tb\n")) == Pairs(["a"], ["b"])


def test_the_longest_line_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 10)
    path = write(tmp_path / "a.tsv", "aaaa\tbbbbb\n")
    assert read_pairs(path) == Pairs(["aaaa"], ["bbbbb"])
    assert read(write(path, "aaaa\tbbbbb\naaaa\tbbbbbb\nc\td\n"), skip_bad=True).pairs == Pairs(
        ["aaaa", "c"],
        ["bbbbb", "d"],
    )


def corpus_file(path: Path, rows: int) -> Path:
    return write(path, "".join(f"source {i % (rows // 2)}\ttarget {i}\n" for i in range(rows)))


def parts(corpus: PairCorpus) -> list[Pairs]:
    return [corpus.train, corpus.valid, corpus.test]


def test_split_keeps_all_pairs_and_no_source_crosses(tmp_path: Path) -> None:
    path = corpus_file(tmp_path / "a.tsv", 4000)
    corpus = load_corpus(path)
    together = [pair for part in parts(corpus) for pair in zip(*part.sides, strict=True)]
    assert sorted(together) == sorted(zip(*read_pairs(path).sides, strict=True))
    sources = [set(part.sources) for part in parts(corpus)]
    assert not sources[0] & sources[1] | sources[0] & sources[2] | sources[1] & sources[2]
    shares = [len(part.sources) / 4000 for part in parts(corpus)]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.03)


def test_a_source_keeps_its_part_when_data_grows(tmp_path: Path) -> None:
    small = load_corpus(corpus_file(tmp_path / "a.tsv", 1000))
    large = load_corpus(corpus_file(tmp_path / "b.tsv", 4000))
    for before, after in zip(parts(small), parts(large), strict=True):
        assert set(before.sources) <= set(after.sources)


@pytest.mark.parametrize("distinct", [3, 4, 5, 8])
@pytest.mark.parametrize("seed", range(5))
def test_no_part_of_a_small_file_is_empty(distinct: int, seed: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "".join(f"s{i}\tt\n" for i in range(distinct)))
    sizes = load_corpus(path, seed=seed).sizes
    assert sum(sizes.values()) == distinct
    assert all(sizes.values())


def test_given_parts_are_not_split_off(tmp_path: Path) -> None:
    train = corpus_file(tmp_path / "a.tsv", 1000)
    test = write(tmp_path / "test.tsv", "source 3\tx\nunseen\ty\nsource 4\tz\n")
    valid = write(tmp_path / "valid.tsv", "new\tx\n")
    corpus = load_corpus(train, valid=valid, test=test)
    assert [len(part.sources) for part in parts(corpus)] == [1000, 1, 3]
    assert [note for note in corpus.notes if "no header" not in note] == [
        f"{test}: 2 of 3 test sources occur in training too (lines 1, 3)"
    ]
    corpus = load_corpus(train, test=test)
    assert len(corpus.train.sources) + len(corpus.valid.sources) == 1000
    assert len(corpus.valid.sources) == pytest.approx(100, abs=40)


def test_limit_takes_the_beginning_of_each_part(tmp_path: Path) -> None:
    path = corpus_file(tmp_path / "a.tsv", 1000)
    for whole, limited in zip(parts(load_corpus(path)), parts(load_corpus(path, limit=7)), strict=True):
        assert whole.select(range(7)) == limited


def test_lowercase_comes_before_the_split(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "".join(f"{s}{i}\tX\n" for i in range(100) for s in ("a", "A")))
    corpus = load_corpus(path, lowercase=True)
    assert all(text == text.lower() for part in parts(corpus) for texts in part.sides for text in texts)
    assert not set(corpus.train.sources) & set(corpus.test.sources)


def test_the_hash_is_of_the_texts(tmp_path: Path) -> None:
    content = "".join(f"s{i}\tt{i}\n" for i in range(50))
    path = write(tmp_path / "a.tsv", content)
    compressed = tmp_path / "b.tsv.gz"
    compressed.write_bytes(gzip.compress(("source\ttarget\n" + content).encode()))
    assert load_corpus(path).sha256 == load_corpus(compressed).sha256
    assert load_corpus(write(path, content.replace("t7\n", "t8\n"))).sha256 != load_corpus(compressed).sha256
    # Moving a letter from one text to the next is a change too.
    first = load_corpus(write(path, "ab\tc\nx\ty\nz\tw\n"))
    assert first.sha256 != load_corpus(write(path, "a\tbc\nx\ty\nz\tw\n")).sha256


def test_parallel_files_skip_a_pair_when_one_side_is_bad(tmp_path: Path) -> None:
    (tmp_path / "a.de").write_bytes(b"a\n\nc\n\xff\ne\n")
    (tmp_path / "a.en").write_bytes(b"v\nw\nx\0\ny\nz\n")
    table = read(f"{tmp_path}/a.de,{tmp_path}/a.en", skip_bad=True)
    assert table.pairs == Pairs(["a", "e"], ["v", "z"])
    assert list(table.lines) == [1, 5]
    assert [complaint.split("/")[-1] for complaint in table.complaints] == [
        "a.de:2: the line is empty",
        "a.en:3: NUL at byte 2: is this a text file in UTF-8?",
        "a.de:4: invalid UTF-8 at byte 1 (0xff): convert the text to UTF-8",
    ]
