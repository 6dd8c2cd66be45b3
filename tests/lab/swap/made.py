"""Small tasks with models of softmax attention, untrained, and what swaps their layers."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.data.text.corpus import load_text
from sightline.lab.swap.patient import Patient
from sightline.lab.swap.surgery import swapped_task
from sightline.lab.swap.target import find_target
from sightline.models import LANGUAGE_MODELS
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.forecasting.task import ForecastingTask
from sightline.tasks.language.config import LanguageConfig
from sightline.tasks.language.task import LanguageTask
from sightline.testing import TaskSubject
from tests.tasks import subjects
from tests.tasks.classification import small as labels
from tests.tasks.media import small as media
from tests.tasks.translation import small as pairs

CONTEXT = 24


def text_file(folder: Path) -> Path:
    """Documents of six words in random order, some of them longer than the context."""
    draw, place = random.Random(3), folder / "texts.jsonl"
    words = ["".join(draw.choices("abcdefgh", k=draw.randint(2, 5))) for _ in range(6)]
    texts = [" ".join(draw.choices(words, k=draw.randint(8, 20))) for _ in range(60)]
    place.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return place


def language(folder: Path, layers: int = 2, **changes: Any) -> LanguageTask:
    """A language model of softmax attention; `changes` of its config."""
    model = replace(
        LANGUAGE_MODELS["transformer"], d_model=16, layers=layers, **{"heads": 2, "dropout": 0.0, **changes}
    )
    config = LanguageConfig(arch="transformer", model=model, context=CONTEXT)
    return LanguageTask.create(load_text(text_file(folder)), config, seed=1)


def translation(**changes: Any) -> Any:
    """A Transformer of two layers that spells numbers."""
    config = pairs.config("transformer")
    model = replace(config.model, layers=2, **{"dropout": 0.0, **changes})
    return pairs.TranslationTask.create(pairs.corpus(), replace(config, model=model), seed=1)


def classification(**changes: Any) -> ClassificationTask:
    """A classifier of texts."""
    run = labels.run("transformer")
    run = run.changed(model=replace(run.settings.model, layers=2, **changes))
    return ClassificationTask.build(labels.data("text"), run)


def forecasting(folder: Path) -> TaskSubject:
    """A Transformer that forecasts from six patches."""
    subject, preset = subjects.forecasting(folder), ForecastingTask.preset("transformer")
    model = replace(preset.settings.model, d_model=16, heads=2, layers=2, dropout=0.0, patch=4, stride=4)
    settings = replace(subject.run.settings, model=model)
    return replace(subject, run=preset.changed(settings=settings, data=str(folder / "train.csv")))


def captioning(folder: Path) -> TaskSubject:
    """A Transformer that names a picture's bright quarter."""
    subject = subjects.media_text(folder, kind="captioning")
    return replace(subject, run=media.run("captioning", folder / "quarters.csv", "transformer"))


def swapped(task: Any, to: str, layers: str = "all", side: str | None = None, **given: Any) -> Any:
    """The task with layers replaced and begun, without distillation."""
    patient = Patient.of(task, side, "run")
    numbers = patient.chosen(layers)
    target = find_target(patient, numbers, to, {name: str(value) for name, value in given.items()})
    return swapped_task(patient, target, {n: patient.start(n, target.config, 0).module for n in numbers})
