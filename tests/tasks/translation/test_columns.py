"""The columns of the training table: a saved translator reads other tables by their names, in any order."""

from __future__ import annotations

import json
import resource
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import sightline
from sightline.core.errors import EnvironmentFault
from sightline.data.inputs import InputTable
from sightline.data.pairs.columns import UNKNOWN, PairColumns
from sightline.data.pairs.corpus import load_corpus
from sightline.tasks.translation.prepared import prepared_pairs

TINY: dict[str, Any] = {"model.d_model": 8, "batch_tokens": 256, "seed": 1, "device": "cpu"}
WORDS = ("red", "blue", "green", "white", "black")


def keywords(count: int = 60) -> pl.DataFrame:
    """Sources beside targets in a column that has the usual name of inputs."""
    names = [f"{WORDS[n % 5]} {WORDS[n // 5 % 5]} {n}" for n in range(count)]
    return pl.DataFrame({"keywords": names, "text": [f"a text of {name}" for name in names]})


def fitted(folder: Path, table: pl.DataFrame) -> Any:
    """A model that was trained on the table, saved and loaded."""
    table.write_parquet(folder / "train.parquet")
    sightline.fit("translation", folder / "train.parquet", "gru", "2steps", out_dir=folder / "run", settings=TINY)
    return sightline.load(folder / "run")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return fitted(tmp_path_factory.mktemp("pairs"), keywords())


def inputs(task: Any, table: pl.DataFrame, folder: Path, suffix: str = "csv") -> list[str]:
    """The inputs of `predict --data` in the rows of a table."""
    file = folder / f"new.{suffix}"
    {"csv": table.write_csv, "jsonl": table.write_ndjson, "parquet": table.write_parquet}[suffix](file)
    return task.table_inputs(InputTable(file))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_sources_are_read_by_name(model: Any, suffix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = keywords(5)
    sources = table["keywords"].to_list()
    for one in (table, table.select("text", "keywords"), table.select("keywords"), table.with_columns(n=pl.lit("x"))):
        assert inputs(model, one, tmp_path, suffix) == sources
    assert not caplog.messages


def test_a_frame_is_read_as_the_training_table(model: Any) -> None:
    table = keywords(5)
    expected = model.predict(table["keywords"].to_list(), return_dict=True)
    for one in (table, table.select("text", "keywords").to_pandas(), table.to_dicts()):
        assert model.predict(one, return_dict=True) == expected


def test_an_evaluation_reads_columns_in_any_order(model: Any, tmp_path: Path) -> None:
    table = keywords(10)
    expected = model.evaluate(table)
    assert model.evaluate(table.select("text", "keywords")).metrics == expected.metrics
    reversed_names = table.rename({"keywords": "en", "text": "de"}).select("de", "en")
    named = model.evaluate(reversed_names, source_column="en", target_column="de")
    assert named.metrics == expected.metrics


def test_one_column_may_have_another_name(model: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = keywords(10)
    other = table.rename({"text": "sentence"}).select("sentence", "keywords")
    assert model.evaluate(other).references == model.evaluate(table).references
    assert any("the target is 'sentence'" in message for message in caplog.messages)


def test_the_target_is_never_taken_for_an_input(model: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = keywords(5).rename({"keywords": "words"})
    assert inputs(model, table, tmp_path, "parquet") == table["words"].to_list()
    assert any("the inputs are 'words'" in message for message in caplog.messages)


def test_files_of_validation_and_test_are_read_as_the_training_file(tmp_path: Path) -> None:
    table = keywords().rename({"keywords": "de", "text": "en"})
    table.write_csv(tmp_path / "train.csv")
    table.head(7).select("en", "de").write_csv(tmp_path / "valid.csv")
    (tmp_path / "test.jsonl").write_text(
        "".join(json.dumps({"en": en, "de": de}) + "\n" for de, en in table.tail(4).rows())
    )
    corpus = load_corpus(tmp_path / "train.csv", valid=tmp_path / "valid.csv", test=tmp_path / "test.jsonl")
    assert corpus.columns == PairColumns("de", "en")
    assert corpus.valid.sides == (table["de"].to_list()[:7], table["en"].to_list()[:7])
    assert corpus.test.sides == (table["de"].to_list()[-4:], table["en"].to_list()[-4:])
    assert not [finding for finding in corpus.describe().findings if not finding.file.endswith("train.csv")]
    again = [prepared_pairs(tmp_path, lambda: corpus), prepared_pairs(tmp_path, lambda: corpus)]
    assert [one.columns for one in again] == [corpus.columns] * 2


def test_pairs_that_are_kept_for_all_trainings_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    keywords().write_csv(tmp_path / "train.csv")
    corpus = load_corpus(tmp_path / "train.csv", source_column="keywords", target_column="text")
    kept = tmp_path / "kept"
    kept.mkdir()
    limits, way = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))  # the rest of the file does not fit
        with pytest.raises(EnvironmentFault, match=r"pairs\.json: "):
            prepared_pairs(kept, lambda: corpus)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, way)
    assert [*kept.iterdir()] == []
    assert [prepared_pairs(kept, lambda: corpus).train.sides for _ in range(2)] == [corpus.train.sides] * 2


