"""Which task data is for, where it is plain from the data itself; without an import of torch."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sightline.core.errors import SightlineError
from sightline.data.labelled.table import MEDIA, SourceKind
from sightline.data.rows.formats import FORMATS, open_rows, suffix_of
from sightline.data.rows.header import first_row_names
from sightline.data.rows.index import index_columns
from sightline.data.rows.numbers import is_number
from sightline.data.series.table import TIME_NAMES
from sightline.tasks.defaults import BUILTIN_TASKS

logger = logging.getLogger("sightline")

DEFAULT = "translation"
_SAMPLED_ROWS = 20
_SAMPLED_FILES = 1000
_TEXT_SUFFIXES = (".txt", ".text", ".md", "")
_TEXTS = ("text", "sentence", "document", "content", "review")
_LABELS = ("label", "labels", "class", "category", "sentiment")
_OF_MEDIA: dict[SourceKind, str] = {"audio": "transcription", "image": "captioning"}


class Inferred(NamedTuple):
    """A task, and why: "a table with the columns 'text' and 'label'"."""

    task: str
    reason: str


def task_for(data: str) -> str:
    """The task that data is for: that of built-in data, the one that is plain, else translation; logs why."""
    kind, _, name = data.partition(":")
    if kind == "builtin":
        return BUILTIN_TASKS.get(name.partition("?")[0], DEFAULT)
    inferred = infer(data) if data else None
    if inferred is None:
        return DEFAULT
    logger.warning("%s: %s: the task is %s (--task chooses another)", data, inferred.reason, inferred.task)
    return inferred.task


def infer(data: str) -> Inferred | None:
    """The task of a file or folder, where it is plain and not translation; None where it is not, or cannot be read."""
    path = Path(data)
    try:
        if path.is_dir():
            return _of_folder(path)
        if not path.is_file():
            return Inferred("language", "a pattern of text files") if _is_glob(data) else None
        suffix = suffix_of(path)
        if suffix in FORMATS:
            return _of_table(path)
    except (SightlineError, OSError):
        return None  # reported with its place when the data is read
    return Inferred("language", "one text file") if suffix in _TEXT_SUFFIXES else None


def _is_glob(data: str) -> bool:
    return not set("*?[").isdisjoint(data) and "," not in data


def _of_folder(folder: Path) -> Inferred | None:
    inside = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    folders = [entry for entry in inside if entry.is_dir()]
    if len(folders) > 1 and len(folders) == len(inside):
        suffixes = {file.suffix.lower() for one in folders for file in islice(one.iterdir(), 5) if file.is_file()}
        kinds = {MEDIA.get(suffix, "text" if suffix == ".txt" else None) for suffix in suffixes}
        names = {"text": "texts", "audio": "sounds", "image": "pictures", "series": "series"}
        if len(kinds) == 1 and None not in kinds:
            return Inferred("classification", f"a folder of {names[str(*kinds)]} for each class")
    files = [*islice(_files(folder), _SAMPLED_FILES)]
    if files and not any(suffix_of(file) in FORMATS or file.suffix.lower() in MEDIA for file in files):
        return Inferred("language", "a folder of text files")
    return None


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _of_table(path: Path) -> Inferred | None:
    rows = open_rows(path)
    records = [record.cells for record in islice(rows.records(), _SAMPLED_ROWS) if not record.problem]
    if not records:
        return None
    columns = {name.lower(): name for name in records[0]}
    if {"source", "target"} <= columns.keys():
        return _of_media(columns["source"], [str(cells.get(columns["source"])) for cells in records])
    label = next((columns[name] for name in _LABELS if name in columns), None)
    texts = [columns[name] for name in _TEXTS if name in columns]
    if label is not None and texts:
        return Inferred("classification", f"a table with the columns {texts[0]!r} and {label!r}")
    index = index_columns(rows)
    others = [name for name in records[0] if name not in index]
    numeric = [name for name in others if all(is_number(cells.get(name)) for cells in records if cells.get(name))]
    if label is not None and len([name for name in numeric if name != label]) > 1:
        return Inferred("classification", f"a table with numbers and the column {label!r}")
    times = [name for name in others if name.lower() in TIME_NAMES or isinstance(records[0][name], date)]
    measured = [name for name in numeric if name not in times]
    if times and measured and len(others) - len({*times[:1], *numeric}) <= 1 and first_row_names(rows):
        return Inferred("forecasting", f"a table with the column of times {times[0]!r} and numbers")
    if len(columns) == 1 and texts:
        return Inferred("language", f"a table with the column {texts[0]!r}")
    return None


def _of_media(source: str, cells: list[str]) -> Inferred | None:
    kinds = {MEDIA.get(Path(cell).suffix.lower()) for cell in cells}
    kind = kinds.pop() if len(kinds) == 1 else None
    return Inferred(_OF_MEDIA[kind], f"the column {source!r} names {kind} files") if kind in _OF_MEDIA else None
