"""Labelled data as common tools write it: archives of series, Hugging Face's parquet, pandas' labels, folders."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sightline.core.errors import InputError
from sightline.data.labelled.corpus import load_labelled
from sightline.data.labelled.table import Reading, read_labelled
from sightline.data.media.audio import AudioOptions

TS = """\
# a comment
@problemName two
@timestamps false
@missing false
@univariate false
@dimension 2
@equalLength false
@classLabel true up down
@data
1.0,2.0,3.0:4.0,5.0,6.0:up
-1,0:0.5,1e2:down
"""


def items(path: Path, **options) -> list[tuple[object, tuple[str, ...]]]:
    table = read_labelled(path, Reading(**options))
    return [(s if isinstance(s, str) else s.tolist(), of) for s, of in zip(table.sources, table.labels, strict=True)]


def test_ts_of_several_dimensions_and_lengths(tmp_path):
    (tmp_path / "a.ts").write_text(TS)
    assert items(tmp_path / "a.ts") == [([[1, 4], [2, 5], [3, 6]], ("up",)), ([[-1, 0.5], [0, 100]], ("down",))]


@pytest.mark.parametrize(("before", "after", "problem"), [
    ("@timestamps false", "@timestamps true", ":3: @timestamps true: time stamps are not read, save the values alone"),
    ("@classLabel true up down", "@targetLabel true", ":8: @targetLabel true: targets are numbers, expected classes"),
    ("@classLabel true up down", "@classLabel false", ":9: no class labels are declared before it"),
    ("@data", "", ":10: expected a tag such as @data, found '1.0,2.0,3.0:4.0,5.0,6.0:up'"),
    ("4.0,5.0", "4.0,?", ":10: step 2 of 'series' is nan: numbers must be finite"),
    ("4.0,5.0", "4.0", ":10: the dimensions have 2 to 3 values, expected the same number"),
    ("1.0,2.0,3.0:4.0,5.0,6.0:up", "(2020-01-01,1):(2020-01-02,2):up", ":10: time stamps in brackets are not read"),
])  # fmt: skip
def test_ts_that_is_refused(before, after, problem, tmp_path):
    path = tmp_path / "a.ts"
    path.write_text(TS.replace(before, after, 1))
    with pytest.raises(InputError) as caught:
        read_labelled(path, Reading())
    assert str(caught.value).startswith(f"{path}{problem}")


def test_a_missing_value_can_be_left_out_and_is_named(tmp_path):
    (tmp_path / "a.ts").write_text(TS.replace("4.0,5.0", "4.0,?"))
    table = read_labelled(tmp_path / "a.ts", Reading(skip_bad=True))
    assert len(table.sources) == 1
    assert f"skipped 1 bad row: {tmp_path / 'a.ts'}:10: step 2 of 'series' is nan" in table.notes()[0]


def test_missing_values_are_filled_where_that_is_asked_for(tmp_path):
    """By a straight line; at an end by the value next to it."""
    (tmp_path / "a.ts").write_text(TS.replace("1.0,2.0,3.0:4.0,5.0,6.0", "1.0,?,3.0:?,5.0,6.0"))
    assert items(tmp_path / "a.ts", missing="linear")[0] == ([[1, 5], [2, 5], [3, 6]], ("up",))
    (tmp_path / "a.csv").write_text("x1,x2,x3,label\n0,1,2,a\n1,,4,b\n")
    assert items(tmp_path / "a.csv", missing="linear")[1] == ([[1], [2.5], [4]], ("b",))
    (tmp_path / "a.jsonl").write_text('{"x": [1, null, NaN, 4], "label": "a"}\n'.replace("NaN", "null"))
    assert items(tmp_path / "a.jsonl", missing="linear") == [([[1], [2], [3], [4]], ("a",))]
    (tmp_path / "a.ts").write_text(TS.replace("1.0,2.0,3.0", "?,?,?"))
    with pytest.raises(InputError, match=r"a\.ts:10: 'series' has a channel without values"):
        items(tmp_path / "a.ts", missing="linear")


def test_the_first_row_of_the_ucr_archive_is_data(tmp_path):
    path = tmp_path / "A_TRAIN.tsv"
    path.write_text("1\t0.5\t-1.25\t3e-1\n-1\t0.25\t2\tNaN\n1\t0.5\t0.5\t0.5\n")
    series = [[[0.5], [-1.25], [0.3]], [[0.25], [2.0]], [[0.5]] * 3]
    np.testing.assert_allclose(np.concatenate([s for s, _ in items(path)]), np.concatenate(series), rtol=1e-6)
    assert [label for _, label in items(path)] == [("1",), ("-1",), ("1",)]
    notes = read_labelled(path, Reading()).notes()
    assert notes[0].startswith(f"{path}: has no header: the first column is the label, the others are the steps")
    assert notes[0].endswith("1 of which end in NaN and are shorter")


@pytest.mark.parametrize("header", ["0\t1\t2\tlabel", "1\t2\t3\tlabel"])
def test_numbers_that_count_the_columns_are_names(header, tmp_path):
    (tmp_path / "a.tsv").write_text(f"{header}\n0.5\t1\t2\tx\n")
    assert items(tmp_path / "a.tsv") == [([[0.5], [1.0], [2.0]], ("x",))]


def hub_file(path: Path, columns: dict, features: dict) -> None:
    """A parquet file with the metadata that `datasets` writes."""
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pl.DataFrame(columns).write_parquet(path, metadata=metadata)


CLASSES = {"names": ["neg", "pos"], "_type": "ClassLabel"}


def test_class_names_of_hugging_face(tmp_path):
    path = tmp_path / "a.parquet"
    hub_file(path, {"text": ["a", "b"], "label": [1, 0]}, {"label": CLASSES})
    assert items(path) == [("a", ("pos",)), ("b", ("neg",))]
    assert read_labelled(path, Reading()).notes() == [f"{path}: the file names the classes of its numbers: neg, pos"]
    hub_file(path, {"text": ["a", "b"], "label": [[1, 0], []]}, {"label": {"feature": CLASSES, "_type": "List"}})
    assert items(path) == [("a", ("neg", "pos")), ("b", ())]
    hub_file(path, {"text": ["a", "b"], "label": [1, 0]}, {"label": {"dtype": "int64", "_type": "Value"}})
    assert items(path) == [("a", ("1",)), ("b", ("0",))]
    hub_file(path, {"text": ["a", "b"], "label": [1, -1]}, {"label": CLASSES})
    with pytest.raises(InputError, match=r"a\.parquet:2: the label is -1: the row is not labelled"):
        items(path)
    hub_file(path, {"text": ["a", "b"], "label": [1, 2]}, {"label": CLASSES})
    with pytest.raises(InputError, match=r"a\.parquet:2: the label 2 is none of the file's 2 classes"):
        items(path)


@pytest.mark.parametrize("name", ["a.wav", None])
def test_sounds_and_pictures_inside_a_table(name, tmp_path):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(80), 8000, format="WAV")
    cell = {"bytes": buffer.getvalue(), "path": name}
    pl.DataFrame({"audio": [cell, cell], "label": ["a", "b"]}).write_parquet(tmp_path / "a.parquet")
    table = read_labelled(tmp_path / "a.parquet", Reading(audio=AudioOptions(8000)))
    assert (table.kind, [np.shape(source) for source in table.sources]) == ("audio", [(80,), (80,)])
    buffer = io.BytesIO()
    Image.new("RGB", (4, 2)).save(buffer, "PNG")
    cell = {"bytes": buffer.getvalue(), "path": name and "a.png"}
    pl.DataFrame({"id": [1, 2], "image": [cell, cell], "label": ["a", "b"]}).write_parquet(tmp_path / "b.parquet")
    table = read_labelled(tmp_path / "b.parquet", Reading())
    assert (table.kind, [np.shape(source) for source in table.sources]) == ("image", [(3, 2, 4), (3, 2, 4)])


def test_labels_that_pandas_made_floats_of(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\na,1.0\nb,2.0\nc,10.0\n")
    assert [label for _, label in items(tmp_path / "a.csv")] == [("1",), ("2",), ("10",)]
    assert "'1.0' is read as '1'" in read_labelled(tmp_path / "a.csv", Reading()).notes()[0]
    pl.DataFrame({"text": ["a", "b"], "label": [1.0, 2.0]}).write_parquet(tmp_path / "a.parquet")
    assert [label for _, label in items(tmp_path / "a.parquet")] == [("1",), ("2",)]
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1.0}\n{"text": "b", "label": 2}\n')
    assert [label for _, label in items(tmp_path / "a.jsonl")] == [("1",), ("2",)]
    (tmp_path / "b.csv").write_text("text,label\na,1.0\nb,3.10\n")
    assert [label for _, label in items(tmp_path / "b.csv")] == [("1.0",), ("3.10",)]
    pl.DataFrame({"text": ["a", "b"], "label": [1.0, float("nan")]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet:2: the label is empty"):
        items(tmp_path / "a.parquet")


def test_pandas_index_is_no_step(tmp_path):
    (tmp_path / "a.csv").write_text(",x1,x2,label\n0,1.5,2,a\n1,3,4,b\n")
    assert items(tmp_path / "a.csv") == [([[1.5], [2.0]], ("a",)), ([[3.0], [4.0]], ("b",))]
    assert "the column '' only numbers the rows" in read_labelled(tmp_path / "a.csv", Reading()).notes()[0]


@pytest.fixture
def photos(tmp_path):
    """Two classes with six pictures each, in a folder with brackets in its name."""
    folder = tmp_path / "photos [2024]*?"
    for label in ("cat", "dog"):
        (folder / label).mkdir(parents=True)
        for number in range(6):
            Image.new("RGB", (4, 4), (number, 0, ord(label[0]))).save(folder / label / f"{number}.png")
    return folder


def test_a_bad_file_in_a_folder_is_named_or_left_out(photos):
    (photos / "cat" / "x.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    (photos / "dog" / "9.png").write_bytes((photos / "dog" / "1.png").read_bytes()[:50])
    with pytest.raises(InputError) as caught:
        read_labelled(photos, Reading())
    assert str(caught.value) == (
        f"{photos / 'cat' / 'x.heic'}: is HEIC: save it as png or jpeg, or leave such files out by --skip-bad"
    )
    table = read_labelled(photos, Reading(skip_bad=True))
    assert len(table.sources) == 12
    assert table.notes()[0].startswith(f"{photos}: skipped 2 bad files: ")


def test_paths_of_a_table_have_a_base(photos, tmp_path):
    table = tmp_path / "a.csv"
    table.write_text("source,label\ncat/0.png,cat\ndog/0.png,dog\n")
    assert len(items(table, base=photos)) == 2
    with pytest.raises(InputError, match=r"a\.csv:2: .*0\.png: no such file: set --base, the folder"):
        items(table)


def test_what_is_too_small_to_train_on_is_described(photos, tmp_path):
    for label in ("cat", "dog"):
        for number in range(1, 6):
            (photos / label / f"{number}.png").unlink()
    survey = load_labelled(photos, trainable=False).describe()
    assert survey.parts["train"]["items"] + survey.parts["valid"]["items"] + survey.parts["test"]["items"] == 2
    (photos / "dog" / "0.png").unlink()
    (photos / "dog").rmdir()
    corpus = load_labelled(photos, trainable=False)
    train = corpus.describe().parts["train"]
    assert train | {"items": 1, "labels": 1} == train
    assert "at least two" in corpus.problem


def test_data_without_a_training_part_is_described(tmp_path):
    (tmp_path / "a.csv").write_text("text,label,part\na,x,test\nb,y,test\n")
    corpus = load_labelled(tmp_path / "a.csv", Reading(split_column="part"), trainable=False)
    parts = corpus.describe().parts
    assert {name: part["items"] for name, part in parts.items()} == {"train": 0, "valid": 0, "test": 2}
    assert "no row belongs to the training part" in corpus.problem


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["good", "empty", "cut", "text", "small", "gone"]), st.sampled_from("ab")), min_size=1
    )
)
def test_every_row_is_an_item_or_is_counted(tmp_path_factory, rows):
    """Of a table of pictures and of a folder: rows = items + those left out."""
    folder = tmp_path_factory.mktemp("rows")
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)).save(buffer, "PNG")
    small = io.BytesIO()
    Image.new("RGB", (2, 2)).save(small, "PNG")
    png = buffer.getvalue()
    contents = {"good": png, "empty": b"", "cut": png[:90], "text": b"hello", "small": small.getvalue()}
    lines = ["image,label"]
    for label in "ab":
        (folder / "classes" / label).mkdir(parents=True)
        (folder / "classes" / label / "0.png").write_bytes(png)
    for number, (kind, label) in enumerate([("good", "a"), *rows], 1):
        path = folder / "classes" / label / f"{number}.png"
        if kind != "gone":
            path.write_bytes(contents[kind])
        lines.append(f"{path.relative_to(folder)},{label}")
    (folder / "a.csv").write_text("\n".join(lines) + "\n")
    reading = Reading(source_column="image", skip_bad=True)
    table = read_labelled(folder / "a.csv", reading)
    assert len(table.sources) == 1 + sum(kind == "good" for kind, _ in rows)
    assert len(table.sources) + table.skipped == 1 + len(rows)
    assert len(table.sources) == len(table.labels) == len(table.places)
    classes = read_labelled(folder / "classes", reading)
    assert len(classes.sources) + classes.skipped == len(list((folder / "classes").glob("*/*")))


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_usual_name_of_the_labels_is_used_and_noted(suffix: str, tmp_path: Path) -> None:
    rows = {"csv": "review,Sentiment\nfine,good\nawful,bad\n",
            "jsonl": '{"review": "fine", "Sentiment": "good"}\n{"review": "awful", "Sentiment": "bad"}\n'}  # fmt: skip
    path = tmp_path / f"reviews.{suffix}"
    path.write_text(rows[suffix])
    assert items(path) == [("fine", ("good",)), ("awful", ("bad",))]
    note = "the labels are 'Sentiment' (--label-column chooses another column)"
    assert note in read_labelled(path, Reading()).notes()[0]
    assert items(path, label_column="review") == [("good", ("fine",)), ("bad", ("awful",))]


def test_labels_of_any_name_that_repeat_beside_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"{'libs' if number % 3 else 'utils'},text {number} of it\n" for number in range(30)]
    path.write_text("section,description\n" + "".join(rows))
    table = read_labelled(path, Reading())
    assert set(table.labels) == {("libs",), ("utils",)}
    assert table.sources[1] == "text 1 of it"
    assert "the labels are 'section' (--label-column chooses another column)" in table.remarks
