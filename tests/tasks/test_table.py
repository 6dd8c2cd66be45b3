"""What holds for every task of the table, each with a small model and data of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sightline.core.config import decode, encode, override
from sightline.core.errors import InputError
from sightline.core.metrics import find_metric
from sightline.core.settings import missing_descriptions
from sightline.models import FORMS
from sightline.tasks.architectures import IN_WORDS
from sightline.tasks.defaults import BUILTIN_TASKS, compared, task_of
from sightline.tasks.load import load
from sightline.tasks.table import TASKS, task_class
from tests.tasks.media import small

SMALL = {"model.d_model": 16}
BUILTIN: dict[str, dict[str, Any]] = {
    "translation": {"data": "builtin:dates?size=200", "limit": 40},
    "language": {"data": "builtin:stdlib", "limit": 8, "context": 32},
    "classification": {"data": "builtin:digits", "limit": 60},
    "forecasting": {"data": "builtin:ar?length=600&series=2", "limit": 20},
}


@pytest.fixture(scope="module", params=TASKS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Any]:
    """An untrained task, its data and the configuration that it was built from."""
    name = request.param
    kind = TASKS[name]
    if name in small.KINDS:
        run = small.run(name, small.manifests(tmp_path_factory.mktemp(name))[name], limit=60)
    else:
        run = override(kind.preset("gru"), {**SMALL, **BUILTIN[name]})
    data = kind.load_data(run)
    return kind.build(data, run), data, run


def test_the_items_of_every_metric_add_up_to_it(built: tuple[Any, Any, Any]) -> None:
    task, data, run = built
    measured = task.measure(data.test)
    assert set(task.metrics(data, run)) == measured.metrics.keys() == measured.items.keys()
    for name, rows in measured.items.items():
        assert find_metric(name).value(rows[None].astype(float)) == pytest.approx([measured.metrics[name]]), name


def test_a_saved_task_measures_what_it_did(built: tuple[Any, Any, Any], tmp_path: Path) -> None:
    task, data, _ = built
    task.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert type(again) is type(task)
    assert again.measure(data.test).metrics == task.measure(data.test).metrics


@pytest.mark.parametrize("training", [True, False])
def test_measuring_draws_nothing_and_leaves_the_mode(built: tuple[Any, Any, Any], training: bool) -> None:
    task, data, _ = built
    task.model.train(training)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    task.measure(data.test)
    assert task.model.training is training
    assert torch.equal(torch.get_rng_state(), before)


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


@pytest.mark.parametrize("name", TASKS)
def test_what_a_comparison_takes_by_itself_is_an_architecture_of_the_task(name):
    for arch in compared(name):
        TASKS[name].check_architecture(arch)


@pytest.mark.parametrize("data", BUILTIN_TASKS)
def test_built_in_data_is_read_by_its_task(data):
    kind = TASKS[task_of(f"builtin:{data}")]
    assert kind.load_data(override(kind.preset("gru"), {"data": f"builtin:{data}", "limit": 30})).sizes["train"] > 0


def test_an_unknown_task_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="unknown task 'langage', did you mean 'language'"):
        task_class("langage")


@pytest.mark.parametrize("name", TASKS)
def test_every_key_has_a_description(name):
    for arch in TASKS[name].architectures():
        run = TASKS[name].preset(arch)
        assert not missing_descriptions(type(run)) + missing_descriptions(type(run.settings.model))
