"""`predict --data`: an input in each row of a table. That rows are read as in training is a law of tasks."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.data.inputs import InputTable
from sightline.tasks.load import load
from tests.tasks.subjects import classification, forecasting
from tests.tasks.translation.small import untrained

TEXTS = ["7", "123", "40", "999"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models") / "model"
    untrained("gru", seed=4).save(directory)
    return directory


def predict(capsys, *arguments: object) -> tuple[int, str, str]:
    status = main(["predict", *map(str, arguments)])
    return status, *capsys.readouterr()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_the_rows_of_a_column_are_the_inputs_in_order(suffix, model, tmp_path, capsys):
    file = tmp_path / f"new.{suffix}"
    table = pl.DataFrame({"id": [1, 2, 3, 4], "number in words": TEXTS})
    {"csv": table.write_csv, "jsonl": table.write_ndjson, "parquet": table.write_parquet}[suffix](file)
    expected = "".join(text + "\n" for text in load(model).predict(TEXTS))
    assert predict(capsys, model, "--data", file, "--source-column", "number in words")[:2] == (0, expected)
    printed = json.loads(predict(capsys, model, "--data", file, "--source-column", "number in words", "--json")[1])
    assert [one["source"] for one in printed["predictions"]] == TEXTS


def test_an_empty_cell_has_an_empty_line(model, tmp_path, capsys):
    file = tmp_path / "new.csv"
    file.write_text("source,note\n7,a\n,b\n40,c\n")
    lines = predict(capsys, model, "--data", file)[1].split("\n")
    expected = load(model).predict(["7", "40"])
    assert lines == [expected[0], "", expected[1], ""]


def test_the_column_that_training_derived_is_used_again(model, tmp_path, capsys):
    """Pairs without names that say which is which: the first one is the source."""
    file = tmp_path / "new.csv"
    file.write_text("de,en\n7,seven men\n40,forty men\n".replace("7,", "eins,").replace("40,", "zwei,"))
    status, out, error = predict(capsys, model, "--data", file)
    assert (status, out) == (0, "".join(text + "\n" for text in load(model).predict(["eins", "zwei"])))
    assert f"sightline: {file}: the inputs are 'de' (--source-column chooses another column)\n" in error


def test_labels_of_a_classifier_are_not_read_as_inputs(tmp_path, capsys):
    task = classification(tmp_path).task
    task.save(tmp_path / "model")
    texts = ["red", "blue blue", "the sky"] * 4
    pl.DataFrame({"review": texts, "sentiment": ["a", "b"] * 6}).write_csv(tmp_path / "new.csv")
    one_by_one = predict(capsys, tmp_path / "model", *texts)
    assert one_by_one[0] == 0
    assert predict(capsys, tmp_path / "model", "--data", tmp_path / "new.csv") == one_by_one


def test_the_only_column_of_a_table_without_a_header(model, tmp_path, capsys):
    file = tmp_path / "new.csv"
    file.write_text("".join(text + "\n" for text in TEXTS))
    status, out, _ = predict(capsys, model, "--data", file, "--no-header")
    assert (status, out) == (0, "".join(text + "\n" for text in load(model).predict(TEXTS)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "three.csv"], "which of the columns de, en and fr is the source? Set --source-column"),
        (["--data", "new.csv", "--source-column", "dee"], "new.csv:1: no column 'dee' for the source, did you mean"),
        (["--data", "bad.csv", "--source-column", "de"], "bad.csv:3: expected 2 columns, found 3"),
        (["--data", "lines.txt"], "lines of a text file are read from standard input: sightline predict"),
        (["--data", "new.csv", "7"], "--data: inputs and a table are mutually exclusive"),
        (["--source-column", "de", "7"], "--source-column: requires --data"),
        (["--data", "none.csv"], "none.csv: no such file"),
        (["--data", "empty.csv", "--source-column", "de"], "empty.csv: has no rows"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_be_read_is_named(arguments, message, model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("new.csv").write_text("de,en\nein Hund,a dog\nzwei Katzen,two cats\n")
    Path("three.csv").write_text("de,en,fr\nein Hund,a dog,un chien\nzwei Katzen,two cats,deux chats\n")
    Path("bad.csv").write_text("de,en\nein Hund,a dog\nzwei,drei,vier\n")
    Path("empty.csv").write_text("de,en\n")
    Path("lines.txt").write_text("eins\n")
    status, out, error = predict(capsys, model, *arguments)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert message in error


def test_a_table_of_series_is_one_input(tmp_path, capsys):
    task = forecasting(tmp_path).task
    task.save(tmp_path / "model")
    by_name = predict(capsys, tmp_path / "model", tmp_path / "0.csv")
    assert by_name[0] == 0
    assert predict(capsys, tmp_path / "model", "--data", tmp_path / "0.csv") == by_name
    with pytest.raises(InputError, match="--source-column: a series is read as in training"):
        task.table_inputs(InputTable(tmp_path / "0.csv", column="a"))
