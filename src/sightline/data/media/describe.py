"""A summary of sounds and pictures with texts: sizes, targets, repetitions, and suspicious items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from sightline.data.corpus import Corpus
from sightline.data.media.columns import Column, MediaPart
from sightline.data.survey import (
    DataFinding,
    Survey,
    bars,
    findings,
    histogram,
    repeated,
    sound_looks,
    spread,
    text_looks,
)


def survey_media(corpus: Corpus[MediaPart]) -> Survey:
    """Counts, durations in seconds or sizes in pixels, target lengths, repetitions, and suspicious items."""
    filled = corpus.filled
    digests = {name: part.digests() for name, part in corpus.parts.items()}
    known = set(digests["train"])
    described: dict[str, dict[str, Any]] = {}
    for name, part in corpus.parts.items():
        described[name] = {
            "items": len(part),
            "distinct_sources": len(set(digests[name])),
            "sources_in_train": 0 if name == "train" else sum(digest in known for digest in digests[name]),
            "distinct_targets": len(set(part.targets)),
            "target_length": spread([len(target) for target in part.targets]),
            **{f"{column.name}_{_unit(column)}": spread(_sizes(column)) for column in part.columns},
        }
    charts = []
    if len(set(corpus.train.targets)) <= max(50, len(corpus.train) // 5):
        charts.append(bars("Targets", {name: Counter(part.targets) for name, part in filled.items()}, "items"))
    for number, column in enumerate(corpus.train.columns):
        sizes = {name: _sizes(part.columns[number]) for name, part in filled.items()}
        charts += histogram(column.name.capitalize(), _unit(column), sizes, "items")
    return Survey(
        corpus.name,
        corpus.sha256,
        described,
        [finding for name, part in filled.items() for finding in _suspicious(name, part, digests[name])],
        list(corpus.notes),
        {name: f"{part.places[0]} → {part.targets[0]!r}" for name, part in filled.items()},
        charts,
    )


def _unit(column: Column) -> str:
    return {"audio": "seconds", "image": "pixels", "text": "characters"}[column.kind]


def _sizes(column: Column) -> list[float]:
    """The characters, seconds or pixels of every row."""
    if column.kind == "text":
        return [float(len(text)) for text in column.texts]
    shapes = [column.shape(row) for row in range(len(column))]
    rate_hz = column.rate_hz
    return [float(np.prod(shape[1:])) if rate_hz is None else shape[0] / rate_hz for shape in shapes]


def _suspicious(name: str, part: MediaPart, digests: list[str]) -> list[DataFinding]:
    suspicious = repeated(name, digests, part.places)
    median = float(np.median([len(text) for text in part.targets]))
    suspicious += findings(name, part.targets, part.places, text_looks(median))
    for column in part.columns:
        if column.kind == "text":
            median = float(np.median([len(text) for text in column.texts]))
            suspicious += findings(name, column.texts, part.places, text_looks(median))
            continue
        looks: dict[str, Callable[[Any], bool]] = (
            sound_looks()
            if column.kind == "audio"
            else {"all pixels the same": lambda pixels: bool((pixels == pixels.flat[0]).all())}
        )
        flags = {problem: [] for problem in looks}  # one reading of each file for all of them
        for row in range(len(column)):
            array = column.array(row)
            for problem, wrong in looks.items():
                flags[problem].append(wrong(array))
        for problem, wrong_rows in flags.items():
            suspicious += findings(name, wrong_rows, part.places, {problem: bool})
    return suspicious
