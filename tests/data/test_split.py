"""How each reader divides its data: the items of every part, as version 0.1.0 divided them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sightline.core.errors import InputError
from sightline.data.labelled.corpus import load_labelled
from sightline.data.labelled.table import Reading
from sightline.data.media.corpus import MediaReading
from sightline.data.pairs.corpus import load_corpus
from sightline.data.series.corpus import load_series
from sightline.data.split import PARTS, HashSplit, by_column, by_hash, by_time, rows_of
from sightline.data.text.corpus import load_text

Parts = dict[str, list[str]]


def rows(name: str, count: int, distinct: int | None = None) -> list[tuple[str, str]]:
    return [(f"{name} {i % (distinct or count)}", f"{'abc'[i % 3 if i % 5 else 0]}") for i in range(count)]


def table(path: Path, of: list[tuple[str, str]], header: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in [header, *map(",".join, of)]))
    return path


def pairs(folder: Path, count: int, seed: int, **files: Path) -> Parts:
    path = table(folder / "pairs.csv", rows("söurce", count, count - count // 7), "source,target")
    corpus = load_corpus(path, seed=seed, **files)
    return {part: getattr(corpus, part).sources for part in PARTS}


def media(folder: Path, count: int, seed: int) -> Parts:
    path = table(folder / "media.csv", rows("question", count, count - count // 7), "question,target")
    corpus = MediaReading((("question", "text"),)).corpus(path, seed=seed)
    return {part: list(getattr(corpus, part).places) for part in PARTS}


def labelled(folder: Path, count: int, seed: int) -> Parts:
    path = table(folder / "labels.csv", rows("text", count, count - count // 7), "text,label")
    data = load_labelled(path, seed=seed)
    return {part: getattr(data, part).places for part in PARTS}


def many_labelled(folder: Path, count: int, seed: int) -> Parts:
    path = table(folder / "labels.csv", [(a, f"{b};{b}{i % 2}") for i, (a, b) in enumerate(rows("t", count))],
                 "text,label")  # fmt: skip
    data = load_labelled(path, Reading(label_separator=";"), seed=seed)
    return {part: getattr(data, part).places for part in PARTS}


def column(folder: Path, count: int, seed: int) -> Parts:
    names = ("train", "dev", "train", "train") if seed else ("train", "val", "test", "train")
    cells = [(f"{a},{b}", names[i % 4]) for i, (a, b) in enumerate(rows("text", count))]
    path = table(folder / "labels.csv", cells, "text,label,split")
    data = load_labelled(path, Reading(split_column="split"), seed=seed)
    return {part: getattr(data, part).places for part in PARTS}


def documents(folder: Path, count: int, seed: int) -> Parts:
    path = folder / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": f"{a} {b}"}) + "\n" for a, b in rows("döcument", count, count - 2)))
    corpus = load_text(path, seed=seed, valid_share=0.2)
    return {part: list(getattr(corpus, part).texts()) for part in PARTS}


def position(folder: Path, count: int, seed: int) -> Parts:
    path = folder / "text.txt"
    path.write_text("".join(f"line {i} ö\n" for i in range(count)))
    corpus = load_text(path, seed=seed, valid_share=0.15)
    return {part: list(getattr(corpus, part).texts()) for part in PARTS}


def times(folder: Path, count: int, seed: int) -> Parts:
    path = table(folder / "series.csv", [(f"2024-01-{1 + i // 24:02d} {i % 24:02d}:00", str(i)) for i in range(count)],
                 "time,value")  # fmt: skip
    data = load_series(path, split=((0.7, 0.1, 0.2), (0.55, 0.15, 0.15), (4.0, 3.0, 2.0))[seed])
    return {part: [str(span) for span in data.span(part)] for part in PARTS}


SPLITS: dict[str, Callable[..., Parts]] = {
    function.__name__: function
    for function in (pairs, media, labelled, many_labelled, column, documents, position, times)
}
PINNED: dict[str, str] = json.loads((Path(__file__).parent / "splits.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", PINNED)
def test_every_item_is_in_the_part_that_it_was_in(name: str, tmp_path: Path) -> None:
    kind, count, seed = name.split()
    assert digest(SPLITS[kind](tmp_path, int(count), int(seed)), tmp_path) == PINNED[name]


def digest(parts: Parts, folder: Path) -> str:
    """How many items each part has, and the hash of all of them; items are named without their folder."""
    content = json.dumps(parts).replace(json.dumps(str(folder))[1:-1], "")
    return f"{[len(parts[part]) for part in PARTS]} {hashlib.sha256(content.encode()).hexdigest()[:16]}"


KEYS = [f"key {i}" for i in range(300)]


@pytest.mark.parametrize("seed", range(3))
def test_keys_one_at_a_time_are_divided_as_all_at_once(seed: int) -> None:
    shares = {"test": 0.1, "valid": 0.2}
    split = HashSplit(shares, seed)
    parts = by_hash(KEYS, shares, seed)
    assert [split.part(key) for key in KEYS] == parts
    sizes = {part: len(rows) for part, rows in rows_of(parts).items()}
    assert sizes["test"] == pytest.approx(30, abs=15)
    assert sizes["valid"] == pytest.approx(60, abs=20)
    assert by_hash(KEYS, shares, seed + 1) != parts


def test_the_nearest_key_fills_a_part() -> None:
    shares = {"test": 0.001, "valid": 0.001}
    split = HashSplit(shares, 0)
    first, second = sorted(KEYS, key=split.u)[-1:-3:-1]
    assert split.fill(map(split.u, KEYS))
    assert {key: split.part(key) for key in KEYS if split.part(key) != "train"} == {first: "test", second: "valid"}
    assert not split.fill([0.1, 0.2])
    with pytest.raises(InputError, match="2 different sources cannot be split into 3 parts"):
        by_hash(["a", "b", "a"], shares, 0)


def test_without_shares_all_keys_are_in_the_rest() -> None:
    assert {HashSplit({"test": 0.0}, 0, rest="valid").part(key) for key in KEYS} == {"valid"}


def test_cells_name_parts() -> None:
    cells = ("train", " Dev ", "VALIDATION", "val", "test")
    assert [by_column(cell, "split") for cell in cells] == ["train", "valid", "valid", "valid", "test"]


def test_a_cell_that_names_no_part() -> None:
    with pytest.raises(ValueError, match="'split' is 'tset', expected train, valid"):
        by_column("tset", "split")


def test_shares_and_steps_of_time() -> None:
    assert by_time(10, 110, (0.7, 0.1, 0.2)) == (10, 80, 90, 110)
    assert by_time(10, 110, (40.0, 20.0, 10.0)) == (10, 50, 70, 80)
