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
