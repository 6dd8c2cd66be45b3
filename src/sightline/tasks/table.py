"""The table of jobs. A new one is a class in a file of its own and one line here."""

from __future__ import annotations

from typing import Any

from sightline.tasks.language import LanguageTask
from sightline.tasks.task import Task
from sightline.tasks.translation import TranslationTask

TASKS: dict[str, type[Task[Any, Any, Any]]] = {
    TranslationTask.name: TranslationTask,
    LanguageTask.name: LanguageTask,
}

# What built-in data is for, where --task does not say.
BUILTIN_TASKS = {"dates": TranslationTask.name, "stdlib": LanguageTask.name}
