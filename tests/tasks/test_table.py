"""The table of tasks; the laws over its entries are in test_laws.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from sightline.cli.app import main
from sightline.core.config import override
from sightline.core.errors import InputError
from sightline.tasks.architectures import IN_WORDS
from sightline.tasks.classification.config import READ_AS
from sightline.tasks.defaults import BUILTIN_TASKS, ELSE_TRAINED, TRAINED, compared
from sightline.tasks.infer import task_for
from sightline.tasks.table import TASKS, task_class


@pytest.mark.parametrize("name", TASKS)
def test_what_a_comparison_takes_by_itself_is_an_architecture_of_the_task(name):
    for arch in compared(name):
        TASKS[name].check_architecture(arch)


@pytest.mark.parametrize("name", TASKS)
def test_the_default_of_any_number_of_items_is_an_architecture_of_the_task(name):
    rows = TRAINED.get(name, ELSE_TRAINED)
    bounds = [row.below for row in rows]
    assert bounds[-1] is None
    assert bounds[:-1] == sorted(bounds[:-1])
    for row in rows:
        TASKS[name].check_architecture(row.arch)


def test_rows_of_defaults_are_of_tasks():
    assert set(TRAINED) <= {*TASKS, *(f"classification of {kind}" for kind in READ_AS)}


@pytest.mark.slow
@pytest.mark.parametrize("data", BUILTIN_TASKS)
def test_built_in_data_is_read_by_its_task(data):
    kind = TASKS[task_for(f"builtin:{data}")]
    assert kind.load_data(override(kind.preset("gru"), {"data": f"builtin:{data}", "limit": 30})).sizes["train"] > 0


def test_an_unknown_task_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="unknown task 'langage', did you mean 'language'"):
        task_class("langage")


# An architecture of another form, for each task; data is not read, so that any will do.
FOREIGN = {name: "dlinear" if name != "forecasting" else "bahdanau" for name in TASKS}


@pytest.mark.parametrize(("name", "arch"), FOREIGN.items())
def test_the_commands_explain_why_an_architecture_does_not_suit_a_task(
    name: str, arch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = next((f"builtin:{data}" for data, task in BUILTIN_TASKS.items() if task == name), "a.csv")
    other = {"dlinear": "forecaster", "bahdanau": "encoder-decoder"}[arch]
    reason = f"arch: {arch!r} is {IN_WORDS[other]}, but {name} needs {IN_WORDS[TASKS[name].form]}: "
    assert main(["train", "--data", data, "--task", name, "--arch", arch]) == 2
    assert capsys.readouterr().err.startswith(f"sightline: error: {reason}")
    assert not list(tmp_path.iterdir())
