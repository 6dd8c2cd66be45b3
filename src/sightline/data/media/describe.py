"""What sounds and pictures with texts hold: sizes, targets, what is double, and what looks wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from sightline.data.labelled.describe import sound_looks
from sightline.data.media.corpus import Column, MediaCorpus, MediaPart
from sightline.data.survey import Finding, Survey, bars, findings, histogram, spread, text_looks

SHOWN = 10


def survey_media(corpus: MediaCorpus, rate_hz: int) -> Survey:
    """Counts, durations in seconds or sizes in pixels, target lengths, repetitions, and items that look wrong."""
    parts: dict[str, MediaPart] = {"train": corpus.train, "valid": corpus.valid, "test": corpus.test}
    filled = {name: part for name, part in parts.items() if len(part)}
    digests = {name: [part.digest(row) for row in range(len(part))] for name, part in parts.items()}
    known = set(digests["train"])
    described: dict[str, dict[str, Any]] = {}
    for name, part in parts.items():
        described[name] = {
            "items": len(part),
            "distinct_sources": len(set(digests[name])),
            "sources_in_train": 0 if name == "train" else sum(digest in known for digest in digests[name]),
            "distinct_targets": len(set(part.targets)),
            "target_length": spread([len(target) for target in part.targets]),
            **{f"{column.name}_{_unit(column)}": spread(_sizes(column, rate_hz)) for column in part.columns},
        }
    charts = []
    if len(set(corpus.train.targets)) <= max(50, len(corpus.train) // 5):
        charts.append(bars("Targets", {name: Counter(part.targets) for name, part in filled.items()}, "items"))
    for number, column in enumerate(corpus.train.columns):
        sizes = {name: _sizes(part.columns[number], rate_hz) for name, part in filled.items()}
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


def _sizes(column: Column, rate_hz: int) -> list[float]:
    if column.kind == "text":
        return [float(len(text)) for text in column.texts]
    shapes = [column.shape(row) for row in range(len(column))]
    return [shape[0] / rate_hz if column.kind == "audio" else float(np.prod(shape[1:])) for shape in shapes]


def _suspicious(name: str, part: MediaPart, digests: list[str]) -> list[Finding]:
    times = Counter(digests)
    again = [place for place, digest in zip(part.places, digests, strict=True) if times[digest] > 1]
    found = [Finding(name, "the same source occurs more than once", len(again), again[:SHOWN])] if again else []
    found += findings(name, part.targets, part.places, text_looks(float(np.median([len(t) for t in part.targets]))))
    for column in part.columns:
        if column.kind == "text":
            median = float(np.median([len(text) for text in column.texts]))
            found += findings(name, column.texts, part.places, text_looks(median))
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
            found += findings(name, wrong_rows, part.places, {problem: bool})
    return found
