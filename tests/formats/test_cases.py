"""Every file that a real tool wrote is read as the tool's user means it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sightline.data.series.corpus import load_panel
from sightline.tasks.table import TASKS
from tests.formats.cases import FILES, Case, all_cases, versions

CASES = all_cases()


def shape_or_text(source: Any) -> Any:
    return source if isinstance(source, str) else tuple(np.shape(source))


def series_items(run: Any) -> list[Any]:
    panel = load_panel(run.corpus.data, run.corpus.columns, run.corpus.rules)
    return [(record.name, panel.grid.text(record.start), record.values.tolist()) for record in panel.records]


def media_items(run: Any) -> list[Any]:
    part = run.read()
    columns = [column.texts or [column.shape(row) for row in range(len(part))] for column in part.columns]
    return list(zip(zip(*columns, strict=True), part.targets, strict=True))


ITEMS: dict[str, Callable[[Any], list[Any]]] = {
    "translation": lambda run: list(zip(*run.read().sides, strict=True)),
    "classification": lambda run: [
        (shape_or_text(source), label) for source, label in zip(run.read().sources, run.read().labels, strict=True)
    ],
    "language": lambda run: [
        text.decode() for part in [run.read()] for block in range(len(part.blocks)) for text in part.read(block)
    ],
    "forecasting": series_items,
    **dict.fromkeys(("transcription", "captioning", "answering"), media_items),
}


def run_of(case: Case) -> Any:
    folder = FILES / case.tool
    keys = {key: str(folder / value[1:]) if str(value)[:1] == "@" else value for key, value in case.keys.items()}
    return (
        TASKS[case.task]
        .preset("gru")
        .changed(data=",".join(str(folder / file) for file in case.file.split(",")), **keys)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_items(case: Case) -> None:
    assert ITEMS[case.task](run_of(case)) == case.items


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_notes(case: Case) -> None:
    """What was read otherwise than its plain text is said."""
    notes = run_of(case).load().notes if case.notes else ()
    assert [part for part in case.notes if not any(part in note for note in notes)] == []


def test_every_file_is_read() -> None:
    written = {path.parent.relative_to(FILES).parts[0] for path in FILES.glob("*/*")}
    assert written == {case.tool for case in CASES} == set(versions())
