"""The columns of the training table: a saved model reads other tables by their names, in `predict` and in `eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import sightline
from sightline.core.errors import InputError
from sightline.data.inputs import InputTable

TINY: dict[str, Any] = {"model.d_model": 8, "optim.lr": 3e-2, "optim.warmup_steps": 0, "seed": 1, "device": "cpu"}
ROWS = 120
LISTS = {"acc": "[1, 2, {n}]", "gyro": "[-1, {n}, 5]"}


def reviews(count: int = 60) -> pl.DataFrame:
    words = ("good", "bad")
    return pl.DataFrame({"review": [f"{words[n % 2]} {n}" for n in range(count)], "label": ["a", "b"] * (count // 2)})


def passengers() -> pl.DataFrame:
    """Three numbers of passengers, of which the class decides who survived."""
    random = np.random.default_rng(0)
    rank = random.integers(1, 4, ROWS)
    numbers = {"class": rank, "age": random.integers(1, 80, ROWS), "fare": random.integers(5, 100, ROWS)}
    return pl.DataFrame({"survived": ["no" if one > 1 else "yes" for one in rank], **numbers})


def numbers_of(table: pl.DataFrame) -> list[list[float]]:
    return [[float(one) for one in row] for row in table.select("class", "age", "fare").rows()]


def flowers(count: int = 60) -> pl.DataFrame:
    """Numbers beside the only column of texts, which is one of labels since it repeats a few."""
    species = ["iris" if n % 3 else "rose" for n in range(count)]
    return pl.DataFrame({"petal": [n % 7 + 0.5 for n in range(count)], "sepal": [n % 5 for n in range(count)],
                         "species": species})  # fmt: skip


def fitted(folder: Path, data: Any, **keys: Any) -> Any:
    """A model that was trained on the data, saved and loaded."""
    folder.mkdir(exist_ok=True)
    if isinstance(data, pl.DataFrame):
        data.write_csv(folder / "train.csv")
        data = folder / "train.csv"
    sightline.fit("classification", data, "gru", "30steps", out_dir=folder / "run", settings=TINY, **keys)
    return sightline.load(folder / "run")


def inputs(task: Any, table: pl.DataFrame, folder: Path, column: str | None = None) -> list[Any]:
    """The inputs of `predict --data` in the rows of a table."""
    table.write_csv(folder / "new.csv")
    return [json.loads(one) for one in task.table_inputs(InputTable(folder / "new.csv", column))]


def metrics(task: Any, table: pl.DataFrame, folder: Path, **keys: Any) -> dict[str, float]:
    """Those of `eval --data`."""
    table.write_csv(folder / "new.csv")
    return task.evaluate(folder / "new.csv", **keys).metrics


@pytest.fixture(scope="module")
def survivors(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return fitted(tmp_path_factory.mktemp("passengers"), passengers(), label_column="survived")


@pytest.fixture(scope="module")
def species(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return fitted(tmp_path_factory.mktemp("flowers"), flowers())


def test_a_source_with_a_usual_name_of_labels_stays_a_source(survivors: Any, tmp_path: Path) -> None:
    table = passengers()
    for one in (table, table.drop("survived"), table.with_columns(label=pl.lit("x"))):
        assert inputs(survivors, one, tmp_path) == numbers_of(table)
    assert inputs(survivors, table, tmp_path, "age,fare") == [row[1:] for row in numbers_of(table)]


@pytest.mark.parametrize("order", [["fare", "age", "class"], ["age", "class", "deck", "fare"]], ids=",".join)
def test_sources_are_read_by_name_whatever_their_order(order: list[str], survivors: Any, tmp_path: Path) -> None:
    table = passengers()
    changed = table.with_columns(deck=pl.int_range(ROWS)).select("survived", *order)
    assert inputs(survivors, changed, tmp_path) == numbers_of(table)
    assert metrics(survivors, changed, tmp_path) == metrics(survivors, table, tmp_path)


def test_a_source_that_is_missing_is_named(survivors: Any, tmp_path: Path) -> None:
    for lost, name in ((passengers().drop("age"), "age"), (passengers().rename(lambda name: name[:2]), "class")):
        for use in (inputs, metrics):
            with pytest.raises(InputError, match=rf"new\.csv:2: no column '{name}'"):
                use(survivors, lost.rename({"su": "survived"}, strict=False), tmp_path)


def test_columns_that_the_user_names_come_first(survivors: Any, tmp_path: Path) -> None:
    table = passengers()
    renamed = table.rename({"survived": "alive", "class": "c", "age": "a", "fare": "f"})
    named = metrics(survivors, renamed, tmp_path, label_column="alive", source_column="c,a,f")
    assert named == metrics(survivors, table, tmp_path)
    assert inputs(survivors, renamed, tmp_path, "c,a,f") == numbers_of(table)


@pytest.mark.parametrize("named", [None, "acc,gyro", "acc:gyro"])
def test_columns_of_lists_are_read_by_name(named: str | None, tmp_path: Path) -> None:
    table = pl.DataFrame({"label": ["a", "b"] * 30} | {
        name: [cell.format(n=n) for n in range(60)] for name, cell in LISTS.items()
    })  # fmt: skip
    task = fitted(tmp_path, table, **({} if named is None else {"source_column": named}))
    expected = [[[1.0, -1.0], [2.0, n], [n, 5.0]] for n in range(60)]
    assert inputs(task, table, tmp_path) == inputs(task, table.select("gyro", "acc", "label"), tmp_path) == expected
    assert metrics(task, table.select("gyro", "acc", "label"), tmp_path) == metrics(task, table, tmp_path)


def test_a_name_with_a_comma_is_one_name(tmp_path: Path) -> None:
    names = {"petal": "length, cm", "sepal": "width, cm"}
    task, table = fitted(tmp_path, flowers().rename(names)), flowers().rename(names)
    assert inputs(task, table.select("species", *reversed(names.values())), tmp_path) == inputs(task, table, tmp_path)


def test_labels_that_training_derived_are_known_in_a_short_table(species: Any, tmp_path: Path) -> None:
    short = flowers(4)
    assert inputs(species, short, tmp_path) == [[0.5, 0.0], [1.5, 1.0], [2.5, 2.0], [3.5, 3.0]]
    outputs = species.predict(inputs(species, short, tmp_path))
    right = np.mean([one == label for one, label in zip(outputs, short["species"], strict=True)])
    assert metrics(species, short, tmp_path)["accuracy"] == pytest.approx(right)
    assert metrics(species, short.rename({"species": "label"}), tmp_path) == metrics(species, short, tmp_path)


def test_data_without_names_is_read_by_its_place(species: Any, tmp_path: Path) -> None:
    table = flowers()
    pairs = [([petal, sepal], label) for petal, sepal, label in table.rows()]
    assert species.evaluate(pairs).metrics == metrics(species, table, tmp_path)
    lines = [f"{petal},{sepal}:{label}" for petal, sepal, label in table.rows()]
    (tmp_path / "a.ts").write_text("\n".join(["@classLabel true iris rose", "@data", *lines]) + "\n")
    assert species.evaluate(tmp_path / "a.ts").metrics == metrics(species, table, tmp_path)


def test_one_column_may_have_another_name(tmp_path: Path) -> None:
    table = reviews().rename({"label": "sentiment"})
    task, other = fitted(tmp_path, table), table.rename({"review": "text", "sentiment": "label"})
    assert metrics(task, other, tmp_path) == metrics(task, table, tmp_path)
    other.write_csv(tmp_path / "new.csv")
    assert task.table_inputs(InputTable(tmp_path / "new.csv")) == table["review"].to_list()


def test_the_column_of_parts_is_no_source_and_not_needed(tmp_path: Path) -> None:
    table = flowers()
    parts = table.with_columns(part=pl.Series(["train", "train", "train", "valid", "test"] * 12))
    task = fitted(tmp_path, parts, split_column="part")
    assert metrics(task, table, tmp_path) == metrics(task, parts, tmp_path)
    assert inputs(task, parts, tmp_path) == inputs(task, table, tmp_path)
    texts = reviews().with_columns(part=parts["part"])
    task = fitted(tmp_path / "texts", texts, split_column="part")
    assert metrics(task, texts.drop("part"), tmp_path) == metrics(task, texts, tmp_path)
    texts.write_csv(tmp_path / "new.csv")
    assert task.table_inputs(InputTable(tmp_path / "new.csv")) == texts["review"].to_list()


def test_labels_are_whole_numbers_as_those_of_training_are(tmp_path: Path) -> None:
    table = reviews().with_columns(label=pl.Series(["4.0", "4.5", "5.0", "4.5"] * 15))
    task = fitted(tmp_path, table)
    assert task.classes == ("4.0", "4.5", "5.0")
    assert set(metrics(task, table.filter(pl.col("label") != "4.5"), tmp_path)) >= {"accuracy"}
    whole = table.with_columns(label=pl.Series([1, 2, 3, 2] * 15))
    task = fitted(tmp_path / "whole", whole)
    pointed = whole.with_columns(label=whole["label"].cast(pl.Float64))
    assert metrics(task, pointed, tmp_path) == metrics(task, whole, tmp_path)
    with pytest.raises(InputError, match=r"new\.csv:2: the label '1\.5' does not occur in training"):
        metrics(task, pointed.with_columns(label=pl.lit("1.5")), tmp_path)


def test_a_model_without_columns_reads_as_it_did(survivors: Any, tmp_path: Path) -> None:
    """One of version 0.1.0, which does not store them: sources by place, all columns with usual names are labels."""
    survivors.save(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    content = json.loads(config.read_text())
    assert content["options"].pop("columns") == {
        "label": "survived", "sources": ["class", "age", "fare"], "split": None
    }  # fmt: skip
    config.write_text(json.dumps(content))
    old, table = sightline.load(tmp_path / "model"), passengers()
    assert inputs(old, table, tmp_path) == [row[1:] for row in numbers_of(table)]
    assert metrics(old, table, tmp_path) == metrics(survivors, table, tmp_path)
    assert inputs(old, table.rename({"class": "c"}).select("fare", "age", "c"), tmp_path) == [
        row[::-1] for row in numbers_of(table)
    ]
