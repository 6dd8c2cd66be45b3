"""A run is measured and resumed from any directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import sightline
from sightline.cli.app import main
from sightline.core.errors import InputError
from sightline.tasks.load import part_of_run

TRAIN = ["train", "--arch", "gru", "--model.d-model", "8", "--device", "cpu", "-q", "-o"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data and a run trained in it, and an empty working directory beside it."""
    folder = tmp_path / "project"
    (folder / "in").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for side in ("de", "en"):
        (folder / "in" / f"text.{side}").write_text("".join(f"{side} {row}\n" for row in range(40)))
    monkeypatch.chdir(folder)
    assert main([*TRAIN, "runs/mine", "--data", "in/text.de,in/text.en", "--max-steps", "2"]) == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


def test_it_is_measured_and_resumed_from_another_directory(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(project / "runs" / "mine"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]
    assert main(["eval", str(project / "runs" / "mine" / "best")]) == 0
    assert main([*TRAIN[:-1], "-o", str(project / "runs" / "mine"), "--resume", "--max-steps", "4"]) == 0
    assert sightline.load(project / "runs" / "mine").predict("de 3") is not None


def test_data_of_the_same_name_here_is_not_taken_for_the_runs(project: Path) -> None:
    Path("in").mkdir()
    for side in ("de", "en"):
        Path("in", f"text.{side}").write_text("something else\n" * 30)
    assert "something else" not in part_of_run(project / "runs" / "mine").items.sources


def test_a_project_that_has_moved_is_found_by_the_runs_place(project: Path, tmp_path: Path) -> None:
    shutil.move(project, tmp_path / "moved")
    part = part_of_run(tmp_path / "moved" / "runs" / "mine")
    assert part.name == f"test part of {tmp_path}/moved/in/text.de,{tmp_path}/moved/in/text.en"


def test_a_run_of_version_0_1_0_is_found_by_its_place(project: Path) -> None:
    (project / "runs" / "mine" / "environment.json").unlink()
    assert part_of_run(project / "runs" / "mine").size


def test_data_that_is_gone_is_named_with_the_way_out(project: Path) -> None:
    shutil.rmtree(project / "in")
    run = project / "runs" / "mine"
    with pytest.raises(InputError) as caught:
        part_of_run(run)
    assert str(caught.value) == (
        f"in/text.de,in/text.en: no such file, neither here nor in {project}, where {run} was trained: set --data"
    )


def test_paths_stay_as_they_are_where_the_run_was_trained(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert part_of_run(Path("runs/mine")).name == "test part of in/text.de,in/text.en"
