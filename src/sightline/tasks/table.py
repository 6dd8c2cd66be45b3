"""The table of tasks. A new one is a class in a file of its own and one line here."""

from __future__ import annotations

from typing import Any

from sightline.core.config import nearest
from sightline.core.errors import InputError
from sightline.tasks.classification.task import ClassificationTask
from sightline.tasks.forecasting.task import ForecastingTask
from sightline.tasks.language.task import LanguageTask
from sightline.tasks.media.answering import AnsweringTask
from sightline.tasks.media.captioning import CaptioningTask
from sightline.tasks.media.transcription import TranscriptionTask
from sightline.tasks.task import Task
from sightline.tasks.translation.task import TranslationTask

TASKS: dict[str, type[Task[Any, Any, Any]]] = {
    TranslationTask.name: TranslationTask,
    TranscriptionTask.name: TranscriptionTask,
    CaptioningTask.name: CaptioningTask,
    AnsweringTask.name: AnsweringTask,
    ClassificationTask.name: ClassificationTask,
    ForecastingTask.name: ForecastingTask,
    LanguageTask.name: LanguageTask,
}


def task_class(name: str, *, where: str = "--task") -> type[Task[Any, Any, Any]]:
    """The task of that name.

    Raises:
        InputError: "--task: unknown task 'translations', did you mean 'translation'?"
    """
    if name in TASKS:
        return TASKS[name]
    near = nearest(name, TASKS)
    hint = f"did you mean {near!r}?" if near else f"known: {', '.join(TASKS)}"
    raise InputError(f"unknown task {name[:80]!r}, {hint}", where=where)
