"""TensorBoard's own reader finds in the event files what metrics.jsonl has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("tensorboard")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sightline.training import Loss, train
from sightline.training.trackers import make_tracker
from tests.training import toy

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def logged(run: Path) -> dict[str, dict[int, float]]:
    """Every curve that TensorBoard shows of a run: its values by step."""
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: {one.step: one.value for one in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def recorded(run: Path) -> dict[str, dict[int, float]]:
    """The same from metrics.jsonl."""
    curves: dict[str, dict[int, float]] = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["event"] in ("train", "valid"):
            for name, value in record.items():
                if isinstance(value, int | float) and name != "steps":
                    curves.setdefault(f"{record['event']}/{name}", {})[record["steps"]] = float(value)
    return curves


def test_the_event_files_have_every_number_of_the_log(tmp_path: Path) -> None:
    tracker = make_tracker("tensorboard")
    train(toy.Toy(), toy.objective, toy.batches(), toy.config(), tmp_path, validate=toy.validate, trackers=[tracker])
    curves, expected = logged(tmp_path), recorded(tmp_path)
    assert {"train/loss", "train/lr", "valid/loss"} < expected.keys()
    assert curves.keys() == expected.keys()
    for name, values in expected.items():
        assert curves[name] == pytest.approx(values, rel=1e-6), name


def test_a_resumed_run_has_each_step_once(tmp_path: Path) -> None:
    """Steps after the checkpoint were logged by the process that was lost, and do not count."""

    class Lost(Exception):
        pass

    def objective(model: toy.Toy, batch: object) -> Loss:
        nonlocal steps
        steps += 1
        if steps > 26:
            raise Lost
        return toy.objective(model, batch)  # type: ignore[arg-type]

    steps, config = 0, toy.config(log_every=1)
    with pytest.raises(Lost):
        train(toy.Toy(), objective, toy.batches(), config, tmp_path, validate=toy.validate,
              trackers=[make_tracker("tensorboard")])  # fmt: skip
    train(toy.Toy(), toy.objective, toy.batches(), config, tmp_path, validate=toy.validate, resume=True,
          trackers=[make_tracker("tensorboard")])  # fmt: skip
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    assert [one.step for one in events.Scalars("train/loss")] == list(range(1, 61))
