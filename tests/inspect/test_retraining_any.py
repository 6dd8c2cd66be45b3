"""Another seed and even attention, for models of every task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.core.metrics import find_metric
from sightline.inspect.faithfulness_results import Retrained
from sightline.inspect.record import recorded_attention
from sightline.inspect.retraining import retrained_tests
from sightline.inspect.retraining_any import _even_test, divergence, even_layers
from sightline.lab.swap.scores import SwapScores
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.forecasting.task import ForecastingTask
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.media.config import PictureConfig
from sightline.tasks.translation.task import TranslationTask
from tests.tasks import subjects
from tests.tasks.classification import small as labels
from tests.tasks.translation import small as pairs


def built(task: Any, run: Any, data: Any | None = None) -> Any:
    """An untrained task that knows its data."""
    data = task.load_data(run) if data is None else data
    made = task.build(data, run)
    made.corpus = data
    return made


def translation(folder: Path, arch: str) -> Any:
    whole = pairs.corpus()
    data = replace(whole, valid=whole.valid.select(range(8)), test=whole.test.select(range(8)))
    run = TranslationTask.preset(arch).changed(settings=pairs.config(arch))
    return built(TranslationTask, run, data)


def pictures(folder: Path, arch: str) -> Any:
    files = subjects.classification_of_files(folder, kind="image").run.corpus.data
    picture = PictureConfig(8, 8, "stretch", patch=4)
    return built(ClassificationTask, labels.run(arch, picture=picture).changed(data=files))


def running_text(folder: Path, arch: str) -> Any:
    read = subjects.language(folder).run
    preset = LanguageTask.preset(arch)
    model = replace(preset.settings.model, d_model=16, heads=2, layers=1)
    return built(LanguageTask, preset.changed(data=read.corpus.data, context=24, batch_tokens=96, model=model))


def futures(folder: Path, arch: str) -> Any:
    read = subjects.forecasting(folder).run
    preset = ForecastingTask.preset(arch)
    model = replace(preset.settings.model, d_model=8, heads=2, layers=1, patch=6)
    run = preset.changed(data=read.corpus.data, lookback=24, horizon=6, season=6, batch_size=16, model=model)
    return built(ForecastingTask, run)


CASES: dict[str, tuple[Callable[[Path, str], Any], str]] = {
    "series": (lambda folder, arch: built(ClassificationTask, labels.run(arch), labels.data("series")), "transformer"),
    "pictures": (pictures, "transformer"),
    "translation": (translation, "transformer"),
    "running text": (running_text, "transformer"),
    "futures": (futures, "transformer"),
}


def again(task: Any) -> Retrained:
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    found = retrained_tests(task, "3steps", 6, 0, lambda line: None)
    assert all(torch.equal(before[name], value) for name, value in task.model.state_dict().items())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_models_of_every_task_are_trained_again(case: str, tmp_path: Path) -> None:
    make, arch = CASES[case]
    task = make(tmp_path, arch)
    found = again(task)
    assert {model.name: model.steps for model in found.models} == {"model": 0, "seed": 3, "even": 3}
    metric = type(task).metrics(task.corpus, task.run)[0]
    assert {model.metric for model in found.models} == {metric}
    own = task.measure(type(task).spaced(task.corpus.test, found.items)).metrics[metric]
    assert found.models[0].mean == pytest.approx(own)
    even, *seeds = found.tests
    assert even.name == "learned attention"
    assert even.low <= even.mean <= even.high
    of_metric, means = find_metric(metric), {model.name: model.mean for model in found.models}
    won = (means["seed"] - means["even"]) * (1 if of_metric.higher_is_better else -1)
    assert even.mean == pytest.approx(of_metric.factor * won)
    assert {"seed variance, attention weights"} <= {one.name for one in seeds}
    for one in seeds:
        assert 0 < one.mean <= np.log(2)
        assert one.n > 0


@pytest.mark.slow
def test_a_recurrence_has_seeds_and_no_weights_to_make_even(tmp_path: Path) -> None:
    found = again(built(ClassificationTask, labels.run("gru"), labels.data("series")))
    assert [model.name for model in found.models] == ["model", "seed"]
    assert [one.name for one in found.tests] == ["seed variance, slopes"]


def test_even_layers_weigh_all_that_is_seen_alike(tmp_path: Path) -> None:
    task = running_text(tmp_path, "transformer")
    model, tokens = task.decoder.eval(), torch.randint(5, (1, 6))

    def weights() -> Any:
        with recorded_attention(model) as found, torch.no_grad():
            logits, _ = model(tokens, model.initial_state(1))
        return logits, next(iter(found.values()))

    own, learned = weights()
    with even_layers(model):
        changed, seen = weights()
    assert torch.allclose(seen, torch.tril(torch.ones(6, 6)) / torch.arange(1.0, 7.0).unsqueeze(1) + 0 * learned)
    assert not torch.allclose(own, changed)
    assert torch.equal(weights()[0], own)


@pytest.mark.parametrize(("seed", "needed"), [(0.5, False), (0.9, True)])
def test_attention_is_needed_only_where_a_model_of_the_same_budget_is_better(seed: float, needed: bool) -> None:
    """The run's own model, trained for longer, is right everywhere; with even weights half is right."""
    right = {"model": 1.0, "seed": seed, "even": 0.5}
    rows = {name: np.stack([np.arange(100) < 100 * share, np.ones(100)], 1) for name, share in right.items()}
    (test,) = _even_test(SwapScores.of(rows, find_metric("accuracy"), 0), 100)
    assert test.mean == pytest.approx(100 * (seed - 0.5))
    assert test.sentence.startswith("Attention is needed: " if needed else "It is not shown that attention is needed: ")


def test_a_map_is_as_far_from_another_as_its_shape_is() -> None:
    one, two = np.array([0.0, 1.0, 3.0]), np.array([2.0, 0.0, 0.0])
    assert divergence(one, 7 * one) == pytest.approx(0.0, abs=1e-12)
    assert divergence(one, two) == pytest.approx(np.log(2))
    assert np.isnan(divergence(one, np.zeros(3)))


def test_without_data_nothing_is_trained() -> None:
    with pytest.raises(InputError, match="--retrain: nothing is known of the data of its training"):
        retrained_tests(labels.untrained("series", "gru"), "3steps", 4, 0, print)
