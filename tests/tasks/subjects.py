"""Every task with little data and a small model, for the laws."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sightline.parts.front_end_choice import FrontEndChoice
from sightline.tasks.forecasting.forecast import Forecast
from sightline.tasks.forecasting.task import ForecastingTask
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.media.config import PictureConfig, SoundConfig
from sightline.tasks.translation.task import TranslationTask
from sightline.testing import TaskSubject
from tests.tasks import options
from tests.tasks.classification import small as labels
from tests.tasks.media import small as media
from tests.tasks.translation import small as pairs


def translation(folder: Path, **changes: Any) -> TaskSubject:
    config = pairs.config("gru", 12, batch_tokens=256, **changes)
    whole = pairs.corpus()
    data = replace(whole, valid=whole.valid.select(range(20)), test=whole.test.select(range(20)))
    run = TranslationTask.preset("gru").changed(settings=replace(config, model=replace(config.model, dropout=0.2)))
    read = options.counted_words(folder) if "front_end" in changes else options.pairs(folder)
    return TaskSubject(TranslationTask, run, ["12", "907", "5"], data=data, options=read)


def classification(folder: Path, *, kind: Any = "text", many: bool = False, **changes: Any) -> TaskSubject:
    data, run = labels.data(kind, many=many), labels.run(**changes)
    run = run.changed(model=replace(run.settings.model, dropout=0.2))
    inputs = {"text": ["red", "the sky of green", "blue blue"], "series": ["1,0.5,2,7", "3,3", "0,0,0,1"]}[kind]
    if kind == "series":
        inputs = [json.dumps([[float(x), 0.0] for x in line.split(",")]) for line in inputs]
    read = options.labelled_texts(folder, many) if kind == "text" else options.labelled_series(folder)
    if "front_end" in changes:  # one word, to which the option "cut" cuts, is of either label for a model that reads it
        read = {"lower case": read["lower case"]}
    return TaskSubject(labels.ClassificationTask, run, inputs, data=data, options=read)


def classification_of_files(folder: Path, *, kind: str) -> TaskSubject:
    read = options.labelled_files(folder, kind)
    run = labels.run(sound=SoundConfig(rate_hz=4000, mels=8, stride=2), picture=PictureConfig(8, 8, "stretch", patch=4))
    first = next(iter(read.values()))
    inputs = [str(path) for path in first.inputs[:4]]
    return TaskSubject(labels.ClassificationTask, run.changed(data=first.data), inputs, options=read)


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
    read = options.forecasts(folder, {"loss": run.settings.loss})
    return TaskSubject(ForecastingTask, run, [str(file) for file in files], options=read, plain=of_one_series)


def of_one_series(forecast: Forecast) -> np.ndarray:
    values = forecast.quantiles if forecast.levels else forecast.values[..., None]
    return values[0]


def language(folder: Path) -> TaskSubject:
    texts = [f"{number} times {number} is {number * number}." for number in range(60)]
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    preset = LanguageTask.preset("gru")
    model = replace(preset.settings.model, d_model=12, layers=1, dropout=0.2)
    run = preset.changed(data=str(folder / "a.jsonl"), context=24, batch_tokens=96, model=model)
    inputs = ["1 times", "50 times 50 is", "7"]
    return TaskSubject(LanguageTask, run, inputs, options=options.running_text(folder))


def media_text(folder: Path, *, kind: str) -> TaskSubject:
    run = media.run(kind, (media.tones if kind == "transcription" else media.quarters)(folder, 30))
    run = run.changed(model=replace(run.settings.model, dropout=0.2))
    read = options.media(folder, kind)
    lines = [str(folder / f"{number}.{'wav' if kind == 'transcription' else 'png'}") for number in range(3)]
    if kind == "answering":
        questions = [f"{path}\t{asked}" for path, asked in zip(lines, ("row?", "column?", "row?"), strict=True)]
        inputs = [tuple(line.split("\t")) for line in questions]
        return TaskSubject(media.KINDS[kind], run, inputs, questions, options=read)
    return TaskSubject(media.KINDS[kind], run, lines, options=read)


SPELLED = replace(FrontEndChoice.named("character_cnn"), widths=(1, 2), filters=4)
SUBJECTS: dict[str, Callable[[Path], TaskSubject]] = {
    "translation": translation,
    "translation of spelled words": partial(translation, front_end=SPELLED),
    "classification": classification,
    "classification of spelled words": partial(classification, front_end=SPELLED),
    "classification of label sets": partial(classification, many=True),
    "classification of series": partial(classification, kind="series"),
    "classification of sounds": partial(classification_of_files, kind="audio"),
    "classification of pictures": partial(classification_of_files, kind="image"),
    "forecasting": forecasting,
    "forecasting of quantiles": partial(forecasting, loss="quantile"),
    "language": language,
    **{kind: partial(media_text, kind=kind) for kind in media.KINDS},
}
