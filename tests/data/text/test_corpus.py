"""Corpora of running text: every document read once, in one part, the same from every container."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from itertools import chain
from pathlib import Path

import polars as pl
import pytest

from sightline.core.errors import InputError
from sightline.data.text import readers
from sightline.data.text.corpus import TextCorpus, load_text
from sightline.data.text.files import text_files
from sightline.data.text.part import TextPart

WORDS = ["über", "the", "日本語", "quick", "\tfox", "x = y", "", "🙂", "end\r"]


def documents(count: int, seed: int = 0) -> list[str]:
    """Different texts of some lines each."""
    draw = random.Random(seed)
    return [
        f"{i}: " + "\n".join(" ".join(draw.choices(WORDS, k=8)) for _ in range(draw.randint(1, 60)))
        for i in range(count)
    ]


def texts(part: TextPart) -> list[str]:
    return list(part.texts())


def all_parts(corpus: TextCorpus) -> list[list[str]]:
    return [texts(part) for part in (corpus.train, corpus.valid, corpus.test)]


def write(folder: Path, kind: str, found: list[str]) -> str:
    """The documents in one of the containers; what to call them."""
    lines = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(found))
    if kind == "folder":
        (folder / "corpus").mkdir()
        for i, text in enumerate(found):
            (folder / "corpus" / f"{i:05d}.txt").write_bytes(text.encode())
        return str(folder / "corpus")
    if kind == "glob":
        return write(folder, "folder", found) + "/**/*.txt"
    path = folder / f"corpus.{kind}"
    if kind == "jsonl":
        path.write_text(lines, encoding="utf-8")
    elif kind == "jsonl.gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        pl.DataFrame({"id": range(len(found)), "text": found}).write_parquet(path, row_group_size=64)
    return str(path)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Blocks of a size that small files have many of."""
    monkeypatch.setattr(readers, "BLOCK_BYTES", 4096)


@pytest.mark.parametrize("kind", ["folder", "glob", "jsonl", "jsonl.gz", "parquet"])
def test_every_document_is_in_one_part_and_the_container_does_not_matter(tmp_path, kind):
    result = documents(300)
    corpus = load_text(write(tmp_path, kind, result))
    parts = all_parts(corpus)
    assert sorted(chain(*parts)) == sorted(result)
    assert list(corpus.sizes.values()) == [len(part) for part in parts]
    assert 12 < len(parts[1]) < 50  # a tenth of 300, within four deviations
    assert 12 < len(parts[2]) < 50
    assert [part.size for part in (corpus.train, corpus.valid, corpus.test)] == [
        sum(len(text.encode()) for text in part) for part in parts
    ]
    other = tmp_path / "other"
    other.mkdir()
    same = load_text(write(other, "jsonl", result))
    assert same.sha256 == corpus.sha256
    assert all_parts(same) == parts


def test_equal_documents_are_never_in_two_parts(tmp_path):
    result = documents(60) * 5
    random.Random(1).shuffle(result)
    train, valid, test = map(set, all_parts(load_text(write(tmp_path, "jsonl", result))))
    assert not train & valid
    assert not train & test
    assert not valid & test


def test_another_seed_splits_in_another_way(tmp_path):
    name = write(tmp_path, "jsonl", documents(300))
    assert all_parts(load_text(name)) != all_parts(load_text(name, seed=1))
    assert load_text(name).sha256 == load_text(name).sha256
    hashes = {load_text(name, **how).sha256 for how in ({}, {"seed": 1}, {"valid_share": 0.2}, {"limit": 5})}
    assert len(hashes) == 4


@pytest.mark.parametrize("count", [3, 4, 7])
def test_no_part_of_few_documents_is_empty(tmp_path, count):
    for seed in range(20):
        parts = all_parts(load_text(write_again(tmp_path, documents(count)), seed=seed))
        assert all(parts)
        assert sorted(chain(*parts)) == sorted(documents(count))


def write_again(folder: Path, found: list[str]) -> str:
    path = folder / "again.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in found))
    return str(path)


def test_too_few_documents_for_the_parts(tmp_path):
    with pytest.raises(InputError, match="too few different documents for 3 parts"):
        load_text(write_again(tmp_path, documents(1) * 30))


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["bare", "marked"])
def test_one_text_is_split_by_position(tmp_path, zipped, mark):
    text = "\n".join(documents(40))
    path = tmp_path / ("a.txt.gz" if zipped else "a.txt")
    path.write_bytes((gzip.compress if zipped else bytes)(mark + text.encode()))
    corpus = load_text(path)
    pieces = ["".join(part) for part in all_parts(corpus)]
    assert "".join(pieces) == text
    size = len(text.encode())
    assert abs(len(pieces[0].encode()) - int(size * 0.8)) < 4  # but for the rest of a character
    assert abs(len(pieces[1].encode()) - size * 0.1) < 4
    last = [list(part.fragments())[-1].ends for part in (corpus.train, corpus.valid, corpus.test)]
    assert last == [False, False, True]  # a text ends only where it ends


