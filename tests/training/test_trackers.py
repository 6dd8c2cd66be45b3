from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from sightline.core.errors import Diverged, EnvironmentFault, InputError, Interrupted
from sightline.training import Loss, planning, train
from sightline.training.signals import Stopped
from sightline.training.trackers import TRACKERS, make_tracker
from tests.training import toy


class Kept:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def begin(self, run: Path, config: Any, step: int) -> None:
        self.calls.append(("begin", run, config["budget"], step))

    def log(self, step: int, metrics: Any) -> None:
        self.calls.append(("log", step, dict(metrics)))

    def end(self, status: str) -> None:
        self.calls.append(("end", status))


def run_toy(place: Path, tracker: Any, objective: Any = toy.objective, **options: Any) -> None:
    train(toy.Toy(), objective, toy.batches(), toy.config("20steps"), place, validate=toy.validate, trackers=[tracker],
          **options)  # fmt: skip


def test_a_tracker_gets_the_records_of_the_log_in_order(tmp_path: Path) -> None:
    kept = Kept()
    run_toy(tmp_path, kept)
    assert kept.calls[0] == ("begin", tmp_path, "20steps", 0)
    assert kept.calls[-1] == ("end", "completed")
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    logged = [call[1:] for call in kept.calls[1:-1]]
    assert [step for step, _ in logged] == [line["steps"] for line in lines if line["event"] != "end"]
    for (_, metrics), line in zip(logged, lines):
        assert metrics[f"{line['event']}/loss"] == line["loss"]
    kept.calls.clear()
    train(toy.Toy(), toy.objective, toy.batches(), toy.config("30steps"), tmp_path, validate=toy.validate,
          trackers=[kept], resume=True)  # fmt: skip
    assert kept.calls[0] == ("begin", tmp_path, "30steps", 20)


@pytest.mark.parametrize(("error", "status"), [(None, "the loss is nan"), (ValueError, "failed")])
def test_a_tracker_is_told_of_a_bad_end_once(tmp_path: Path, error: Any, status: str) -> None:
    def objective(model: Any, batch: Any) -> Loss:
        if error is not None:
            raise error
        loss = toy.objective(model, batch)
        return loss._replace(total=loss.total * float("nan"))

    kept = Kept()
    with pytest.raises(error or Diverged):
        run_toy(tmp_path, kept, objective)
    assert [call for call in kept.calls if call[0] == "end"] == [("end", status)]


@pytest.mark.parametrize("reason", [Stopped, ValueError])
def test_a_tracker_that_has_not_begun_is_not_told_of_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: type[BaseException]
) -> None:
    """A signal or an error while the speed is measured, before the first step."""

    def measured(*_: Any) -> None:
        raise reason

    monkeypatch.setattr(planning, "measure_speeds", measured)
    kept = Kept()
    with pytest.raises(Interrupted if reason is Stopped else reason):
        train(toy.Toy(), toy.objective, toy.batches(), toy.config("1s"), tmp_path / "run", trackers=[kept])
    assert kept.calls == []


def test_an_error_of_a_tracker_does_not_end_the_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Kept):
        def log(self, step: int, metrics: Any) -> None:
            super().log(step, metrics)
            raise ConnectionError("no answer from the server")

    broken = Broken()
    run_toy(tmp_path, broken)
    assert [call[0] for call in broken.calls] == ["begin", "log"]
    assert "tracker Broken: ConnectionError: no answer from the server; it gets no more records" in caplog.text
    assert '"completed"' in (tmp_path / "metrics.jsonl").read_text()


def test_a_class_in_a_file_is_a_tracker(tmp_path: Path) -> None:
    file = tmp_path / "tracker_of_mine.py"
    body = "".join(f"    def {name}(self, *arguments): print({name!r})\n" for name in ("begin", "log", "end"))
    file.write_text(f"class Printed:\n{body}\nclass Half:\n    def begin(self): ...\n")
    assert type(make_tracker(f"{file}:Printed")).__name__ == "Printed"
    with pytest.raises(InputError, match=r"^--log=.*tracker_of_mine\.py:Painted: has no class Painted$"):
        make_tracker(f"{file}:Painted")
    with pytest.raises(InputError, match=r"Half has no method log: a tracker has begin, log and end"):
        make_tracker(f"{file}:Half")


def test_an_unknown_tracker_is_named() -> None:
    assert TRACKERS.keys() == {"tensorboard"}
    with pytest.raises(InputError, match=r"--log: unknown tracker 'tensorbord', did you mean 'tensorboard'\?"):
        make_tracker("tensorbord")


@pytest.mark.skipif(find_spec("tensorboard") is not None, reason="TensorBoard is installed")
def test_without_tensorboard_the_error_says_what_to_install() -> None:
    with pytest.raises(EnvironmentFault, match=r"pip install 'sightline\[tensorboard\]'"):
        make_tracker("tensorboard")
