"""Labelled data: every form gives the same items, splits are stratified and leak nothing, digits are scikit-learn's."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_digits

from sightline.core.errors import InputError
from sightline.data.labelled.corpus import kind_of_data, load_labelled
from sightline.data.labelled.part import source_key
from sightline.data.labelled.table import Reading, kind_of_sources, read_labelled
from sightline.data.media.images import ImageOptions
from sightline.data.split import by_label

ROWS = [("good, indeed", "yes"), ('a "quoted" word', "no"), ("ünï", "yes"), ("plain", "no")]


def write_forms(folder: Path) -> list[Path]:
    """The same rows in every format of text."""
    frame = pl.DataFrame({"id": [1, 2, 3, 4], "text": [t for t, _ in ROWS], "label": [label for _, label in ROWS]})
    frame.write_csv(folder / "a.csv")
    (folder / "a.tsv").write_text("label\ttext\n" + "".join(f"{label}\t{text}\n" for text, label in ROWS))
    (folder / "a.jsonl").write_text("".join(json.dumps({"source": t, "label": label}) + "\n" for t, label in ROWS))
    frame.write_parquet(folder / "a.parquet")
    return [folder / f"a.{kind}" for kind in ("csv", "tsv", "jsonl", "parquet")]


def test_every_format_gives_the_same_items(tmp_path: Path) -> None:
    for path in write_forms(tmp_path):
        table = read_labelled(path, Reading())
        assert table.kind == kind_of_sources(path, Reading()) == "text"
        assert list(zip(table.sources, (name for (name,) in table.labels), strict=True)) == ROWS, path


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    for number, (text, label) in enumerate(ROWS):
        (tmp_path / "d" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / label / f"{number}.txt").write_text(text + "\n")
    table = read_labelled(tmp_path / "d", Reading(lowercase=True))
    assert sorted(zip(table.sources, table.labels, strict=True)) == sorted((t.lower(), (label,)) for t, label in ROWS)
    assert all(Path(place).is_file() for place in table.places)
    assert kind_of_sources(tmp_path / "d", Reading()) == "text"


def write_pictures(folder: Path) -> None:
    for name, level in (("a", 10), ("b", 200)):
        (folder / name).mkdir()
        for number in range(3):
            Image.fromarray(np.full((4, 5), level + number, np.uint8)).save(folder / name / f"{number}.png")


def test_pictures_come_from_folders_and_from_paths_beside_the_table(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    grey = Reading(image=ImageOptions(colour="grey"))
    result = read_labelled(tmp_path, grey)
    assert result.kind == kind_of_sources(tmp_path, grey) == "image"
    assert [int(source[0, 0, 0]) for source in result.sources] == [10, 11, 12, 200, 201, 202]
    table = tmp_path.parent / f"{tmp_path.name}.csv"
    table.write_text(f"source,label\n{tmp_path.name}/b/1.png,b\n{tmp_path.name}/a/2.png,a\n")
    listed = read_labelled(table, grey)
    assert listed.kind == kind_of_sources(table, grey) == "image"
    assert kind_of_sources(table, Reading(kind="text")) == "text"
    assert [(int(s[0, 0, 0]), label) for s, label in zip(listed.sources, listed.labels, strict=True)] == [
        (201, ("b",)),
        (12, ("a",)),
    ]


@pytest.mark.parametrize(
    ("name", "content", "reading", "expected"),
    [
        ("a.csv", "x1,x2,label\n1,2.5,a\n3,-4e0,b\n", {}, [[[1], [2.5]], [[3], [-4]]]),
        ("a.csv", "id,x1,x2,label\nz,1,2,a\nz,3,4,b\n", {"source_column": "x1:x2"}, [[[1], [2]], [[3], [4]]]),
        ("a.csv", "id,x1,x2,label\nz,1,2,a\nz,3,4,b\n", {"source_column": "x2,x1"}, [[[2], [1]], [[4], [3]]]),
        ("a.csv", 'series,label\n"[1, 2, 3]",a\n[4],b\n', {}, [[[1], [2], [3]], [[4]]]),
        (
            "a.jsonl",
            '{"source":[[1,2],[3,4]],"label":0}\n{"source":[[5,6]],"label":1}\n',
            {},
            [[[1, 2], [3, 4]], [[5, 6]]],
        ),
        ("a.jsonl", '{"u":[1,2],"v":[3,4],"label":0}\n{"u":[5],"v":[6],"label":1}\n', {}, [[[1, 3], [2, 4]], [[5, 6]]]),
    ],
    ids=[
        "a step a column",
        "a range of columns",
        "columns by name",
        "lists in CSV",
        "channels in lists",
        "channels in columns",
    ],
)
def test_series(name: str, content: str, reading: dict[str, str], expected: list, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    table = read_labelled(tmp_path / name, Reading(**reading))
    assert table.kind == kind_of_sources(tmp_path / name, Reading(**reading)) == "series"
    assert [source.tolist() for source in table.sources] == expected


@pytest.mark.parametrize(("name", "kind"), [("digits", "image"), ("digits?as=rows", "series"), ("parity", "text")])
def test_the_kind_of_built_in_data(name: str, kind: str) -> None:
    assert kind_of_data(f"builtin:{name}", Reading()) == kind


def test_the_kind_is_decided_by_the_first_row_that_can_be_read(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("text,label\na,b,c\nred,x\nblue,y\n")
    assert kind_of_sources(table, Reading()) == read_labelled(table, Reading(skip_bad=True)).kind == "text"
    table.write_text("first,second,label\nred,green,x\n")
    with pytest.raises(InputError, match=r"a\.csv:2: "):
        kind_of_sources(table, Reading())


def test_series_of_parquet_lists(tmp_path: Path) -> None:
    pl.DataFrame({"series": [[1.0, 2.0], [3.0]], "label": ["a", "b"]}).write_parquet(tmp_path / "a.parquet")
    assert [s.tolist() for s in read_labelled(tmp_path / "a.parquet", Reading()).sources] == [[[1.0], [2.0]], [[3.0]]]


def test_a_text_that_is_a_number_or_in_brackets_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n2024,a\n[laughs] well,b\n")
    assert read_labelled(tmp_path / "a.csv", Reading()).sources == ["2024", "[laughs] well"]
    (tmp_path / "b.csv").write_text("text,label\n[laughs] well,b\n2024,a\n")
    assert read_labelled(tmp_path / "b.csv", Reading()).sources == ["[laughs] well", "2024"]


def test_any_number_of_labels(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "text,label\n" + "".join(f"t{i},{['a|b', 'b', '', 'c|a'][i % 4]}\n" for i in range(40))
    )
    data = load_labelled(tmp_path / "a.csv", Reading(label_separator="|"))
    assert data.many
    assert data.classes == ("a", "b", "c")
    for part in (data.train, data.valid, data.test):
        for source, labels in zip(part.sources, part.numbers(data.classes), strict=True):
            expected = [{"a", "b"}, {"b"}, set(), {"a", "c"}][int(source[1:]) % 4]
            assert {name for name, has in zip(data.classes, labels, strict=True) if has} == expected
    (tmp_path / "a.jsonl").write_text('{"text":"x","label":["q","p"]}\n{"text":"y","label":[]}\n')
    assert read_labelled(tmp_path / "a.jsonl", Reading()).labels == [("p", "q"), ()]


def test_classes_are_ordered_by_number_or_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"t{i},{i % 12}\n" for i in range(120)))
    assert load_labelled(tmp_path / "a.csv").classes == tuple(str(i) for i in range(12))


def test_the_column_of_parts(tmp_path: Path) -> None:
    rows = "".join(f"{part} {i},{'ab'[i % 2]},{part}\n" for part in ("train", "dev", "test") for i in range(4))
    (tmp_path / "a.csv").write_text("text,label,split\n" + rows)
    data = load_labelled(tmp_path / "a.csv", Reading(split_column="split"))
    assert data.sizes == {"train": 4, "valid": 4, "test": 4}
    assert all(source.startswith("dev") for source in data.valid.sources)
    (tmp_path / "own.csv").write_text("text,label\nnew 1,a\nnew 2,b\n")
    other = load_labelled(tmp_path / "a.csv", Reading(split_column="split"), valid=tmp_path / "own.csv")
    assert other.sizes == {"train": 4, "valid": 2, "test": 4}
    left_out = f"{tmp_path / 'a.csv'}: 4 rows of the valid part are left out: that part is {tmp_path / 'own.csv'}"
    assert [note for note in other.notes if "left out" in note] == [left_out]
    assert not [note for note in data.notes if "left out" in note]


items = st.lists(st.tuples(st.integers(0, 40), st.sampled_from("aaab")), min_size=1, max_size=200)


@given(items, st.integers(0, 5))
def test_a_split_keeps_equal_sources_together_and_each_label_in_proportion(rows: list, seed: int) -> None:
    keys = [f"{label}{number}".encode() for number, label in rows]
    strata = [label for _, label in rows]
    parts = by_label(keys, strata, {"test": 0.1, "valid": 0.1}, seed)
    of_key: dict[bytes, set[str]] = {}
    for key, part in zip(keys, parts, strict=True):
        of_key.setdefault(key, set()).add(part)
    assert all(len(sides) == 1 for sides in of_key.values())
    for label in set(strata):
        sides = Counter(min(parts) for key, parts in of_key.items() if key.startswith(label.encode()))
        total = sum(sides.values())
        assert sides["train"] >= 1
        if total >= 3:
            assert sides["test"] == sides["valid"] == max(1, round(total / 10))


@given(items, st.randoms(use_true_random=False))
def test_a_split_does_not_depend_on_the_order_of_rows(rows: list, order: random.Random) -> None:
    def split(of: list) -> dict[bytes, str]:
        keys = [str(number).encode() for number, _ in of]
        return dict(zip(keys, by_label(keys, [label for _, label in of], {"test": 0.2}, 0), strict=True))

    shuffled = list(rows)
    order.shuffle(shuffled)
    assert split(shuffled) == split(rows)


def test_equal_sources_are_never_in_two_parts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"t{i % 30},{'ab'[i % 2]}\n" for i in range(300)))
    data = load_labelled(tmp_path / "a.csv")
    sides = [set(part.sources) for part in (data.train, data.valid, data.test)]
    assert all(sides)
    assert len(set.union(*sides)) == sum(map(len, sides)) == 30


def test_digits_are_scikit_learns() -> None:
    result = load_digits()
    pictures = np.rint(result.images * 255 / 16).astype(np.uint8)[:, None]
    known = {source_key(picture): label for picture, label in zip(pictures, result.target, strict=True)}
    data = load_labelled("builtin:digits")
    assert sum(data.sizes.values()) == 1797
    assert data.classes == tuple("0123456789")
    for part in (data.train, data.valid, data.test):
        numbers = part.numbers(data.classes)
        assert all(known[source_key(s)] == label for s, label in zip(part.sources, numbers, strict=True))
        assert np.bincount(numbers, minlength=10).min() >= 0.9 * len(numbers) / 10
    rows = load_labelled("builtin:digits?as=rows")
    ink = sum(source.sum() for part in (rows.train, rows.valid, rows.test) for source in part.sources)
    assert ink == pytest.approx(result.images.sum() / 16)
    assert {source.shape for source in rows.train.sources} == {(8, 8)}
    assert load_labelled("builtin:digits?seed=1").sha256 != data.sha256 == load_labelled("builtin:digits").sha256


def test_notes_say_what_is_odd(tmp_path: Path) -> None:
    train = "".join(f"t{i},{'ab'[i % 2]},train\n" for i in range(10))
    (tmp_path / "a.csv").write_text(
        f"text,label,split\n{train}t0,c,train\nnew,a,test\nt3,b,test\nt5,b,valid\nv,a,valid\n"
    )
    notes = load_labelled(tmp_path / "a.csv", Reading(split_column="split")).notes
    place = f"{tmp_path}/a.csv"
    assert notes == (
        f"1 of 2 valid sources occurs in training too ({place}:15)",
        f"1 of 2 test sources occurs in training too ({place}:14)",
        f"2 training rows have a source that another row labels otherwise ({place}:2, {place}:12)",
        "no valid item has the label 'c'",
        "no test item has the label 'c'",
    )


def test_a_column_of_parts_that_lacks_training(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label,split\nx,a,test\ny,b,test\n")
    with pytest.raises(InputError, match="no row belongs to the training part"):
        load_labelled(tmp_path / "a.csv", Reading(split_column="split"))


def test_the_range_of_deep_pictures_is_described(tmp_path):
    """Twelve bits in sixteen fill a sixteenth of the range, unless the value of white is named."""
    for label in "ab":
        (tmp_path / label).mkdir()
        for number in range(12):
            values = np.random.default_rng(number).integers(0, 4096, (4, 4)).astype(np.uint16)
            values[0, 0], values[0, 1], values[0, 2] = 0, 4095, ord(label)
            Image.fromarray(values).save(tmp_path / label / f"{number}.png")
    dark = load_labelled(tmp_path, Reading(image=ImageOptions(colour="grey")))
    assert {part["levels"] for part in dark.describe().parts.values()} == {"0 to 15"}
    assert "set --picture.white 4095 to use the whole range" in dark.describe().notes[0]
    full = load_labelled(tmp_path, Reading(image=ImageOptions(colour="grey", white=4095.0)))
    assert {part["levels"] for part in full.describe().parts.values()} == {"0 to 255"}


def test_a_column_that_numbers_the_rows_is_no_step_of_series(tmp_path):
    rows = [f"{n},{n % 7}.5,{n % 5},{'iris' if n % 3 else 'rose'}" for n in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["ID,petal,sepal,species", *rows]))
    data = load_labelled(tmp_path / "a.csv")
    assert (data.classes, {source.shape for source in data.train.sources}) == (("iris", "rose"), {(2, 1)})
    assert f"{tmp_path / 'a.csv'}: the column 'ID' only numbers the rows and is left out" in data.notes
    named = load_labelled(tmp_path / "a.csv", Reading(source_column="ID:sepal", label_column="species"))
    assert {source.shape for source in named.train.sources} == {(3, 1)}


def class_folder(root: Path, count: int) -> Path:
    for label in "abc":
        (root / label).mkdir(parents=True)
        for number in range(count):
            (root / label / f"{number:03}.txt").write_text(f"{label} {number}")
    return root


@pytest.mark.parametrize("limit", [3, 10, 50])
def test_a_limited_folder_has_every_class(limit: int, tmp_path: Path) -> None:
    """A folder is read class by class: its first files would be of one class."""
    whole, data = (load_labelled(class_folder(tmp_path / str(n), 100), limit=n) for n in (None, limit))
    for name, part in data.parts.items():
        count = min(limit, len(whole.parts[name]))
        shares = Counter(label for (label,) in part.labels)
        assert sum(shares.values()) == count
        assert max(shares.values()) - min(shares.values()) <= 1 < len(shares)
        assert part.sources == [source for source in whole.parts[name].sources if source in part.sources]
    assert not data.notes


def test_a_limited_table_has_its_first_rows_and_is_noted_where_they_have_one_class(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"t{n},{'abc'[n // 40]}\n" for n in range(120)))
    whole, data = load_labelled(path), load_labelled(path, limit=20)
    assert data.train.sources == whole.train.sources[:20]
    (note,) = data.notes
    assert note.startswith("all 20 training items have the label 'a', and a model learns no other: raise --limit")
    two = load_labelled(path, limit=50)
    assert "no training item has the label 'c'" in two.notes
    assert not whole.notes


def test_notes_are_on_the_items_that_are_kept(tmp_path: Path) -> None:
    rows = [f"t{n},{'ab'[n % 2]},{'train' if n < 30 else 'test'}" for n in range(60)] + ["t29,a,test", "t29,b,valid"]
    (tmp_path / "a.csv").write_text("\n".join(["text,label,split", *rows]))
    assert len(load_labelled(tmp_path / "a.csv", Reading(split_column="split")).notes) == 3
    limited = load_labelled(tmp_path / "a.csv", Reading(split_column="split"), limit=20).notes
    assert limited == ("no valid item has the label 'a'",)
