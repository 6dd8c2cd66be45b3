"""The tables of exports in the documentation have every architecture of every task, and say what happens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sightline.export import FORMATS
from sightline.tasks.table import TASKS
from tests.export import small

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
OUTCOMES = {
    name: json.loads((RESULTS / f"export-{name}.json").read_text(encoding="utf-8")) for name in FORMATS if name != "hub"
}
SAMPLES = {  # one of each form of model, and of what differs between front ends
    "tasks": ["translation/bahdanau", "language/transformer", "classification/block_sparse", "forecasting/dlinear"],
    "front ends": ["character_cnn", "audio", "series_patches"],
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_every_architecture_of_every_task_has_an_outcome(name: str) -> None:
    assert set(small.BUILD) == set(TASKS)
    missing = [
        f"{task}: {arch}"
        for task, kind in TASKS.items()
        for arch in kind.architectures()
        if not OUTCOMES[name].get(task, {}).get(arch)
    ]
    assert not missing, f"make export-table: {', '.join(missing)}"


@pytest.mark.parametrize("name", OUTCOMES)
def test_a_refusal_is_one_line(name: str) -> None:
    refusals = {one for of_task in OUTCOMES[name].values() for one in of_task.values() if one != "equal"}
    assert all("\n" not in one and len(one) < 250 for one in refusals)


@pytest.mark.slow
@pytest.mark.parametrize("names", SAMPLES.values(), ids=SAMPLES)
def test_torch_exports_what_its_table_says(names: list[str]) -> None:
    command = [sys.executable, "-m", "tests.export.torch_outcomes", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for row in map(json.loads, done.stdout.splitlines()):
        task, _, arch = row["name"].rpartition("/")
        assert row["outcome"] == (OUTCOMES["torch"][task][arch] if task else "equal"), row["name"]
    assert len(done.stdout.splitlines()) == len(names)
