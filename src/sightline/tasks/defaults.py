"""The default task of data, the default architectures of trainings and comparisons, without an import of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

# The task that built-in data is for.
BUILTIN_TASKS = {
    "dates": "translation",
    "digits": "classification",
    "parity": "classification",
    "modular": "classification",
    "recall": "classification",
    "seasonal": "forecasting",
    "ar": "forecasting",
    "stdlib": "language",
}

# The architectures that a comparison takes, by task.
COMPARED = {"translation": ("rnn", "lstm", "gru", "bahdanau", "transformer")}
ELSE_COMPARED = ("lstm", "gru", "linear", "transformer")


def compared(task: str) -> tuple[str, ...]:
    """The architectures to compare on a task where none are named."""
    return COMPARED.get(task, ELSE_COMPARED)


class DefaultArch(NamedTuple):
    """The architecture of a training that names none, for fewer training items than `below`; None = any number."""

    below: int | None
    arch: str
    reason: str


# By task and, where the data has several kinds, by kind; rows of ascending `below`, None last. What a row prefers needs
# a measurement in docs/results.md or docs/defaults.md.
TRAINED = {
    "translation": (DefaultArch(None, "transformer", "the highest BLEU on Multi30k (docs/results.md)"),),
    "classification of series": (
        DefaultArch(None, "gru", "the highest accuracy on labelled series of the study of defaults (docs/defaults.md)"),
    ),
    "forecasting": (
        DefaultArch(None, "dlinear", "the lowest error on series of the study of defaults (docs/defaults.md)"),
    ),
    "language": (DefaultArch(None, "lstm", "the fewest bits per byte of the study of defaults (docs/defaults.md)"),),
}
ELSE_TRAINED = (DefaultArch(None, "transformer", "the study of defaults confirms no other one (docs/defaults.md)"),)


def default_arch(task: str, kind: str, count: Callable[[], int]) -> DefaultArch:
    """The architecture of a training that names none, and why; `count` gives the training items where they decide."""
    *by_size, last = TRAINED.get(f"{task} of {kind}", TRAINED.get(task, ELSE_TRAINED))
    items = count() if by_size else 0
    return next((row for row in by_size if row.below is not None and items < row.below), last)


# A command line to begin with, by task.
EXAMPLES = {
    "translation": "sightline train --data pairs.csv --arch bahdanau --budget 5min",
    "transcription": "sightline train --data clips.csv --task transcription --sound.rate-hz 8000",
    "captioning": "sightline train --data images.csv --task captioning --picture.fit pad --budget 5min",
    "answering": "sightline train --data questions.csv --task answering --sources image:image,question:text",
    "classification": "sightline train --data reviews.csv --label-column sentiment --class-weights balanced",
    "forecasting": "sightline train --data load.csv --lookback 96 --horizon 24 --loss quantile",
    "language": "sightline train --data 'src/**/*.py' --arch transformer --tokenizer.kind bpe --budget 10min",
}
