"""Files of version 0.1.0 still load, and the same command with the same seed still trains the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import sightline
from sightline.lab.results import Results
from tests.compat.trainings import CHANGED, INPUTS, STABLE, TRAININGS, answers, write_inputs

OLD = Path(__file__).parent / "version_0_1_0"
RECORD = json.loads((OLD / "record.json").read_text(encoding="utf-8"))
SAVED = sorted(path.parent.parent.name for path in OLD.glob("*/last/config.json"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    write_inputs(folder)
    return folder


def test_a_model_of_every_task_is_kept() -> None:
    assert set(SAVED) == {"translation", "classification", "forecasting", "language", "transcription", "captioning",
                          "answering"}  # fmt: skip


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_model_loads_and_answers_as_it_did(name: str, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(inputs)
    assert close(answers(name, OLD / name), RECORD["trainings"][name]["answers"], 1e-4)


def kept(before: Any, after: Any) -> bool:
    """Whether every value is still there; keys that later versions added are of no concern."""
    if isinstance(before, dict) and isinstance(after, dict):
        return all(key in after and kept(value, after[key]) for key, value in before.items())
    return json.dumps(before, sort_keys=True) == json.dumps(after, sort_keys=True)  # true is not 1


@pytest.mark.parametrize("name", SAVED)
def test_what_is_changed_or_lost_is_seen(name: str) -> None:
    """`kept` fails for every value that changes and every key that is lost, however deep, but not for new keys."""
    config = json.loads((OLD / name / "last" / "config.json").read_text("utf-8"))
    faults = list(faulty(config))
    assert len(faults) > 20
    assert not [fault for fault in faults if kept(config, fault)]
    assert kept(config, config | {"new": 1})


def faulty(value: Any) -> Iterator[Any]:
    """The value with each of its leaves changed, each key lost, and each list a place shorter."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield {other: value[other] for other in value if other != key}
            yield from ({**value, key: wrong} for wrong in faulty(inner))
    elif isinstance(value, list):
        yield [*value, None]
        for place, inner in enumerate(value):
            yield value[:place] + value[place + 1 :]
            yield from ([*value[:place], wrong, *value[place + 1 :]] for wrong in faulty(inner))
    else:
        yield from (wrong for wrong in (None, "?", 12345, True) if (type(wrong), wrong) != (type(value), value))
        yield [value]


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_model_is_written_again_as_it_was(name: str, tmp_path: Path) -> None:
    sightline.load(OLD / name).save(tmp_path / "again")
    before, after = (
        json.loads((at / "config.json").read_text("utf-8")) for at in (OLD / name / "last", tmp_path / "again")
    )
    assert kept(before, after)
    for file in (OLD / name / "last").iterdir():
        if file.suffix == ".json" and file.name != "config.json":
            assert json.loads((tmp_path / "again" / file.name).read_text("utf-8")) == json.loads(
                file.read_text("utf-8")
            )


def test_saved_results_are_read() -> None:
    results = Results.load(OLD / "results.json")
    assert [run.arch for run in results.runs] == ["gru", "gru", "lstm", "lstm"]
    assert results.primary_metric == "accuracy"


@pytest.mark.slow
def test_the_same_commands_train_the_same_weights(tmp_path: Path) -> None:
    """Bit for bit with the torch that made the record, else to rounding; those in `CHANGED` to rounding."""
    environment = {**os.environ, **STABLE, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.compat.trainings", str(tmp_path)],
        cwd=Path(__file__).parents[2], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    new = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
    exact = torch.__version__.split("+")[0] == RECORD["torch"]
    for name in TRAININGS:
        before, after = RECORD["trainings"][name], new["trainings"][name]
        assert list(after["weights"]) == list(before["weights"]), name
        assert close(after["losses"], before["losses"], 0.0 if exact and name not in CHANGED else 1e-3), name
        if exact:
            changed = [key for key in before["weights"] if after["weights"][key] != before["weights"][key]]
            assert bool(changed) == (name in CHANGED), f"{name}: {changed}"


def test_inputs_are_named_for_every_training() -> None:
    assert INPUTS.keys() == TRAININGS.keys()


def close(left: object, right: object, tolerance: float) -> bool:
    """Whether two plain values are the same but for numbers that differ by no more than `tolerance`, in proportion."""
    if isinstance(left, float) and isinstance(right, float):
        return abs(left - right) <= tolerance * max(abs(left), abs(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(close(left[key], right[key], tolerance) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(close(a, b, tolerance) for a, b in zip(left, right, strict=True))
    return left == right
