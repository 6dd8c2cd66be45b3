"""The recipe "a front end: two files": with its line in the table every task that has its inputs takes it by a flag."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import sightline
from sightline.cli.app import main
from sightline.parts.front_ends import FRONT_ENDS
from sightline.tasks.table import TASKS
from sightline.testing import check_front_end
from tests.compat.trainings import INPUTS, TRAININGS, write_inputs

from .front_ends import LINES, FewerSteps, HashedTokens, PixelRows

SMALL = ["--model.d-model", "16", "--max-steps", "4", "--seed", "3", "--device", "cpu", "-q"]
SERIES = ["--task", "classification", "--data", "series.jsonl", "--arch", "gru"]
TAKEN: dict[str, tuple[list[str], list[str], dict[str, Any]]] = {
    "translation": (TRAININGS["translation"], ["--front-end", "hashed_tokens"], {"buckets": 64}),
    "classification": (TRAININGS["classification"], ["--front-end", "hashed_tokens", "--front-end.buckets", "9"],
                       {"buckets": 9}),
    "language": ([*TRAININGS["language"], "--no-model.tie"], ["--front-end", "hashed_tokens"], {"buckets": 64}),
    "forecasting": (TRAININGS["forecasting"], ["--front-end.name", "fewer_steps", "--front-end.every", "3"],
                    {"every": 3}),
    "classification-series": (SERIES, ["--front-end", "fewer_steps"], {"every": 2, "channels": 1}),
    "classification-images": (TRAININGS["classification-images"], ["--front-end", "pixel_rows", "--picture.mean", "0"],
                              {"mean": 0.0, "height": 8, "bias": True}),
    "captioning": (TRAININGS["captioning"], ["--front-end", "pixel_rows", "--no-front-end.bias"], {"bias": False}),
    "answering": (TRAININGS["answering"], ["--front-end", "hashed_tokens"], {"buckets": 64}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def a_line_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, config in LINES.items():
        monkeypatch.setitem(FRONT_ENDS, name, config)


@pytest.mark.parametrize("config", [one for kind in LINES.values() for one in kind.examples()], ids=repr)
def test_the_laws_hold(config: HashedTokens | FewerSteps | PixelRows) -> None:
    report = check_front_end(config)
    assert report.passed, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", TAKEN)
def test_a_flag_chooses_it(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is trained, saved, loaded and used, and its keys are flags."""
    write_inputs(tmp_path)
    rows = [
        {"values": [row % 2 + step / 10 for step in range(4 + row % 3)], "label": "ab"[row % 2]} for row in range(60)
    ]
    (tmp_path / "series.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(tmp_path)
    training, flags, expected = TAKEN[name]
    assert main(["train", *training, *flags, *SMALL, "--out-dir", "run"]) == 0
    source = json.loads(Path("run/last/config.json").read_text())["source"]
    parts = [source, source.get("front_end", {}), *source.get("parts", [])]
    kept = next(one for one in parts if one.keys() >= expected.keys())
    assert {key: kept[key] for key in expected} == expected
    task = sightline.load("run")
    inputs = INPUTS.get(name, ["1,2,3", "[0.5, 1]"])
    assert len(task.answer(inputs)) == len(inputs)
    assert main(["eval", "run", "--limit", "20"]) == 0


def test_the_table_says_which_tasks_take_it(capsys: pytest.CaptureFixture[str]) -> None:
    taken = {task.name for task in TASKS.values() if {"tokens", "series"} & set(task.Run().settings.reads)}
    assert taken >= {"translation", "classification", "language", "forecasting", "answering"}
    for task, name in (("translation", "pixel_rows"), ("language", "fewer_steps"), ("forecasting", "hashed_tokens")):
        assert main(["train", "--task", task, "--data", "x.tsv", "--front-end", name]) == 2
        message = capsys.readouterr().err
        reads = {"pixel_rows": "pictures", "fewer_steps": "series", "hashed_tokens": "token ids"}[name]
        assert f"{name!r} reads {reads}, but the input is" in message
        assert "choose one of " in message
    assert main(["train", "--task", "language", "--data", "x.txt", "--front-end", "hashed_token"]) == 2
    assert "unknown front end 'hashed_token', did you mean 'hashed_tokens'?" in capsys.readouterr().err
