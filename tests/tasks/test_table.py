"""Every task of the table keeps what `Task` promises."""

from __future__ import annotations

import inspect

import pytest

from sightline.core.config import decode, encode
from sightline.core.errors import InputError
from sightline.models import FORMS
from sightline.tasks.architectures import IN_WORDS
from sightline.tasks.defaults import BUILTIN_TASKS, compared
from sightline.tasks.run import RunConfig
from sightline.tasks.table import TASKS, task_class


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_what_it_is(name):
    task = TASKS[name]
    assert not inspect.isabstract(task)
    assert task.name == name
    assert task.form in FORMS
    assert issubclass(task.Run, RunConfig)
    assert "data" in task.Run().data_keys
    assert set(compared(name)) <= set(task.architectures())


@pytest.mark.parametrize(("name", "arch"), [(name, arch) for name in TASKS for arch in TASKS[name].architectures()])
def test_every_preset_can_be_written_down_and_read_back(name, arch):
    run = TASKS[name].preset(arch)
    assert run.settings.arch == arch
    assert decode(type(run), encode(run), base=run) == run


@pytest.mark.parametrize("name", TASKS)
def test_an_architecture_of_another_form_is_refused_with_the_reason(name):
    task = TASKS[name]
    foreign = next(arch for form in FORMS for arch in FORMS[form] if arch not in task.architectures())
    with pytest.raises(InputError) as caught:
        task.check_architecture(foreign)
    assert f"{foreign!r} is " in str(caught.value)
    assert IN_WORDS[task.form] in str(caught.value)
    with pytest.raises(InputError, match="did you mean 'gru'"):
        task.check_architecture("grru")


def test_built_in_data_belongs_to_a_task():
    assert set(BUILTIN_TASKS.values()) <= set(TASKS)
    with pytest.raises(InputError, match="unknown task 'langage', did you mean 'language'"):
        task_class("langage")
