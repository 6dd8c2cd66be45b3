"""Every task with little data and a small model, for the laws."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sightline.tasks.forecasting.task import ForecastingTask
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.translation.task import TranslationTask
from sightline.testing import TaskSubject
from tests.tasks.classification import small as labels
from tests.tasks.media import small as media
from tests.tasks.translation import small as pairs


def translation(_: Path) -> TaskSubject:
    config = pairs.config("gru", 12, batch_tokens=256)
    whole = pairs.corpus()
    data = replace(whole, valid=whole.valid.select(range(20)), test=whole.test.select(range(20)))
    run = TranslationTask.preset("gru").changed(settings=replace(config, model=replace(config.model, dropout=0.2)))
    return TaskSubject(TranslationTask, run, ["12", "907", "5"], data=data)


def classification(_: Path, *, kind: Any = "text", many: bool = False) -> TaskSubject:
    data, run = labels.data(kind, many=many), labels.run()
    run = run.changed(model=replace(run.settings.model, dropout=0.2))
    inputs = {"text": ["red", "the sky of green", "blue blue"], "series": ["1,0.5,2,7", "3,3", "0,0,0,1"]}[kind]
    if kind == "series":
        inputs = [json.dumps([[float(x), 0.0] for x in line.split(",")]) for line in inputs]
    return TaskSubject(labels.ClassificationTask, run, inputs, data=data)


def forecasting(folder: Path, **changes: Any) -> TaskSubject:
    random, files = np.random.default_rng(0), []
    for number in range(3):
        steps = np.arange(40)
        rows = [f"{t},{v:.4f}" for t, v in zip(steps, np.sin(steps) + random.normal(size=40), strict=True)]
        files.append(folder / f"{number}.csv")
        files[-1].write_text("\n".join(["time,a", *rows]) + "\n")
    long = [f"{t},{np.sin(t) + random.normal():.4f}" for t in range(300)]
    (folder / "train.csv").write_text("\n".join(["time,a", *long]) + "\n")
    preset = ForecastingTask.preset("gru")
    model = replace(preset.settings.model, d_model=8, layers=1)
    run = preset.changed(
        data=str(folder / "train.csv"), lookback=24, horizon=6, season=6, batch_size=16, model=model, **changes
    )
    return TaskSubject(ForecastingTask, run, [str(file) for file in files])


def language(folder: Path) -> TaskSubject:
    texts = [f"{number} times {number} is {number * number}." for number in range(60)]
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    preset = LanguageTask.preset("gru")
    model = replace(preset.settings.model, d_model=12, layers=1, dropout=0.2)
    run = preset.changed(data=str(folder / "a.jsonl"), context=24, batch_tokens=96, model=model)
    return TaskSubject(LanguageTask, run, ["1 times", "50 times 50 is", "7"])


def media_text(folder: Path, *, kind: str) -> TaskSubject:
    run = media.run(kind, (media.tones if kind == "transcription" else media.quarters)(folder, 30))
    run = run.changed(model=replace(run.settings.model, dropout=0.2))
    lines = [str(folder / f"{number}.{'wav' if kind == 'transcription' else 'png'}") for number in range(3)]
    if kind == "answering":
        questions = [f"{path}\t{asked}" for path, asked in zip(lines, ("row?", "column?", "row?"), strict=True)]
        return TaskSubject(media.KINDS[kind], run, [tuple(line.split("\t")) for line in questions], questions)
    return TaskSubject(media.KINDS[kind], run, lines)


SUBJECTS: dict[str, Callable[[Path], TaskSubject]] = {
    "translation": translation,
    "classification": classification,
    "classification of label sets": partial(classification, many=True),
    "classification of series": partial(classification, kind="series"),
    "forecasting": forecasting,
    "forecasting of quantiles": partial(forecasting, loss="quantile"),
    "language": language,
    **{kind: partial(media_text, kind=kind) for kind in media.KINDS},
}
