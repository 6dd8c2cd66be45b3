"""Labelled data small enough to learn in a test, one kind of source each."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from sightline.data.labelled.corpus import LabelledCorpus
from sightline.data.labelled.part import LabelledPart
from sightline.data.labelled.table import LabelledSource, SourceKind
from sightline.tasks.classification.config import ClassificationRun, SeriesConfig, TextConfig
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.media.config import SoundConfig

RATE_HZ = 2000
WORDS = ("red", "green", "blue")


def sources(kind: SourceKind, labels: np.ndarray, random: np.random.Generator) -> list[LabelledSource]:
    """Sources whose label can be read off them."""
    if kind == "text":
        filler = [" ".join(random.choice(["a", "the", "of", "sky"], random.integers(1, 6))) for _ in labels]
        return [f"{words} {WORDS[label]} {words[::-1]}" for words, label in zip(filler, labels, strict=True)]
    lengths = random.integers(20, 30, len(labels))
    if kind == "series":
        steps = [np.arange(length)[:, None] for length in lengths]
        return [
            (np.hstack([np.sin(t * (label + 1)), 0 * t]) + 0.1 * random.normal(size=(len(t), 2))).astype(np.float32)
            for t, label in zip(steps, labels, strict=True)
        ]
    if kind == "audio":
        times = [np.arange(20 * length) / RATE_HZ for length in lengths]
        return [
            np.sin(2 * np.pi * 200 * (label + 1) * t).astype(np.float32) for t, label in zip(times, labels, strict=True)
        ]
    pictures = random.integers(0, 60, (len(labels), 1, 6, 6)).astype(np.uint8)
    for picture, label in zip(pictures, labels, strict=True):
        picture[0, 2 * label : 2 * label + 2] += 150
    return list(pictures)


def part(kind: SourceKind, count: int, seed: int, many: bool = False) -> LabelledPart:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    result = [(WORDS[label], *(["warm"] if label == 0 else [])) if many else (WORDS[label],) for label in labels]
    places = [f"part {seed}:{row}" for row in range(count)]
    return LabelledPart(kind, many, sources(kind, labels, random), [tuple(sorted(names)) for names in result], places)


def data(kind: SourceKind = "text", count: int = 120, many: bool = False) -> LabelledCorpus:
    parts = part(kind, count, 0, many), part(kind, 30, 1, many), part(kind, 30, 2, many)
    classes = tuple(sorted({*WORDS, *(["warm"] if many else [])}))
    return LabelledCorpus(f"{kind}s", *parts, hashlib.sha256(kind.encode()).hexdigest(), classes=classes)


def run(arch: str = "gru", d_model: int = 16, **changes: Any) -> ClassificationRun:
    preset = ClassificationRun.preset(arch)
    model: Any = preset.settings.model.resized(d_model)
    if hasattr(model, "heads"):
        model = replace(model, heads=2, layers=1, dropout=0.0)
    own = {
        "text": TextConfig(min_count=1),
        "series": SeriesConfig(),
        "sound": SoundConfig(rate_hz=RATE_HZ, mels=8, stride=2, augment=None),
        "batch_size": 16,
    }
    return preset.changed(**{"model": model, **own, **changes})


def untrained(kind: SourceKind = "text", arch: str = "gru", many: bool = False, **changes: Any) -> ClassificationTask:
    return ClassificationTask.build(data(kind, many=many), run(arch, **changes))
