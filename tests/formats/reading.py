"""Files read by task, as plain items that can be compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sightline.data.series.corpus import load_panel
from sightline.tasks.table import TASKS
from tests.formats.cases import Case


def run_of(case: Case, folder: Path) -> Any:
    """The configuration that reads a case whose files are in a folder."""
    keys = {key: str(folder / value[1:]) if str(value)[:1] == "@" else value for key, value in case.keys.items()}
    data = ",".join(str(folder / file) for file in case.file.split(","))
    return TASKS[case.task].preset("gru").changed(data=data, **keys)


def _shape_or_text(source: Any) -> Any:
    return source if isinstance(source, str) else tuple(np.shape(source))


def _pairs(run: Any) -> list[Any]:
    return list(zip(*run.read().sides, strict=True))


def _labelled(run: Any) -> list[Any]:
    part = run.read()
    return [(_shape_or_text(source), label) for source, label in zip(part.sources, part.labels, strict=True)]


def _texts(run: Any) -> list[Any]:
    return list(run.read().texts())


def _series(run: Any) -> list[Any]:
    panel = load_panel(run.corpus.data, run.corpus.columns, run.corpus.rules)
    return [(record.name, panel.grid.text(record.start), record.values.tolist()) for record in panel.records]


def _media(run: Any) -> list[Any]:
    part = run.read()
    columns = [column.texts or [column.shape(row) for row in range(len(part))] for column in part.columns]
    return list(zip(zip(*columns, strict=True), part.targets, strict=True))


ITEMS: dict[str, Callable[[Any], list[Any]]] = {
    "translation": _pairs,
    "classification": _labelled,
    "language": _texts,
    "forecasting": _series,
    **dict.fromkeys(("transcription", "captioning", "answering"), _media),
}
