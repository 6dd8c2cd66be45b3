"""Tables of validation and test are read by the columns and the labels of the training table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightline.core.errors import InputError
from sightline.data.labelled.columns import LabelledColumns
from sightline.data.labelled.corpus import LabelledCorpus, load_labelled
from sightline.data.labelled.table import Reading

TRAIN = ["label,a,b,c", *(f"{'xy'[n % 2]},{n},{n + 0.5},{-n}" for n in range(40))]


def loaded(folder: Path, test: list[str], train: list[str] = TRAIN, **options: str | None) -> LabelledCorpus:
    (folder / "train.csv").write_text("\n".join(train) + "\n")
    (folder / "test.csv").write_text("\n".join(test) + "\n")
    return load_labelled(folder / "train.csv", Reading(**options), test=folder / "test.csv")


def series(data: LabelledCorpus) -> list[list[float]]:
    return [np.asarray(source)[:, 0].tolist() for source in data.test.sources]


@pytest.mark.parametrize("columns", [None, "a,b,c", "a:c"])
def test_a_test_file_is_read_by_name(columns: str | None, tmp_path: Path) -> None:
    data = loaded(tmp_path, ["c,more,label,b,a", "-7,1,x,2,3"], source_column=columns)
    assert series(data) == [[3, 2, -7]]
    assert data.columns == LabelledColumns("label", ("a", "b", "c"))
    with pytest.raises(InputError, match=r"test\.csv:2: no column 'b'"):
        loaded(tmp_path, ["label,a,c", "x,1,2"], source_column=columns)


def test_a_test_file_of_lists_is_read_by_name(tmp_path: Path) -> None:
    train = ["label;acc;gyro", *(f"{'xy'[n % 2]};[1, {n}];[2, {n}]" for n in range(40))]
    data = loaded(tmp_path, ["gyro;label;acc", "[20, 21];x;[10, 11]"], train)
    assert np.asarray(data.test.sources[0]).tolist() == [[10, 20], [11, 21]]


def test_the_labels_of_a_short_test_file_are_in_the_column_of_training(tmp_path: Path) -> None:
    train = ["species,a,b", *(f"{'iris' if n % 3 else 'rose'},{n % 7},{n % 5}" for n in range(60))]
    data = loaded(tmp_path, ["a,b,species", "3,2,rose"], train)
    assert (data.test.labels, series(data)) == ([("rose",)], [[3, 2]])


def test_files_of_parts_need_no_column_of_parts(tmp_path: Path) -> None:
    train = [line + f",{'part' if n == 0 else 'train'}" for n, line in enumerate(TRAIN)]
    for test in (["label,a,b,c", "x,1,2,3"], ["part,label,a,b,c", "?,x,1,2,3"]):
        data = loaded(tmp_path, test, train, split_column="part")
        assert (series(data), data.columns.split) == ([[1, 2, 3]], "part")


@pytest.mark.parametrize(
    ("names", "test", "expected"),
    [
        (["4.0", "4.5", "5.0"], ["4.0", "5.0"], ["4.0", "5.0"]),
        (["4", "5", "6"], ["4.0", "5.0"], ["4", "5"]),
        (["4.0", "5.0"], ["4", "5.0"], ["4", "5"]),
        (["4", "4.5"], ["4.0", "4.5"], ["4", "4.5"]),
    ],
    ids=["with fractions", "pointed in the test", "pointed in training", "one with a fraction"],
)
def test_labels_are_whole_numbers_as_those_of_training_are(
    names: list[str], test: list[str], expected: list[str], tmp_path: Path
) -> None:
    train = ["text,label", *(f"t{n},{names[n % len(names)]}" for n in range(60))]
    data = loaded(tmp_path, ["text,label", *(f"u,{name}" for name in test)], train)
    assert [name for (name,) in data.test.labels] == expected
    with pytest.raises(InputError, match=r"test\.csv:2: the label '7\.0' does not occur in training"):
        loaded(tmp_path, ["text,label", "u,7.0"], train)


def test_columns_of_archives_and_folders_have_no_names(tmp_path: Path) -> None:
    lines = [f"{n},{n + 1}:{'ab'[n % 2]}" for n in range(40)]
    (tmp_path / "a.ts").write_text("\n".join(["@classLabel true a b", "@data", *lines]) + "\n")
    assert load_labelled(tmp_path / "a.ts").columns == LabelledColumns()
    assert load_labelled("builtin:digits?as=rows").columns == LabelledColumns()
