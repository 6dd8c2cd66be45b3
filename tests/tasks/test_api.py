"""Training from Python in one call."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import sightline
from sightline.core.errors import InputError, Interrupted
from sightline.core.yaml12 import read_yaml
from sightline.data.labelled.corpus import load_labelled
from sightline.decoding.engine import DecodingConfig
from tests.stopping import stop_at
from tests.tasks.translation.small import corpus

SMALL = {"model.d_model": 32, "batch_tokens": 512, "seed": 3}


@pytest.mark.slow
def test_a_call_trains_predicts_and_saves(tmp_path):
    model = sightline.fit("translation", corpus(), "gru", "40steps", settings=SMALL)
    answers = model.predict(corpus().test.sources[:5])
    model.save(tmp_path / "model")
    assert sightline.load(tmp_path / "model").predict(corpus().test.sources[:5]) == answers


@pytest.mark.slow
def test_from_a_file_it_is_the_run_that_the_command_leaves(tmp_path):
    rows = zip(*corpus().train.sides, strict=True)
    (tmp_path / "pairs.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8")
    keep = {"out_dir": tmp_path / "run", "settings": {**SMALL, "device": "cpu"}}
    sightline.fit("translation", tmp_path / "pairs.tsv", "gru", "4steps", **keep)
    assert (tmp_path / "run" / "config.yaml").exists()
    assert (tmp_path / "run" / "best" / "model.safetensors").exists()
    with pytest.raises(InputError, match="contains a run"):
        sightline.fit("translation", tmp_path / "pairs.tsv", "gru", "8steps", **keep)
    sightline.fit("translation", tmp_path / "pairs.tsv", "gru", "8steps", resume=True, **keep)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("translations", "pairs.tsv"), "unknown task 'translations', did you mean 'translation'"),
        (("translation", "nowhere.tsv"), "nowhere.tsv: no such file"),
        (("translation", "pairs.tsv", "grru"), "unknown architecture 'grru', did you mean 'gru'"),
        (("translation", "pairs.tsv", "gru", "soon"), "soon"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message):
    with pytest.raises(InputError, match=message):
        sightline.fit(*arguments)


def test_a_resumed_run_keeps_its_own_budget_and_settings(tmp_path):
    rows = zip(*corpus().train.sides, strict=True)
    (tmp_path / "pairs.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in rows), encoding="utf-8")
    place, call = tmp_path / "run", partial(sightline.fit, "translation", tmp_path / "pairs.tsv", quiet=True)
    with pytest.raises(Interrupted, match="after step 3"):
        call("gru", "9steps", out_dir=place, settings={**SMALL, "device": "cpu"}, on_progress=stop_at(3))
    assert call(resume=True, out_dir=place).arch == "gru"
    (*_, end) = map(json.loads, (place / "metrics.jsonl").read_text().splitlines())
    assert (end["event"], end["status"], end["steps"]) == ("end", "completed", 9)
    assert read_yaml(place / "config.yaml")["budget"] == "9steps"
    assert call(resume=True, budget="11steps", out_dir=place).config.batch_tokens == SMALL["batch_tokens"]
    assert json.loads((place / "metrics.jsonl").read_text().splitlines()[-1])["steps"] == 11


CONTINUED = {
    "run": partial(sightline.fit, "translation"),
    "comparison": sightline.compare,
    "ladder": sightline.ladder,
    "ladder of sizes": sightline.scale,
}


@pytest.mark.parametrize(("what", "call"), CONTINUED.items(), ids=CONTINUED)
def test_resuming_needs_a_directory_and_overwrites_nothing(what, call, tmp_path):
    with pytest.raises(InputError, match=rf"^resume: requires out_dir, the {what} to continue$"):
        call("pairs.tsv", resume=True)
    with pytest.raises(InputError, match=r"^resume and overwrite are mutually exclusive$"):
        call("pairs.tsv", resume=True, overwrite=True, out_dir=tmp_path / "out")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("task", "data", "arch"),
    [
        ("forecasting", "builtin:seasonal", "dlinear"),
        ("language", [f"to be or not to be, that is question {i}" for i in range(60)], "lstm"),
        ("classification", "builtin:digits?as=rows", "gru"),
        ("classification", load_labelled("builtin:digits?as=rows"), "gru"),
        ("classification", load_labelled("builtin:digits"), "transformer"),
        ("translation", corpus(), "transformer"),
    ],
    ids=["series", "texts", "labelled series", "corpus of series", "corpus of pictures", "corpus of pairs"],
)
def test_without_an_architecture_it_is_the_default_of_the_command(task, data, arch, caplog, monkeypatch):
    monkeypatch.setattr("sightline.api.fit.train_run", stop)
    with pytest.raises(Stopped) as stopped:
        sightline.fit(task, data, budget="2steps")
    assert stopped.value.args == (arch,)
    (line,) = [message for message in caplog.messages if "architecture" in message]
    assert line.startswith(f"the architecture is {arch}: ")
    assert line.endswith("(arch=… chooses another)")
    with pytest.raises(Stopped, match="linear"):
        sightline.fit(task, data, "linear" if task != "forecasting" else "nlinear", "2steps", quiet=True)
    assert len([message for message in caplog.messages if "architecture" in message]) == 1


class Stopped(Exception):
    """A training that does not begin."""


def stop(task, *_, **__):
    raise Stopped(task.arch)


def test_a_corpus_needs_its_task():
    with pytest.raises(InputError, match=r'^task: a corpus does not say what it is for: give a task, such as "tr'):
        sightline.fit(None, corpus(), "gru", "2steps")


LABELLED = pd.DataFrame({"text": [f"{'red' if i % 2 else 'blue'} {i}" for i in range(60)], "label": [*"ab"] * 30})
HOURS = pd.DataFrame(
    {"load": np.sin(np.arange(300) / 4) + np.arange(300) % 3},
    index=pd.date_range("2026-01-01", periods=300, freq="h", name="when"),
)
TINY = {"settings": {"model.d_model": 16, "seed": 1}}


def test_a_frame_and_a_file_are_the_same_data(tmp_path):
    LABELLED.to_csv(tmp_path / "a.csv", index=False)
    HOURS.to_csv(tmp_path / "b.csv")
    pairs = [(f"{i} and", f"so {i}") for i in range(40)]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps({"source": s, "target": t}) + "\n" for s, t in pairs))
    texts = [f"text {i}" for i in range(40)]
    pd.DataFrame({"text": texts}).to_parquet(tmp_path / "d.parquet")
    memory = {"a.csv": LABELLED, "b.csv": HOURS, "c.jsonl": pairs, "d.parquet": texts}
    for file, data in memory.items():
        of_file, of_memory = sightline.describe(tmp_path / file), sightline.describe(data)
        assert of_memory.sha256 == of_file.sha256
        assert of_memory.parts == of_file.parts
        assert [n.partition(": ")[2] for n in of_memory.notes] == [n.partition(": ")[2] for n in of_file.notes]


def test_an_array_of_texts_is_a_list_of_them():
    texts = [f"text {i}" for i in range(40)]
    for array in (np.array(texts), np.array(texts, object)):
        assert sightline.describe(array).sha256 == sightline.describe(texts).sha256


def test_a_batch_of_arrow_is_a_frame():
    batch = pa.RecordBatch.from_pandas(LABELLED)
    assert sightline.describe(batch).sha256 == sightline.describe(LABELLED).sha256


def test_periods_are_times_and_their_forecasts_have_periods():
    periods = HOURS.to_period("h")
    assert sightline.describe(periods).sha256 == sightline.describe(HOURS).sha256
    model = sightline.fit("forecasting", periods, "nlinear", "2steps", lookback=24, horizon=6, quiet=True)
    frame = model.predict(periods)
    assert isinstance(frame.index, pd.PeriodIndex)
    assert [*frame.index] == [*pd.period_range(periods.index[-1] + 1, periods=6, freq="h")]
    assert np.array_equal(frame, model.predict(HOURS))


def test_a_description_names_arguments_in_python_and_flags_on_the_command_line():
    description = sightline.describe(HOURS)
    assert "(lookback=…, horizon=…)" in repr(description)
    assert "(--lookback, --horizon)" in "\n".join(description.lines())


def test_a_frame_trains_evaluates_and_predicts(tmp_path):
    model = sightline.fit(None, LABELLED, "gru", "4steps", out_dir=tmp_path / "runs" / "x", batch_size=8, **TINY)
    assert model.config.batch_size == 8
    assert f"gru, {model.parameters:,} parameters, loss" in repr(model)
    on_test, on_all = model.evaluate(), model.evaluate(pl.from_pandas(LABELLED))
    assert (on_test.size, on_all.size) == (6, 60)
    assert on_test.metrics == sightline.load(tmp_path / "runs" / "x").evaluate().metrics
    assert repr(on_all).startswith("gru on data (DataFrame), 60 items\n  accuracy ")
    for call in (model.evaluate, lambda decoding: model.predict("it was fun", decoding)):
        with pytest.raises(InputError, match=r"^decoding: classification does not decode sequences: leave it out$"):
            call(decoding=DecodingConfig(beam=4))
    first = model.evaluate(LABELLED.iloc[:5])
    assert model.evaluate(LABELLED, limit=5).metrics == first.metrics != on_all.metrics
    loaded = sightline.load(tmp_path / "runs" / "x")
    few = [one.evaluate(limit=2) for one in (model, loaded)]
    assert [one.size for one in few] == [2, 2]
    assert few[0].metrics["loss"] == few[1].metrics["loss"] != on_test.metrics["loss"]
    assert "<th>accuracy</th>" in on_all._repr_html_()


def test_evaluation_takes_the_keys_of_measuring_and_names_a_wrong_part():
    """Windows that overlap give each token more context, so that other losses result; the model stays as it is."""
    model = sightline.fit("language", [f"text {i} of {i}" for i in range(60)], "gru", "2steps", context=16, **TINY)
    texts = ["a longer text than one window of the model, which therefore needs several"]
    plain, strided, again = model.evaluate(texts), model.evaluate(texts, stride=4), model.evaluate(texts)
    assert strided.metrics != plain.metrics == again.metrics
    assert model.evaluate(stride=4).size == model.evaluate().size
    assert model.evaluate(texts, decoding=DecodingConfig()).metrics == plain.metrics
    for keys, message in (
        ({"part": "vaild"}, "part: must be one of train, valid, test, found 'vaild'"),
        ({"stride": 0}, "stride: must be at least 1, found 0"),
        ({"strid": 4}, "strid: unknown key, did you mean stride=…?"),
        ({"beam": 4}, "beam: unknown key"),
        ({"column": "b"}, "data: none is given that column=… says how to read"),
        ({"limit": 0}, "limit: must be at least 1, found 0"),
        (
            {"decoding": DecodingConfig(beam=4, precision="bf16")},
            "beam: a language model is measured on the text that is there, nothing is decoded: leave it out",
        ),
    ):
        with pytest.raises(InputError) as caught:
            model.evaluate(**keys)
        assert str(caught.value) == message


@pytest.mark.slow
def test_probabilities_and_records():
    model = sightline.fit(None, LABELLED, "gru", "2steps", **TINY)
    of_one, of_two = model.predict("red 5", proba=True), model.predict(LABELLED["text"][:2], proba=True)
    assert sum(of_one.values()) == pytest.approx(1)
    assert [set(one) for one in of_two] == [{"a", "b"}] * 2
    first, expected = LABELLED[:3], model.predict([*LABELLED["text"][:3]])
    for rows in (first, first.to_dict("records"), pa.RecordBatch.from_pandas(first)):
        assert model.predict(rows) == expected
    record = model.predict("red 5", return_dict=True)
    assert record == {"source": "red 5", "label": model.predict("red 5"), "probabilities": of_one}
    texts = sightline.fit("translation", corpus(), "gru", "2steps", settings=SMALL)
    assert texts.predict(["12"], return_dict=True)[0]["output"] == texts.predict("12")
    with pytest.raises(InputError, match=r"^proba: translation gives no probabilities: see return_dict=True$"):
        texts.predict("12", proba=True)


@pytest.mark.parametrize("given", [HOURS, pl.from_pandas(HOURS.reset_index())], ids=["pandas", "polars"])
def test_a_forecast_is_a_frame_like_the_given_one(given, tmp_path):
    levels = {"loss": "quantile", "quantiles": (0.1, 0.5, 0.9)}
    model = sightline.fit("forecasting", HOURS, "gru", "2steps", lookback=24, horizon=6, **levels, **TINY)
    frame = model.predict(given)
    HOURS.to_csv(tmp_path / "a.csv")
    of_file = model.predict(tmp_path / "a.csv")
    assert type(frame) is type(given)
    assert repr(of_file).startswith("forecast of 1 series, 6 steps of 1h\ntime,column,value,q0.1,q0.5,q0.9\n")
    assert [*frame.columns] == [*given.columns, "load_q0.1", "load_q0.5", "load_q0.9"]
    assert np.allclose(frame["load"].to_numpy(), of_file.values[0, :, 0])
    times = frame.index.to_list() if isinstance(given, pd.DataFrame) else frame["when"].to_list()
    assert [str(time) for time in times] == of_file.times(0)


@pytest.mark.parametrize(
    ("change", "keys", "message"),
    [
        ({"text": ""}, {}, "row 4: 'text' is empty, or leave such rows out by skip_bad=True"),
        ({}, {"batch_sizes": 3}, "batch_sizes: unknown key, did you mean 'batch_size'?"),
        ({}, {"limit": 0}, "limit: must be at least 1, found 0"),
        (
            {},
            {"label_column": "klass"},
            "row 1: no column 'klass'; columns: 'text', 'label'; set label_column=…",
        ),
        ({}, {"valid": [("red", "c")]}, "valid: row 1: the label 'c' does not occur in training"),
    ],
)
def test_errors_name_arguments_and_rows(change, keys, message):
    frame = LABELLED.copy()
    for column, value in change.items():
        frame.loc[3, column] = value
    with pytest.raises(InputError) as caught:
        sightline.fit("classification", frame, "gru", "2steps", **keys)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "data",
    [
        ([f"{i} red" for i in range(40)], [*range(2)] * 20),
        (np.arange(320.0).reshape(40, 8), np.arange(40) % 2),
    ],
    ids=["pairs", "arrays"],
)
def test_numbers_beside_sources_are_labels(data):
    pairs = [*zip(*data, strict=True)] if isinstance(data[0], list) else data
    for task in (None, "classification"):
        assert sightline.describe(pairs, task).parts["train"]["labels"] == 2


def test_relative_paths_in_a_frame_begin_in_the_working_directory(tmp_path, monkeypatch):
    from PIL import Image

    for number in range(30):
        Image.new("L", (4, 4), 8 * number).save(tmp_path / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    frame = pl.DataFrame({"source": [f"{number}.png" for number in range(30)], "label": [*"ab"] * 15})
    assert sum(part["items"] for part in sightline.describe(frame).parts.values()) == 30


def test_no_model_is_kept_by_a_metric_that_alone_does_not_rank_models(tmp_path):
    """The narrowest of all intervals would be the best, and so would be the widest by the other one."""
    keys = {"loss": "quantile", "lookback": 24, "horizon": 6, "season": 24, "out_dir": tmp_path / "run", **TINY}
    for metric in ("coverage", "interval_width"):
        with pytest.raises(InputError, match=f"^metric: '{metric}' alone does not rank models: choose one of loss, pi"):
            sightline.fit("forecasting", HOURS.iloc[:, :1], "gru", "2steps", metric=metric, **keys)


def test_an_array_is_evaluated_by_a_model_of_a_named_column():
    """Its steps are those of training, as in `predict`: the values alone decide."""
    table = HOURS.iloc[:, :1]
    model = sightline.fit("forecasting", table, "gru", "2steps", lookback=24, horizon=6, season=24, **TINY)
    values = table.iloc[:, 0].to_numpy()
    expected = model.evaluate(table)
    for data in (values, values[:, None], values.tolist(), pl.Series("other", values)):
        on_values = model.evaluate(data)
        assert on_values.metrics == expected.metrics
        assert (on_values.size, on_values.data) == (expected.size, f"data ({type(data).__name__})")
    assert model.evaluate(values, limit=3).metrics == model.evaluate(table, limit=3).metrics
    for data, keys, message in (
        (values, {"targets": "x"}, "data: an array has no columns that targets=… could name"),
        (np.ones((50, 2)), {}, "expected values of shape (T, 1), got (50, 2)"),
    ):
        with pytest.raises(InputError) as caught:
            model.evaluate(data, **keys)
        assert str(caught.value) == message
