"""A task small enough to train in a test: spell a number of up to three digits in letters."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

from sightline.data.pairs.corpus import PairCorpus, Pairs
from sightline.tasks.translation.config import TranslationConfig
from sightline.tasks.translation.task import TranslationTask

LETTERS = dict(zip("0123456789", "abcdefghij", strict=True))


def pairs(numbers) -> Pairs:
    sources = [str(number) for number in numbers]
    return Pairs(sources, ["".join(LETTERS[digit] for digit in source) for source in sources])


def corpus() -> PairCorpus:
    numbers = random.Random(0).sample(range(1000), 1000)
    parts = pairs(numbers[:800]), pairs(numbers[800:900]), pairs(numbers[900:])
    return PairCorpus("numbers", *parts, hashlib.sha256(b"numbers").hexdigest())


def config(arch: str, d_model: int = 16, **changes) -> TranslationConfig:
    preset = TranslationConfig.preset(arch, **changes)
    model = preset.model.resized(d_model)
    if hasattr(model, "heads"):
        model = replace(model, heads=2, layers=1)
    return replace(preset, model=model)


def untrained(arch: str = "gru", *, seed: int = 0, **changes) -> TranslationTask:
    return TranslationTask.create(corpus(), config(arch, **changes), seed=seed)
