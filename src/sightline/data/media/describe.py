"""A summary of sounds and pictures with texts: sizes, targets, repetitions, and suspicious items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
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
    described = occurrences(digests)
    for name, part in corpus.parts.items():
        described[name] |= {
            "distinct_targets": len(set(part.targets)),
            "target_length": spread(list(map(len, part.targets))),
        }
        for column in part.columns:
            described[name][f"{column.name}_{_unit(column)}"] = spread(_sizes(column))
            if column.kind == "image":
                described[name][f"{column.name}_levels"] = picture_levels(_arrays(column))
    charts = []
    if len(set(corpus.train.targets)) <= max(50, len(corpus.train) // 5):
        charts.append(bars("Targets", {name: Counter(part.targets) for name, part in filled.items()}, "items"))
    for number, column in enumerate(corpus.train.columns):
        sizes = {name: _sizes(part.columns[number]) for name, part in filled.items()}
        charts += histogram(column.name.capitalize(), _unit(column), sizes, "items")
    suspicious = [finding for name, part in filled.items() for finding in _suspicious(name, part, digests[name])]
    examples = {name: f"{part.places[0]} → {part.targets[0]!r}" for name, part in filled.items()}
    return corpus.survey(described, findings=suspicious, examples=examples, charts=charts)


def _unit(column: Column) -> str:
    return {"audio": "seconds", "image": "pixels", "text": "characters"}[column.kind]


def _sizes(column: Column) -> list[float]:
    """The characters, seconds or pixels of every row."""
    if column.kind == "text":
        return [float(len(text)) for text in column.texts]
    shapes = [column.shape(row) for row in range(len(column))]
    rate_hz = column.rate_hz
    return [float(np.prod(shape[1:])) if rate_hz is None else shape[0] / rate_hz for shape in shapes]


def occurrences(keys: Mapping[str, Sequence[Hashable]]) -> dict[str, dict[str, Any]]:
    """Of each part the number of items, of different sources, and of those that training has too, from their keys."""
    known = set(keys["train"])
    return {
        name: {
            "items": len(of_part),
            "distinct_sources": len(set(of_part)),
            "sources_in_train": 0 if name == "train" else sum(key in known for key in of_part),
        }
        for name, of_part in keys.items()
    }


def picture_levels(pictures: Iterable[np.ndarray]) -> str:
    """The darkest and the brightest of the bytes of pictures: "0 to 15"."""
    ends = [(int(picture.min()), int(picture.max())) for picture in pictures]
    return f"{min(low for low, _ in ends)} to {max(high for _, high in ends)}" if ends else ""


def media_looks(kind: str) -> dict[str, Callable[[Any], bool]]:
    """Ways in which sounds or pictures look wrong."""
    return sound_looks() if kind == "audio" else {"all pixels the same": lambda x: bool((x == x.flat[0]).all())}


def _arrays(column: Column) -> Iterator[np.ndarray]:
    return (column.array(row) for row in range(len(column)))


def _suspicious(name: str, part: MediaPart, digests: list[str]) -> list[DataFinding]:
    suspicious = repeated(name, digests, part.places)
    for texts in (part.targets, *(column.texts for column in part.columns if column.kind == "text")):
        median = float(np.median([len(text) for text in texts]))
        suspicious += findings(name, texts, part.places, text_looks(median))
    for column in part.columns:
        looks = media_looks(column.kind) if column.kind != "text" else {}
        wrong = [[look(array) for look in looks.values()] for array in _arrays(column)] if looks else []
        for problem, rows in zip(looks, zip(*wrong, strict=True), strict=False):
            suspicious += findings(name, rows, part.places, {problem: bool})
    return suspicious
