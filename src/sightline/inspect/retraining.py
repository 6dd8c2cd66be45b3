"""Tests of attention by training models again, for a trained run on request.

Of any model another seed and even attention are tried (`inspect.retraining_any`). A classifier of texts with one pooled
attention has all tests of Wiegreffe & Pinter 2019 (arXiv:1908.04626), see `inspect.retrained`, whose functions do them.
Six models are trained, each within one budget, on the data and with the settings of the run:

- another seed (§ 3.3), and even weights in training (§ 3.2), which are compared with each other: both have one budget
- a model of words without context, with even weights, with weights of its own, and with those of the model (§ 3.4)
- an adversary (§ 4), for as many steps as the other seed

Deviations: one seed of each; the model of words is `projection_attention` of the run's width, trained with the run's
optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.core.seeds import derive
from sightline.data.batches import START
from sightline.inspect.alternatives import check_pooled, pooled_attention
from sightline.inspect.faithfulness import jensen_shannon
from sightline.inspect.faithfulness_results import Retrained, RetrainedModel, RetrainedTest
from sightline.inspect.rates import mean_interval, rate_of
from sightline.inspect.retrained import Guide, compare_adversary, even_guide, guide_of, guided, train_adversary
from sightline.inspect.retraining_any import QUESTION, retrained_layers
from sightline.inspect.training_again import TrainingAgain, alone
from sightline.models import FORMS
from sightline.training.budget import Budget

WORDS_ARCH = "projection_attention"
ALIKE = 0.95  # share of the items in which an adversary gives the same answer

NAMES = {
    "model": "the run's model",
    "seed": "the same with another seed",
    "even": "the same with even attention",
    "words even": "words alone, even attention",
    "words own": "words alone, attention of its own",
    "words guided": "words alone, the model's attention",
    "adversary": "an adversary of the model",
}


def check_budget(budget: str) -> None:
    """Raises `InputError` where it is none."""
    Budget.parse(budget, where="--retrain")


def is_pooled_classifier(task: Any) -> bool:
    """Whether the task has all tests: a classifier of texts with one label and one pooled attention."""
    if not (task.reads_texts and task.one_label):
        return False
    try:
        check_pooled(task.model)
    except ValueError:
        return False
    return True


def retrained_tests(task: Any, budget: str, items: int, seed: int, say: Callable[[str], object]) -> Retrained:
    """Train the models of all tests that the task has, and measure them on test items of the run.

    budget: of each training, as `sightline train --budget` reads it; items: whose maps are compared where all layers
        are

    Raises:
        InputError: what `Budget.parse` and `TrainingAgain.of` raise. Diverged.
    """
    check_budget(budget)
    if not is_pooled_classifier(task):
        return retrained_layers(task, budget, items, seed, say)
    again = TrainingAgain.of(task, budget, seed, say)
    models: dict[str, Any] = {"model": task}
    steps: dict[str, int] = {"model": 0}
    guides: dict[str, Guide | None] = {"seed": None, "even": even_guide, "words even": even_guide, "words own": None}
    for name, guide in {**guides, "words guided": guide_of(task.model)}.items():
        inside = alone if guide is None else partial(guided, guide=guide)
        models[name], steps[name] = again.train(_config(again, name), NAMES[name], inside)
    models["adversary"] = _adversary(again, steps["seed"])
    steps["adversary"] = steps["seed"]
    part = again.part
    measured_with = {"even": even_guide, "words even": even_guide, "words guided": guide_of(task.model)}
    right = {name: _right(one, part, measured_with.get(name)) for name, one in models.items()}
    rows = []
    for name, values in right.items():
        rate = rate_of(name, values.tolist())
        rows.append(RetrainedModel(name, NAMES[name], steps[name], "accuracy", rate.share, rate.low, rate.high))
    maps = _compared(task, models["seed"], models["adversary"], part)
    return Retrained(budget, len(part), rows, _tests(right, maps))


def _config(again: TrainingAgain, name: str) -> Any:
    """That of the training of a model."""
    words = name.startswith("words")
    run = again.config("words" if words else name)
    if not words:
        return run
    preset: Any = FORMS[type(again.task).form][WORDS_ARCH]
    return run.changed(arch=WORDS_ARCH, model=preset.resized(run.settings.model.d_model))


def _adversary(again: TrainingAgain, steps: int) -> Any:
    """A model that was trained to answer as the task's does and to attend to something else."""
    again.say(f"training again: {NAMES['adversary']}")
    device = again.task.device
    task = again.built(again.config("adversary"))

    def batches(_epoch: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        stream = task.batches(again.data.train, seed=derive(again.seed, "adversary order")).stream(START)
        for batch, _ in islice(stream, steps):
            here = batch.to(device)
            yield here.source, here.source_mask

    with torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(again.seed, "adversary dropout"))
        train_adversary(again.task.model, task.model, batches, epochs=1)
    return task