def test_columns_inside_objects_have_dotted_names(tmp_path: Path) -> None:
    rows = [{"translation": {"de": de, "en": en}} for de, en in keywords().rows()]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = load_corpus(tmp_path / "train.jsonl")
    assert corpus.columns == PairColumns("translation.de", "translation.en")
    sources = [row["translation"]["de"] for row in rows]
    pl.DataFrame(rows).write_parquet(tmp_path / "new.parquet")
    for file in ("train.jsonl", "new.parquet"):
        assert InputTable(tmp_path / file).texts(None, corpus.columns) == sources
    assert InputTable(tmp_path / "train.jsonl").texts(None, UNKNOWN) == sources


def test_data_without_names_has_no_columns(tmp_path: Path) -> None:
    lines = [f"ein Satz {n}\ta sentence {n}\n" for n in range(40)]
    (tmp_path / "train.tsv").write_text("".join(lines))
    assert load_corpus(tmp_path / "train.tsv").columns == UNKNOWN
    for side, suffix in enumerate(("de", "en")):
        (tmp_path / f"a.{suffix}").write_text("".join(line.split("\t")[side].strip() + "\n" for line in lines))
    assert load_corpus(f"{tmp_path}/a.de,{tmp_path}/a.en").columns == UNKNOWN
    assert load_corpus("builtin:dates?size=200").columns == UNKNOWN


def test_a_model_without_columns_reads_by_place(model: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One of version 0.1.0, which does not store them: a column of that name is `text`, which a note says."""
    model.save(tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    content = json.loads(config.read_text())
    assert content["options"].pop("columns") == {"source": "keywords", "target": "text"}
    config.write_text(json.dumps(content))
    old, table = sightline.load(tmp_path / "model"), keywords(5)
    assert inputs(old, table, tmp_path) == table["text"].to_list()
    assert any("the inputs are 'text'" in message for message in caplog.messages)
    renamed = table.rename({"keywords": "de", "text": "en"})
    assert inputs(old, renamed, tmp_path) == table["keywords"].to_list()
    assert inputs(old, renamed.select("en", "de"), tmp_path) == table["text"].to_list()


def test_a_column_of_texts_beside_names_of_rows_is_the_input(tmp_path: Path) -> None:
    """Of a model of pairs in a list, whose columns have the names of their roles."""
    texts = ["one", "two", "three"]
    frame = pd.DataFrame({"id": ["a1", "a2", "a3"], "text": texts})
    frame.to_csv(tmp_path / "new.csv", index=False)
    assert InputTable(tmp_path / "new.csv").texts(None, PairColumns("source", "target")) == texts
