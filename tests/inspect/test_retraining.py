"""What is trained again for a run: on data that need attention, and on data that do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.data.labelled.corpus import LabelledCorpus
from sightline.data.labelled.part import LabelledPart
from sightline.inspect.retraining import NAMES, _tests, check_budget, is_pooled_classifier, retrained_tests
from sightline.tasks.classification.config import ClassificationRun, TextConfig
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.fit import train_run
from tests.tasks.classification import small

MARKS, FILLERS = ["red", "blue"], [f"w{number}" for number in range(12)]


def part(count: int, seed: int) -> LabelledPart:
    """Texts in which one word among eleven others is the label."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(count):
        words = random.choice(FILLERS, 11).tolist()
        label = str(random.choice(MARKS))
        words.insert(int(random.integers(12)), label)
        texts.append(" ".join(words))
        labels.append((label,))
    return LabelledPart("text", False, texts, labels, [""] * count)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A projection with attention, trained until it knows the two words, as it is loaded from its run."""
    data = LabelledCorpus("marks", part(400, 0), part(60, 1), part(80, 2), "", classes=tuple(sorted(MARKS)))
    preset = ClassificationRun.preset("projection_attention")
    run = preset.changed(
        model=replace(preset.settings.model.resized(8), d_embedding=8),
        text=TextConfig(min_count=1),
        batch_size=32,
        seed=0,
        budget="120steps",
        optim=replace(preset.training.optim, lr=1e-2),
    )
    task = ClassificationTask.build(data, run)
    place = tmp_path_factory.mktemp("run") / "run"
    trained = train_run(task, data, place, run).task
    trained.corpus, trained.place = data, place
    return trained


@pytest.fixture(scope="module")
def found(trained):
    before = {name: value.clone() for name, value in trained.model.state_dict().items()}
    result = retrained_tests(trained, "40steps", 20, 0, lambda line: None)
    assert all(torch.equal(before[name], value) for name, value in trained.model.state_dict().items())
    return result


@pytest.mark.slow
def test_every_model_is_trained_and_measured(found):
    assert [model.name for model in found.models] == list(NAMES)
    assert found.items == 80
    assert {model.name: model.steps for model in found.models} == {"model": 0, **dict.fromkeys(list(NAMES)[1:], 40)}
    shares = {model.name: model.mean for model in found.models}
    assert shares["model"] > 0.95
    assert all(0.0 <= share <= 1.0 for share in shares.values())
    tests = {test.name: test for test in found.tests}
    assert tests["learned attention"].mean == pytest.approx(100 * (shares["seed"] - shares["even"]))
    assert tests["guided, beside even weights"].mean == pytest.approx(
        100 * (shares["words guided"] - shares["words even"])
    )
    assert 0 <= tests["seed variance"].mean <= np.log(2)
    assert all(test.low <= test.mean <= test.high for test in found.tests)


@pytest.mark.parametrize(("seed", "needed"), [(0.5, False), (0.9, True)])
def test_attention_is_needed_only_where_a_model_of_the_same_budget_is_better(seed, needed):
    """The run's own model, trained for longer, answers everything rightly; with even weights half is right."""
    shares = {"model": 1.0, "seed": seed, "even": 0.5, "words even": 0.5, "words own": 0.5, "words guided": 0.5}
    right = {name: (np.arange(100) < 100 * share).astype(float) for name, share in shares.items()}
    maps = {name: np.full(100, 0.1) for name in ("seed", "divergence", "change", "agrees")}
    test = _tests(right, maps)[0]
    assert test.name == "learned attention"
    assert test.mean == pytest.approx(100 * (seed - 0.5))
    assert test.sentence.startswith("Attention is needed: " if needed else "It is not shown that attention is needed: ")


def test_the_other_models_have_the_tests_of_any_model():
    assert is_pooled_classifier(small.untrained("text", "projection_attention"))
    for kind, arch in [("text", "gru"), ("series", "bilstm_attention"), ("text", "transformer")]:
        assert not is_pooled_classifier(small.untrained(kind, arch))
    assert not is_pooled_classifier(small.untrained("text", "projection_attention", many=True))
    with pytest.raises(InputError, match=r"--retrain: 'fast'|--retrain: expected an amount"):
        check_budget("fast")
