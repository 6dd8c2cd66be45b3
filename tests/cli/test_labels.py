"""Classification on the command line: three commands on a user's table, figures, and errors in one line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from sightline.cli.app import main
from tests.tasks.classification.small import part, untrained


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """A table of labelled texts, and the model directory of an untrained task."""
    directory = tmp_path_factory.mktemp("labels")
    items = part("text", 120, 0)
    rows = zip(items.sources, items.labels, strict=True)
    text = "text,label\n" + "".join(f"{source},{label}\n" for source, (label,) in rows)
    (directory / "reviews.csv").write_text(text, encoding="utf-8")
    untrained().save(directory / "model")
    return directory


@pytest.mark.slow
def test_train_eval_predict_on_a_table(files, tmp_path, capsys, monkeypatch):
    run = str(tmp_path / "run")
    train = ["train", "--task", "classification", "--data", str(files / "reviews.csv"), "--arch", "gru", "--quiet"]
    assert main([*train, "--budget", "4steps", "--model.d_model", "8", "--model.heads", "2", "--out-dir", run]) == 0
    capsys.readouterr()
    assert main(["eval", run, "--json", "--figures", str(tmp_path / "figures")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["items"] == sum(map(sum, result["confusion"]["counts"]))
    assert set(result["metrics"]) == {"accuracy", "macro_f1", "auroc", "loss", "ece"}
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"{name}.{kind}" for name in ("confusion", "reliability") for kind in ("png", "svg")
    }
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the red sky\n\nof blue\n")))
    assert main(["predict", run]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.count("\t") for line in lines] == [1, 0, 1]
    assert lines[0].split("\t")[0] in {"red", "green", "blue"}
    assert main(["predict", run, "the red sky", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["predictions"]
    assert one["label"] == lines[0].split("\t")[0]
    assert sum(one["probabilities"].values()) == pytest.approx(1)


def test_a_metric_is_one_that_the_task_reports(files, tmp_path, capsys):
    train = ["train", "--task", "classification", "--data", str(files / "reviews.csv"), "--arch", "gru", "-q", "--json"]
    train += ["--model.d-model", "8", "--model.heads", "2", "-o", str(tmp_path / "run")]
    assert main([*train, "--max-steps", "9", "--metric", "accurracy"]) == 2
    expected = "sightline: error: --metric: unknown metric 'accurracy', did you mean 'accuracy'?\n"
    assert capsys.readouterr().err == expected
    assert not (tmp_path / "run").exists()
    assert main([*train, "--max-steps", "2", "--metric", "auroc"]) == 0
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert [*metrics][:3] == ["loss", "accuracy", "macro_f1"]
    assert {*metrics} == {"accuracy", "macro_f1", "auroc", "loss", "ece"}


def test_a_class_with_a_hyphen_has_a_weight_by_a_flag(tmp_path, capsys):
    rows = "".join(f"{number} goals,{'semi-final' if number % 2 else 'final'}\n" for number in range(40))
    (tmp_path / "matches.csv").write_text("text,label\n" + rows)
    train = ["train", "--task", "classification", "--data", str(tmp_path / "matches.csv"), "--arch", "gru", "--dry-run"]
    assert main([*train, "--class-weights.semi-final", "2"]) == 0
    assert main([*train, "--class-weights.semi-finals", "2"]) == 2
    assert "no such class, did you mean 'semi-final'?" in capsys.readouterr().err


def test_another_table_is_measured_with_the_models_labels(files, tmp_path, capsys):
    assert main(["eval", str(files / "model"), "--data", str(files / "reviews.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == 120
    (tmp_path / "other.csv").write_text("text,label\nred,red\nblue,bleu\n")
    assert main(["eval", str(files / "model"), "--data", str(tmp_path / "other.csv")]) == 2
    assert "other.csv:3: the label 'bleu' does not occur in training, did you mean 'blue'?" in capsys.readouterr().err


def test_a_model_that_labels_decodes_nothing(files, capsys):
    assert main(["predict", str(files / "model"), "red", "--beam", "4"]) == 2
    assert "classification does not decode sequences" in capsys.readouterr().err


def test_an_architecture_of_another_form_is_refused(files, capsys):
    train = ["train", "--task", "classification", "--data", str(files / "reviews.csv")]
    assert main([*train, "--arch", "bahdanau", "--dry-run"]) == 2
    assert "classification needs an encoder, which sees both sides" in capsys.readouterr().err
