"""A watched training read from its log, and calls that train and show one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sightline
from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.lab.dynamics import TrainingDynamics, layer_names, training_dynamics
from tests.report.synthetic_training import DISTANCES, STEPS, write_run


def test_the_log_is_read_over_looks(tmp_path: Path) -> None:
    dynamics = training_dynamics(write_run(tmp_path / "run"), "the command")
    assert (dynamics.task, dynamics.arch, dynamics.steps) == ("language", "transformer", STEPS)
    assert dynamics.training_s == 100.0
    assert [course.name for course in dynamics.attention] == [f"layer {number}" for number in range(1, 13)]
    assert all(len(course.entropy.centre) == len(STEPS) == len(course.entropy.at) for course in dynamics.attention)
    assert [(course.name, course.gate) for course in dynamics.gates][:2] == [
        ("layer 1", "input"),
        ("layer 1", "forget"),
    ]
    assert dynamics.distances == DISTANCES
    assert dynamics.gradients[0][-1] is None
    assert (dynamics.valid.steps[0], dynamics.train.steps[0]) == (100, 10)
    dynamics.save(tmp_path / "dynamics.json")
    assert TrainingDynamics.load(tmp_path / "dynamics.json") == dynamics


def test_a_layer_that_some_looks_lack_is_unknown_there(tmp_path: Path) -> None:
    log = write_run(tmp_path / "run", layers=1) / "metrics.jsonl"
    records = [json.loads(line) for line in log.read_text().splitlines()[:-1]]
    looks = [record for record in records if record["event"] == "watch"]
    looks[1]["attention"], looks[1]["gradients"] = [], None
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    dynamics = training_dynamics(tmp_path / "run")
    assert [value is None for value in dynamics.attention[0].entropy.centre] == [False, True] + [False] * 12
    assert dynamics.gradients[1] == [None] * len(DISTANCES)


def test_names_of_layers() -> None:
    attention = [
        ("encoder.encoder.encoders.1.encoder", "self"),
        ("encoder.encoder.encoders.3.encoder", "self"),
        ("decoder.mixer.mixers.1.mixer", "self"),
        ("decoder.mixer.mixers.2.mixer", "memory"),
    ]
    assert list(layer_names(attention, []).values()) == ["encoder 1", "encoder 2", "decoder 1", "cross 1"]
    halves = [f"encoder.encoders.{layer}.{way}" for layer in (1, 3) for way in ("forwards", "backwards")]
    assert list(layer_names([("pooling", "pooling")], halves).values()) == [
        "pooling", "layer 1 forwards", "layer 1 backwards", "layer 2 forwards", "layer 2 backwards"
    ]  # fmt: skip


def test_a_run_that_was_not_watched_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"event": "train", "steps": 10}\n')
    with pytest.raises(InputError, match="nothing was watched: train it with --watch"):
        training_dynamics(tmp_path)
    with pytest.raises(InputError, match=r"metrics\.jsonl: no such file"):
        training_dynamics(tmp_path / "nowhere")
    for arguments, message in (
        ([str(tmp_path), "a text", "--training"], "--training: takes no input, found 'a text'"),
        ([str(tmp_path)], "no input given: write a text"),
    ):
        assert main(["inspect", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_a_fit_is_watched_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = [f"{number} {'yes' if number % 2 else 'no'}" for number in range(60)]
    table = {"text": texts, "label": ["yes" if "yes" in text else "no" for text in texts]}
    model = {"model.d_model": 16, "model.layers": 1}
    keys = {"settings": model, "watch": True, "quiet": True, "out_dir": tmp_path / "run"}
    sightline.fit("classification", table, "transformer", "3steps", **keys)
    assert training_dynamics(tmp_path / "run").steps == [1, 2, 3]
    capsys.readouterr()
    arguments = ["inspect", str(tmp_path / "run"), "--training", "--json", str(tmp_path / "d.json")]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "layer 1 " in printed
    assert "3 looks took " in printed
    assert TrainingDynamics.load(tmp_path / "d.json").arch == "transformer"