def _right(task: Any, part: Any, guide: Guide | None) -> np.ndarray:
    """Whether each answer is right, (N,)."""
    with nullcontext() if guide is None else guided(task.model, guide):
        return (task.trained.scores(part).argmax(1) == part.numbers(task.classes)).astype(float)


def _compared(base: Any, seed: Any, other: Any, part: Any) -> dict[str, Any]:
    """Of each item the divergence of the seed's and of the adversary's weights, and how the adversary answers."""
    columns: dict[str, list[Tensor]] = {name: [] for name in ("seed", "divergence", "change", "agrees")}
    device = base.device
    for batch in base.trained.batches(part, shuffle=False):
        tokens = batch.source.to(device)
        mask = torch.ones_like(tokens, dtype=torch.bool) if batch.source_mask is None else batch.source_mask.to(device)
        own, of_seed = (pooled_attention(one.model, tokens, mask).weights for one in (base, seed))
        columns["seed"].append(jensen_shannon(own, of_seed))
        for name, values in compare_adversary(base.model, other.model, tokens, mask)._asdict().items():
            columns[name].append(values)
    return {name: torch.cat(values).double().cpu().numpy() for name, values in columns.items()}


def _tests(right: dict[str, np.ndarray], maps: dict[str, np.ndarray]) -> list[RetrainedTest]:
    seeds, far = mean_interval(maps["seed"]), mean_interval(maps["divergence"])
    alike = float(maps["agrees"].mean())
    farther = far.low is not None and seeds.high is not None and far.low > seeds.high
    imitates = f"It gives the same answer for {100 * alike:.0f} % of the items"
    return [
        _won(
            "learned attention", QUESTION,
            right["seed"] - right["even"],
            "Attention is needed: with even weights and the same budget, the model answers worse than with learned "
            "ones.",
            "It is not shown that attention is needed: with even weights and the same budget, a model answers as well "
            "as these items can tell, so that tests of attention say little about these data.",
        ),
        RetrainedTest(
            "seed variance", "How far are the weights of another seed from this model's?", "nats", *seeds,
            "Other weights are remarkable only where they are farther away than this.",
        ),
        _won(
            "guided, beside even weights",
            "Do the weights help a model of words without context more than even weights do?",
            right["words guided"] - right["words even"],
            "They do: the weights say of the words what another model can use.",
            "It is not shown: a model of words answers as well with even weights, as far as these items can tell.",
        ),
        _won(
            "guided, beside weights of its own",
            "Do the weights help a model of words without context more than those that it learns?",
            right["words guided"] - right["words own"],
            "They do: the weights carry something of the context.",
            "It is not shown: a model of words answers as well with weights of its own.",
        ),
        RetrainedTest(
            "adversary: answers", "How much do the answers of a model change that was trained to attend elsewhere?",
            "share", *mean_interval(maps["change"]), f"{imitates}.",
        ),
        RetrainedTest(
            "adversary: weights", "How far are its weights from this model's?", "nats", *far,
            f"{imitates}, and attends farther away than another seed: a model that could have been trained tells "
            "another story." if farther and alike >= ALIKE else
            "No model was found that answers the same and attends farther away than another seed; longer training may "
            "find one.",
        ),
    ]  # fmt: skip


def _won(name: str, question: str, difference: np.ndarray, yes: str, no: str) -> RetrainedTest:
    """A difference of shares of right answers, in points."""
    mean, low, high, n = mean_interval(100 * difference)
    return RetrainedTest(name, question, "points", mean, low, high, n, yes if low is not None and low > 0 else no)
