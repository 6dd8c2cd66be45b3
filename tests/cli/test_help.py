"""The help of each task, and completion in a shell."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from sightline.cli.app import KEYED, build, main
from sightline.cli.architectures import ARCH_HELP
from sightline.cli.keys import keys_help, load_keys
from sightline.tasks.defaults import ELSE_TRAINED, EXAMPLES, TRAINED
from sightline.tasks.recipe import resolve_run
from sightline.tasks.table import TASKS


@pytest.mark.parametrize("task", TASKS)
def test_the_help_of_a_task_has_an_example_and_groups_of_keys(task):
    text = keys_help(["train", "--task", task, "--help"])
    groups = [text.index(f"\n{name}\n──") for name in ("Data", "Model", "Inputs, loss and evaluation", "Training")]
    assert groups == sorted(groups)
    assert EXAMPLES[task] in text.replace(" \\\n      ", " ")  # it can be pasted
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("task", TASKS)
def test_the_help_of_a_comparison_shows_a_comparison_without_the_key_of_one_architecture(task):
    text = keys_help(["compare", "--task", task, "--help"])
    assert "\n  sightline compare --data " in text
    assert "sightline train" not in text
    assert re.search(r"--arch\b", text) is None
    assert "\n--model.d-model " in text


@pytest.mark.parametrize("verb", KEYED)
def test_the_help_of_a_command_advises_no_flag_that_it_does_not_have(verb):
    advised = re.findall(r"add (--[\w-]+)", " ".join(keys_help([verb, "--help"]).split()))
    names = {name for argument in build([verb])[verb].assemble_argument_collection() for name in argument.names}
    assert set(advised) <= names
    assert bool(advised) == (verb == "train")


@pytest.mark.parametrize("task", TASKS)
def test_the_example_of_a_task_has_flags_that_the_task_knows(task):
    _, verb, *rest = shlex.split(EXAMPLES[task])
    flags = {key.removeprefix("--").replace("-", "_"): value for key, value in zip(rest[::2], rest[1::2], strict=True)}
    assert verb == "train"
    assert resolve_run(file=None, environ={}, flags={"task": task, **flags}).task == task


@pytest.mark.slow
def test_the_completion_of_bash_completes_commands_and_flags(capsys):
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    for words, expected in ((["sightline", "pre"], "predict"), (["sightline", "eval", "--dev"], "--device")):
        line = " ".join(f"'{word}'" for word in words)
        ask = f"{script}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _sightline; echo ${{COMPREPLY[*]}}"
        done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
        assert expected in done.stdout.split()


def test_the_help_says_which_architecture_train_takes_by_default():
    defaults = {row.arch for rows in (*TRAINED.values(), ELSE_TRAINED) for row in rows}
    words = ARCH_HELP.partition("Default: ")[2].lower()
    assert [arch for arch in defaults if arch not in words] == []
    for rows in load_keys().values():
        assert [row["default"] for row in rows if row["name"] == "arch"] == [""]  # it depends on the data
