"""The committed outcomes cover every architecture of every task, and the message where the extra is missing."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from sightline.cli.app import main
from sightline.export import FORMATS
from sightline.tasks.table import TASKS
from tests.export import small

OUTCOMES = json.loads((Path(__file__).parents[3] / "benchmarks/results/export-onnx.json").read_text())


def test_every_architecture_of_every_task_has_an_outcome() -> None:
    assert set(small.BUILD) == set(TASKS)
    missing = [
        f"{name}: {arch}"
        for name, task in TASKS.items()
        for arch in task.architectures()
        if not OUTCOMES.get(name, {}).get(arch)
    ]
    assert not missing, f"make export-table: {', '.join(missing)}"


def test_a_refusal_is_one_line() -> None:
    refusals = {one for of_task in OUTCOMES.values() for one in of_task.values() if one != "equal"}
    assert all("\n" not in one and len(one) < 250 for one in refusals)


def test_help_lists_the_formats(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f" {name} (" in " ".join(shown.replace("│", " ").split()) for name in FORMATS)


@pytest.mark.skipif(find_spec("onnx") is not None, reason="onnx is installed")
def test_the_command_says_what_to_install(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small.translation("gru", tmp_path).save(tmp_path / "model")
    assert main(["export", str(tmp_path / "model"), "--to", "onnx"]) == 3
    assert capsys.readouterr().err.endswith("export to onnx needs onnx: pip install 'sightline[onnx]'\n")
    assert not (tmp_path / "model-onnx").exists()