def test_the_last_tenth_and_no_test_part(tmp_path):
    text = "".join(chr(97 + i % 26) for i in range(10_007))
    path = tmp_path / "a.txt"
    path.write_text(text)
    corpus = load_text(path, test_share=0.0)
    assert texts(corpus.train) == [text[: int(0.9 * len(text))]]
    assert texts(corpus.valid) == [text[int(0.9 * len(text)) :]]
    assert corpus.sizes == {"train": 1, "valid": 1, "test": 0}


def test_parts_given_as_files(tmp_path):
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text(f"the {name} text\n" * 99)
    names = {name: tmp_path / f"{name}.txt" for name in ("valid", "test")}
    corpus = load_text(tmp_path / "train.txt", **names)
    assert [part[0][:9] for part in all_parts(corpus)] == ["the train", "the valid", "the test "]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz"])
def test_a_table_of_delimited_text_is_running_text_with_a_note(tmp_path, suffix):
    path = tmp_path / f"reviews{suffix}"
    content = "".join(f'{i},"a text, number {i}"\n' for i in range(40)).encode()
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    (note,) = load_text(path).notes
    assert note.startswith(f"{path}: read as running text, header and separators too; for a document a row save the")


def test_limit_takes_the_first_documents(tmp_path):
    name = write(tmp_path, "parquet", documents(200))
    whole, cut = all_parts(load_text(name)), load_text(name, limit=7)
    assert all_parts(cut) == [part[:7] for part in whole]
    assert cut.train.size == sum(len(text.encode()) for text in whole[0][:7])


@pytest.mark.parametrize("kind", ["folder", "jsonl", "parquet"])
def test_documents_are_chosen_by_number_in_any_order(tmp_path, kind):
    train = load_text(write(tmp_path, kind, documents(200))).train
    whole = texts(train)
    for chosen in ([3], [0, 1, 2], [9, 2, 2, 100, 101, 5], list(range(len(whole))), []):
        part = train.select(chosen)
        assert texts(part) == [whole[i] for i in chosen]
        assert part.documents == len(chosen)
        assert part.size == sum(len(whole[i].encode()) for i in chosen)
    assert texts(train.select([9, 2, 5]).select([2, 0])) == [whole[5], whole[9]]


def test_bad_documents_are_counted_where_they_may_be_skipped(tmp_path):
    for i, text in enumerate(documents(30)):
        (tmp_path / f"{i:02d}.txt").write_bytes(text.encode() * 9 + (b"\xff" if i % 10 == 3 else b""))
    (tmp_path / "zz.txt").write_bytes(b"")
    with pytest.raises(InputError, match=r"03\.txt:\d+: invalid UTF-8 at byte \d+ \(0xff\)"):
        load_text(tmp_path)
    corpus = load_text(tmp_path, skip_bad=True)
    assert sum(corpus.sizes.values()) == 27
    assert corpus.notes[0].startswith("skipped 3 bad documents: ")
    assert corpus.notes[1] == "left out 1 empty file"


def test_blocks_end_where_no_tokenizer_joins_characters():
    raw = ("word " * 50 + "\nnext\n    indented\n\n  \n  ").encode()
    cut = readers._cut(raw)
    assert raw[:cut].endswith(b"\n")
    assert raw[cut:].startswith(b"next\n")
    assert readers._cut("日".encode() * 100 + b"\xe6\x97") == 300


@pytest.mark.slow
def test_the_standard_library_is_split_by_file():
    corpus = load_text("builtin:stdlib")
    train, valid, test = all_parts(corpus)
    assert len(train) > 4 * len(valid) > 0
    source = Path(hashlib.__file__).read_text(encoding="utf-8")
    assert sum(part.count(source) for part in (train, valid, test)) == 1


def test_a_glob_in_a_folder_with_brackets(tmp_path: Path) -> None:
    folder = tmp_path / "data [1]" / "a*b"
    folder.mkdir(parents=True)
    for name in ("x1.txt", "x2.txt", "y.txt"):
        (folder / name).write_text("text\n")
    assert [path.name for path in text_files(str(folder / "x[12].txt"))] == ["x1.txt", "x2.txt"]
    assert [path.name for path in text_files(str(tmp_path / "data [1]" / "**" / "y.*"))] == ["y.txt"]


def test_one_text_is_described(tmp_path: Path) -> None:
    path = tmp_path / "one.txt"
    path.write_text("a dog ran and the cat sat.\n" * 100)
    survey = load_text(path).describe()
    assert {name: part["document_bytes"]["max"] for name, part in survey.parts.items()} == {
        "train": 2160, "valid": 270, "test": 270
    }  # fmt: skip
    assert any("train" in line and "2160" in line for line in survey.lines())
