from __future__ import annotations

import json
import shutil

import pytest

from sightline.cli.app import main
from sightline.core.config import to_yaml
from sightline.core.errors import InputError
from sightline.decoding.engine import DecodingConfig
from sightline.tasks.load import load, part_of_run
from sightline.tasks.translation.config import TranslationRun
from sightline.training.measured import Measured
from tests.tasks.translation.small import corpus, untrained

NAMES = {"exact_match", "bleu", "chrf", "loss", "perplexity", "token_accuracy"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The corpus as files, and the model directory of an untrained task on it."""
    directory = tmp_path_factory.mktemp("data")
    for part in ("train", "valid", "test"):
        rows = zip(*getattr(corpus(), part).sides, strict=True)
        text = "source\ttarget\n" + "".join(f"{source}\t{target}\n" for source, target in rows)
        (directory / f"{part}.tsv").write_text(text, encoding="utf-8")
    untrained("gru", seed=3).save(directory / "model")
    return directory


@pytest.fixture
def run(files, tmp_path):
    """The directory of a run as `train` writes it."""
    files_of = {part: str(files / f"{part}.tsv") for part in ("valid", "test")}
    config = TranslationRun().changed(data=str(files / "train.tsv"), **files_of)
    shutil.copytree(files / "model", tmp_path / "run" / "best")
    (tmp_path / "run" / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    facts = {"directory": str(tmp_path), "data": {"name": config.corpus.data, "sha256": "0" * 64}}  # of other data
    (tmp_path / "run" / "environment.json").write_text(json.dumps(facts), encoding="utf-8")
    return tmp_path / "run"


def measured(capsys, *arguments) -> dict:
    assert main(["eval", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_contains_what_evaluate_measures(files, capsys):
    actual = measured(capsys, files / "model", "--data", files / "test.tsv")
    expected = load(files / "model").measure(corpus().test)
    assert (actual["schema_version"], actual["arch"], actual["pairs"]) == (1, "gru", 100)
    assert actual["data"] == str(files / "test.tsv")
    assert set(actual["metrics"]) == NAMES
    assert actual["metrics"] == pytest.approx(expected.metrics)
    assert actual["signatures"] == expected.details["signatures"]


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_a_run_is_measured_on_a_part_of_its_own_data(part, run, files, capsys):
    result = measured(capsys, run, "--part", part)
    assert result["metrics"] == measured(capsys, files / "model", "--data", files / f"{part}.tsv")["metrics"]
    assert measured(capsys, run / "best", "--part", part) == result


def test_data_that_changed_since_training_is_reported(run, capsys, caplog):
    assert main(["eval", str(run)]) == 0
    assert f"sightline: {run}: the data has changed since the model was trained" in capsys.readouterr().err
    load(run).evaluate()  # as in Python, and wherever else a run is measured on its own data
    assert f"{run / 'best'}: the data has changed since the model was trained" in caplog.text
    file = run / "environment.json"
    sha256 = part_of_run(run).sha256
    file.write_text(json.dumps({"data": {"sha256": sha256}}), encoding="utf-8")
    caplog.clear()
    assert main(["eval", str(run)]) == 0
    assert "has changed" not in capsys.readouterr().err + caplog.text


def test_other_data_has_no_parts(run, files, capsys):
    arguments = ["eval", str(run), "--data", str(files / "test.tsv"), "--part", "valid"]
    assert main(arguments) == 2
    assert capsys.readouterr().err == (
        "sightline: error: --part: other data is measured as a whole: leave out valid, or the data\n"
    )
    with pytest.raises(InputError, match=r"^part: other data is measured as a whole"):
        load(run).evaluate(files / "test.tsv", "train")
    with pytest.raises(InputError, match=r"^part: other data is measured as a whole"):
        load(run).evaluate([("a", "b")], "valid")


@pytest.mark.slow
@pytest.mark.parametrize(("part", "place"), [("test", "test.tsv, the test part"), ("train", "train part of ")])
def test_the_file_that_was_measured_is_named(part, place, run, files, capsys):
    found = measured(capsys, run, "--part", part)["data"]
    assert found == (f"{files / place}" if part == "test" else f"{place}{files / 'train.tsv'}")
    assert main(["eval", str(run), "--part", part]) == 0
    changed = capsys.readouterr().err
    assert f"since the model was trained: {files / 'train.tsv'}, {files / 'valid.tsv'}, {files / 'test.tsv'}" in changed


def test_people_get_a_line_for_a_metric(run, capsys):
    assert main(["eval", str(run), "--limit", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "10 pairs" in lines[0]
    assert {line.split()[0] for line in lines[1:]} == NAMES
    assert next(line for line in lines if "bleu" in line).endswith("version:2.6.0")


def test_options_reach_the_decoder(files, capsys, monkeypatch):
    data = ("--data", files / "test.tsv", "--limit", 20)
    assert measured(capsys, files / "model", *data)["pairs"] == 20
    greedy = measured(capsys, files / "model", *data)["metrics"]
    assert measured(capsys, files / "model", *data, "--batch-size", 3)["metrics"] == pytest.approx(greedy, rel=1e-5)
    used = []

    def measure(self, pairs, decoding):
        used.append(decoding)
        return Measured({}, {}, details={"signatures": {}})

    monkeypatch.setattr("sightline.tasks.translation.task.TranslationTask.measure", measure)
    measured(capsys, files / "model", *data, "--beam", 4, "--length-penalty", -2, "--max-length", 7)
    assert used == [DecodingConfig(beam=4, length_penalty=-2.0, max_length=7)]


@pytest.mark.slow
def test_precisions_are_compared_on_the_same_items(files, capsys):
    data = ("--data", files / "test.tsv", "--limit", 20)
    plain = measured(capsys, files / "model", *data)["metrics"]
    compared = measured(capsys, files / "model", *data, "--compare-precision")["precisions"]
    assert list(compared) == ["float32", "bf16", "int8"]
    assert compared["float32"]["metrics"] == pytest.approx(plain, rel=1e-5)
    assert compared["float32"]["same_outputs"] == 20
    for precision in ("bf16", "int8"):
        assert compared[precision]["metrics"]["loss"] == pytest.approx(plain["loss"], rel=0.05)
        alone = measured(capsys, files / "model", *data, "--precision", precision)["metrics"]
        assert alone == pytest.approx(compared[precision]["metrics"], rel=1e-6)
    assert compared["int8"]["metrics"]["loss"] != plain["loss"]
    assert main(["eval", str(files / "model"), *map(str, data), "--compare-precision"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["float32", "bf16", "int8"]
    assert lines[-2].split()[:5] == ["same", "outputs", "20", "of", "20"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--compare-precision", "--precision", "int8"], "--compare-precision: measures in every precision"),
        ([], "no config.yaml here says what it was trained on"),
        (["--data", "nowhere.tsv"], "nowhere.tsv: no such file"),
        (["--data", "builtin:numbers"], "unknown built-in data 'numbers'"),
        (["--limit", "0"], "--limit: must be at least 1, found 0"),
        (["--lowercase"], "--lowercase: requires --data"),
        (["--source-column", "a"], "--source-column: requires --data"),
        (["--part", "tset"], "tset"),
        (["--length-penalty", "1"], "--length-penalty: requires --beam 2 or more"),
        (["--beam", "-1"], "--beam: must be at least 1, found -1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_input_is_one_line_and_status_2(arguments, message, files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    assert main(["eval", "model", *arguments]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert message in error
