"""A summary of data before training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sightline.data.survey import Survey
from sightline.tasks.data_paths import data_paths
from sightline.tasks.recipe import resolve_run
from sightline.tasks.table import task_class


def describe(
    data: Any,
    task: str | None = None,
    *,
    valid: Any = None,
    test: Any = None,
    settings: Mapping[str, Any] | None = None,
    **keys: Any,
) -> Survey:
    """How data is read and divided, and what looks wrong in it; the arguments are those of `fit`.

    Raises:
        InputError: whatever is wrong with the data, as `fit` raises it.
    """
    pair = None if task is None else task_class(task, where="task").pair
    with data_paths(None, pair, data=data, valid=valid, test=test) as stored:
        named = {"task": task} if task else {}
        run = stored.beside(
            resolve_run(file=None, environ={}, flags={**named, **(settings or {}), **keys, **stored.paths})
        )
        survey = task_class(run.task).survey(run)
        findings = [
            one._replace(
                file=stored.named(one.file),
                lines=[stored.named(line) if isinstance(line, str) else line for line in one.lines],
            )
            for one in survey.findings
        ]
        notes = [stored.named(note) for note in survey.notes]
        return replace(survey, data=stored.named(survey.data), findings=findings, notes=notes)
