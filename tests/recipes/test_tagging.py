"""The recipe "a task: one folder and one line", followed by a task that tags words: by the commands and the laws."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from sightline.cli.app import main
from sightline.tasks.table import TASKS
from sightline.testing import TASK_LAWS, check_task

from .tagging import small
from .tagging.task import TaggingTask

MOST_LINES = 150
SMALL = ["--task", "tagging", "--arch", "gru", "--model.d-model", "16", "--device", "cpu", "-q"]


@pytest.fixture(autouse=True)
def one_line_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TASKS, TaggingTask.name, TaggingTask)


@pytest.fixture
def one_line_in_the_table_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "from sightline.tasks.table import TASKS", f"from {TaggingTask.__module__} import TaggingTask as task"
    (tmp_path / "sitecustomize.py").write_text("\n".join([*lines, "TASKS[task.name] = task\n"]))
    folders = [str(tmp_path), str(Path(__file__).parents[2]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return small.write(tmp_path).name


def command(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> tuple[str, str]:
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    assert code == status, err
    return out, err


def test_it_is_as_short_as_promised() -> None:
    folder = Path(small.__file__).parent
    counts = [len(file.read_text().splitlines()) for file in folder.glob("*.py") if file.name != "small.py"]
    assert sum(counts) <= MOST_LINES


@pytest.mark.slow
@pytest.mark.parametrize("law", TASK_LAWS)
def test_the_law_holds(law: str, tmp_path: Path) -> None:
    check_task(small.subject(tmp_path), [law])


@pytest.mark.slow
def test_it_is_trained_measured_and_used(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = command(capsys, "train", "--data", data, *SMALL, "--max-steps", "60", "-o", "run", "--json")
    assert json.loads(out)["task"] == "tagging"
    out, _ = command(capsys, "eval", "run", "--json")
    facts = json.loads(out)
    assert facts["metrics"]["token_accuracy"] > 0.9
    assert set(facts["metrics"]) == {"token_accuracy", "exact_match", "loss"}
    out, _ = command(capsys, "eval", "run", "--data", data, "--limit", "7")
    assert out.startswith(f"gru on {data}, 7 texts\n")
    out, _ = command(capsys, "predict", "run", "the cat sees a dog", "", "this tree !")
    assert [line.split() for line in out.split("\n")] == [["D", "N", "V", "D", "N"], [], ["D", "N", "P"], []]


def test_its_data_is_described(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = command(capsys, "data", "describe", data, "--task", "tagging")
    assert re.search(r"^train +\d+", out, re.M)
    out, _ = command(capsys, "train", "--data", data, *SMALL, "--dry-run")
    assert "dry run" in out


@pytest.mark.slow
@pytest.mark.usefixtures("one_line_in_the_table_of_workers")
@pytest.mark.parametrize("metric", ["auto", "loss"])
def test_it_is_compared(metric: str, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "--task", "tagging", "--data", data, "--archs", "gru,transformer", "--budget", "3steps", "--search", "0"
    more = "--metric", metric, "--seeds", "1", "--model.d-model", "16", "--workers", "1", "-o", "out", "-q", "--json"
    results = json.loads(command(capsys, "compare", *arguments, *more)[0])
    assert results["primary_metric"] == ("token_accuracy" if metric == "auto" else metric)
    assert [run["status"] for run in results["runs"]] == ["done", "done"]
    assert results["examples"][0]["predictions"].keys() == {"gru", "transformer"}


def test_a_table_is_read_too_and_errors_name_the_line(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = small.write(Path(), ".tsv")
    command(capsys, "data", "describe", table, "--task", "tagging")
    with table.open("a") as file:
        file.write("the cat\tD\n")
    line = len(table.read_text().splitlines())
    _, err = command(capsys, "train", "--data", table, *SMALL, status=2)
    assert err == f"sightline: error: {table}:{line}: 2 words, but 1 tags\n"


@pytest.mark.parametrize(("arch", "reason"), [
    ("bilstm_attention", "'bilstm_attention' does not suit tagging: choose one of rnn, "),
    ("dlinear", "'dlinear' is a forecaster, which maps windows of series to what follows, but tagging needs an enc"),
])  # fmt: skip
def test_other_architectures_are_refused(arch: str, reason: str, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    _, err = command(capsys, "train", "--task", "tagging", "--data", data, "--arch", arch, status=2)
    assert reason in err
