"""Killed at any moment, a run resumes to the bit; signals save first; a busy directory is refused."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sightline.training.checkpoint import Checkpoints
from tests.waiting import PATIENCE_S, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
BUDGET = "60steps"


class Forks:
    """The other end of tests/training/forks.py."""

    def __init__(self, place: Path) -> None:
        paths = [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
        self.log = place / "stderr.txt"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.training.forks", str(place / "warm")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)},
        )

    def run(self, run: Path, budget: str = BUDGET, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        line = json.dumps({"run": str(run), "budget": budget, "log": str(self.log), **request})
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def status(self, run: Path, budget: str = BUDGET, **request: Any) -> int:
        return self.run(run, budget, **request)["status"]

    def stderr(self) -> str:
        return self.log.read_text()


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    server = Forks(tmp_path_factory.mktemp("forks"))
    yield server
    server.process.communicate(timeout=PATIENCE_S)
    assert server.process.returncode == 0


@pytest.fixture(scope="module")
def whole(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without interruption."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert forks.status(run) == 0, forks.stderr()
    return run


def content(run: Path) -> dict[str, Any]:
    """The content of a finished run that does not depend on the clock."""
    timed = ("seconds", "cpu_seconds", "tokens_per_s", "validation_s", "last_validation_s", "window_s", "metrics_bytes")

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(part) for key, part in value.items() if key not in timed}
        return value

    last = run / "checkpoints" / "step-000060"
    return {
        "weights": (last / "model.safetensors").read_bytes(),
        "optimizer": (last / "optimizer.safetensors").read_bytes(),
        "state": timeless(json.loads((last / "state.json").read_text())),
        "metrics": [timeless(json.loads(line)) for line in (run / "metrics.jsonl").read_text().splitlines()],
        "best": (run / "best" / "model.safetensors").read_bytes(),
        "last": (run / "last" / "model.safetensors").read_bytes(),
        "names": sorted(str(path.relative_to(run)) for path in run.rglob("*")),
    }


def newest(run: Path) -> int:
    """The step of the newest checkpoint that verifies, -1 without any."""
    checkpoints = Checkpoints(run / "checkpoints")
    if not checkpoints.steps():
        return -1
    result = checkpoints.newest()
    assert result is not None
    return result.step


def test_two_undisturbed_runs_are_equal(forks: Forks, whole: Path, tmp_path: Path) -> None:
    assert forks.status(tmp_path / "run") == 0
    assert content(tmp_path / "run") == content(whole)


def test_sigkill_at_fifty_random_calls(forks: Forks, whole: Path, tmp_path: Path) -> None:
    """Random moments, counted in calls of functions so that each is the same on every machine."""
    moments, calls = random.Random(1), tmp_path / "calls"
    assert forks.status(tmp_path / "counted", kill_at_call=10**12, count_in=str(calls)) == 0
    kills, run, before = 0, tmp_path / "run", -1
    landed = set()
    while kills < 50:
        status = forks.status(run, resume=True, kill_at_call=moments.randint(1, int(calls.read_text()) // 2))
        assert status in (0, -signal.SIGKILL), forks.stderr()
        if status == 0:
            assert content(run) == content(whole)
            shutil.rmtree(run)
            before = -1
            continue
        kills += 1
        assert newest(run) >= before  # nothing completed is lost
        before = newest(run)
        landed.add(before)
    assert forks.status(run, resume=True) == 0, forks.stderr()
    assert content(run) == content(whole)
    assert len(landed) >= 4  # they hit different stretches of a run


def test_kill_at_every_write_of_a_run_with_saves(forks: Forks, tmp_path: Path) -> None:
    """Each open, write (half done), sync, rename and removal up to the second checkpoint with best/ is a kill point."""
    changes = tmp_path / "changes"
    short = {"budget": "4steps", "config": {"validate_every": 2}}
    assert forks.status(tmp_path / "whole", **short, kill_at_change=10**9, count_in=str(changes)) == 0, forks.stderr()
    points = int(changes.read_text())
    assert points > 80
    expected = weights(tmp_path / "whole", 4)
    before, survivors = -1, set()
    for point in range(1, points + 1):
        run = tmp_path / "run"
        assert forks.status(run, **short, kill_at_change=point) == -signal.SIGKILL
        assert newest(run) >= before  # what a kill one change earlier left is not lost
        before = newest(run)
        survivors.add(before)
        assert forks.status(run, **short, resume=True) == 0, forks.stderr()
        assert weights(run, 4) == expected
        shutil.rmtree(run)
    assert survivors == {-1, 0, 2, 4}


def weights(run: Path, step: int = 60) -> list[bytes]:
    last = run / "checkpoints" / f"step-{step:06d}"
    return [(last / name).read_bytes() for name in ("model.safetensors", "optimizer.safetensors")]


@pytest.mark.parametrize(
    ("place", "number", "step"),
    [
        ("step 1", signal.SIGTERM, 1),
        ("step 13", signal.SIGINT, 13),
        ("validation 1", signal.SIGTERM, 10),
        ("validation 3", signal.SIGINT, 30),
        ("save best.tmp", signal.SIGTERM, 10),
        ("save last.tmp", signal.SIGTERM, None),
    ],
)
def test_a_signal_saves_first_in_every_phase(
    forks: Forks, whole: Path, tmp_path: Path, place: str, number: int, step: int | None
) -> None:
    run = tmp_path / "run"
    status = forks.status(run, signals={place: [number]})
    if step is None:  # all is saved by then, and the run ends as it would have
        assert status == 0
    else:
        assert status == 128 + number, forks.stderr()
        assert f"stopped by {signal.Signals(number).name} after step {step}; the state is saved" in forks.stderr()
        assert newest(run) == step
        assert (run / "last" / "model.safetensors").exists()
        assert forks.status(run, resume=True) == 0, forks.stderr()
    assert content(run) == content(whole) if step is None else weights(run) == weights(whole)
    assert content(run)["metrics"] == content(whole)["metrics"]


def test_a_second_signal_quits_at_once(forks: Forks, tmp_path: Path) -> None:
    status = forks.status(tmp_path / "run", signals={"step 13": [signal.SIGINT, signal.SIGTERM]})
    assert status == -signal.SIGTERM
    assert newest(tmp_path / "run") == 10


def test_a_busy_directory_is_refused_and_not_touched(forks: Forks, tmp_path: Path) -> None:
    run, log = tmp_path / "run", tmp_path / "first.txt"
    first = forks.run(run, "100000steps", background=True, pause_at_step=12, log=str(log))
    wait_until(lambda: newest(run) == 10)
    for options in ({}, {"resume": True}):
        assert forks.status(run, **options) == 3
        message = forks.stderr().splitlines()
        assert len(message) == 1
        assert f"in use by process {first['pid']} on host {os.uname().nodename}" in message[0]
    os.kill(first["pid"], signal.SIGKILL)
    wait_until(lambda: forks.status(run, "11steps", resume=True) == 0)  # the lock goes with the process
    assert newest(run) == 11
