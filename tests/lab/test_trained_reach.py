"""Used reach and gradient reach of whole models whose reach is known by construction."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from sightline.data.text.corpus import load_text
from sightline.lab.forms import Sampled, TrainedRun, run_form
from sightline.lab.trained_reach import initial_reach, trained_reach
from sightline.models import LANGUAGE_MODELS
from sightline.tasks.language.config import LanguageConfig
from sightline.tasks.language.task import LanguageTask
from tests.tasks.classification import small

SAMPLED = Sampled(labels=24, sequences=6)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    draw = random.Random(3)
    place = tmp_path_factory.mktemp("text") / "a.jsonl"
    texts = ["".join(draw.choices("abcdefg ", k=draw.randint(30, 80))) for _ in range(90)]
    place.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return load_text(place)


def made(corpus, arch, layers=1, **options):
    model = replace(LANGUAGE_MODELS[arch], d_model=16, layers=layers, dropout=0.0)
    if options:
        model = replace(model, heads=2, options=options)
    return LanguageTask.create(corpus, LanguageConfig(arch=arch, model=model, context=24), seed=1)


def test_a_model_of_windows_uses_and_reaches_what_its_layers_see(corpus):
    """Two layers of windows of 4 positions, the own one included, see 2 · 3 + 1 = 7 positions."""
    task = made(corpus, "window", layers=2, window={"window": 4})
    (reach,) = trained_reach("runs/w", task, corpus.train, SAMPLED)
    used = dict(zip(reach.used.at, reach.used.centre))
    assert set(used) == {1, 2, 3, 4, 6, 8, 11, 16, 23, 24}
    assert used[24.0] == pytest.approx(used[8.0], rel=1e-6)
    assert used[6.0] != pytest.approx(used[8.0], rel=1e-6)
    gradient = dict(zip(reach.input.at, reach.input.centre))
    assert min(gradient[k] for k in gradient if k <= 6) > 0
    assert max(gradient[k] for k in gradient if k > 6) == 0
    assert (reach.trained, reach.loss_unit) == (True, "nats/token")


def test_the_last_point_of_the_used_reach_is_the_loss_of_the_whole_windows(corpus):
    task = made(corpus, "lstm")
    (reach,) = trained_reach("runs/l", task, corpus.train, Sampled(labels=10_000, sequences=1))
    with torch.no_grad():
        task.model.eval()
        losses = []
        for text in corpus.train.texts():
            ids = [task.tokenizer.BOS, *task.tokenizer.encode(text).tolist(), task.tokenizer.EOS]
            for first in range(0, len(ids) - 24, 24):
                row = torch.tensor(ids[first : first + 25])
                logits, _ = task.model(row[None, :24], None)
                losses.append(torch.nn.functional.cross_entropy(logits[0, -1], row[24]).item())
    assert reach.used.centre[-1] == pytest.approx(np.mean(losses), rel=0.02)
    assert [matrix.size for matrix in reach.matrices] == [16] * 4


def test_the_reach_at_initialisation_is_that_of_the_weights_that_the_run_drew(corpus):
    """Those of the task that its training begins with, whatever has become of them."""
    task = made(corpus, "lstm")
    (began,) = trained_reach("runs/l", task, corpus.train, SAMPLED)
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.mul_(0.5)
    form = run_form(TrainedRun("runs/l", task, corpus.train, seed=1))
    (again,) = initial_reach(form, SAMPLED)
    assert (again.name, again.before, again.trained, again.used) == ("runs/l at initialisation", "runs/l", False, None)
    assert (again.input, again.state, again.matrices) == (began.input, began.state, began.matrices)
    (now,) = trained_reach("runs/l", task, corpus.train, SAMPLED)
    assert now.input != began.input
    (other,) = initial_reach(run_form(TrainedRun("runs/l", task, corpus.train, seed=2)), SAMPLED)
    assert other.input != began.input


@pytest.mark.parametrize("kind", ["text", "series"])
def test_the_last_point_of_a_classifier_is_its_loss(kind):
    task, part = small.untrained(kind), small.data(kind).test
    (reach,) = trained_reach("runs/c", task, part, Sampled(labels=10_000, sequences=8))
    assert reach.used.at[0] == 1
    assert reach.used.centre[-1] == pytest.approx(task.measure(part).metrics["loss"], rel=1e-5)
    assert reach.used.centre[0] != pytest.approx(reach.used.centre[-1], rel=1e-4)
    assert reach.input.centre[0] > 0
    assert reach.state is not None
    form = run_form(TrainedRun("runs/c", task, part))
    (began,) = initial_reach(form, Sampled(labels=10_000, sequences=8))
    assert (began.input, began.state) == (reach.input, reach.state)
