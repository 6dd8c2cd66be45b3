"""The default task of data and the default architectures of a comparison, without an import of torch."""

from __future__ import annotations

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
