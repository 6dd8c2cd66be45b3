"""Labels come back with the type that the training data gave them, from memory, from files, and after saving."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import sightline
from sightline.core.errors import InputError

TEXTS = [f"{'red' if i % 2 else 'blue'} {i}" for i in range(40)]
TINY = {"settings": {"model.d_model": 8, "model.heads": 2, "seed": 1}}
VALUES: dict[str, list[Any]] = {
    "integers": [3, 10],
    "negative": [-1, 1],
    "numbers": [0.0, 1.0],
    "booleans": [False, True],
    "texts": ["3", "10"],
    "words": ["no", "yes"],
}


def fitted(data: Any) -> Any:
    return sightline.fit("classification", data, "gru", "2steps", **TINY)


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_labels_keep_their_type(values, tmp_path):
    model = fitted((np.array(TEXTS), np.array(values * 20)))
    model.save(tmp_path / "model")
    for task in (model, sightline.load(tmp_path / "model")):
        label, shares = task.predict("red 5"), task.predict("red 5", proba=True)
        record = task.predict(["red 5"], return_dict=True)[0]
        assert type(label) is type(values[0])
        assert (label, record["label"]) == (max(shares, key=shares.get),) * 2
        assert record["probabilities"] == shares
        assert sorted(shares) == sorted(values)
        assert {type(value) for value in shares} == {type(values[0])}
        outputs = task.predict(TEXTS)
        agreed = np.mean([one == given for one, given in zip(outputs, values * 20, strict=True)])
        assert task.evaluate((np.array(TEXTS), np.array(values * 20))).metrics["accuracy"] == pytest.approx(agreed)


@pytest.mark.parametrize(
    "table",
    [
        [*zip(TEXTS, [3, 10] * 20, strict=True)],
        [{"text": text, "label": label} for text, label in zip(TEXTS, [3, 10] * 20, strict=True)],
        pl.DataFrame({"text": TEXTS, "label": pl.Series([3, 10] * 20, dtype=pl.UInt8)}),
        pd.DataFrame({"text": TEXTS, "label": pd.array([3, 10] * 20, dtype="Int64")}),
        pd.DataFrame({"text": TEXTS, "class": pd.Categorical([3, 10] * 20)}),
        pl.DataFrame({"text": TEXTS, "label": [3, 10] * 20}).to_arrow(),
    ],
    ids=["pairs", "dicts", "polars", "pandas", "categories", "pyarrow"],
)
def test_integers_of_every_kind_of_table(table):
    assert sorted(fitted(table).predict("red 5", proba=True)) == [3, 10]


def test_any_number_of_integers():
    model = fitted(pl.DataFrame({"text": TEXTS, "label": [[1], [1, 2]] * 20}))
    (labels,) = model.predict(["red 5"])
    assert isinstance(labels, tuple)
    assert all(type(label) is int for label in labels)
    assert sorted(model.predict("red 5", proba=True)) == [1, 2]


@pytest.mark.parametrize(("suffix", "expected"), [("csv", ["1", "2"]), ("jsonl", ["1", "2"]), ("parquet", [1, 2])])
def test_a_file_gives_texts_unless_its_columns_have_types(suffix, expected, tmp_path):
    frame = pd.DataFrame({"text": TEXTS, "label": [1, 2] * 20})
    path = tmp_path / f"a.{suffix}"
    {
        "csv": lambda: frame.to_csv(path, index=False),
        "jsonl": lambda: frame.to_json(path, orient="records", lines=True),
        "parquet": lambda: frame.to_parquet(path),
    }[suffix]()
    model = fitted(path)
    assert sorted(model.predict("red 5", proba=True)) == expected
    (answer,) = model.answer(["red 5"])
    assert answer.text.split("\t")[0] == str(model.predict("red 5"))


def changed(place: Path, label_type: str | None) -> Path:
    """The model directory with another type of labels in its options, or none."""
    content = json.loads((place / "config.json").read_text())
    content["options"].pop("label_type", None)
    content["options"] |= {} if label_type is None else {"label_type": label_type}
    (place / "config.json").write_text(json.dumps(content))
    return place


def test_a_model_without_the_type_gives_texts_and_a_wrong_type_is_named(tmp_path):
    fitted((np.array(TEXTS), np.array([1, 2] * 20))).save(tmp_path / "model")
    assert sightline.load(changed(tmp_path / "model", None)).predict("red 5") in ("1", "2")
    with pytest.raises(InputError, match=r"config\.json: options: the label '1' is not a value of type boolean$"):
        sightline.load(changed(tmp_path / "model", "boolean"))
