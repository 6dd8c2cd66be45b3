"""Which task data is for, where it is plain from the data itself; without an import of torch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from sightline.core.errors import SightlineError
from sightline.data.builtin import parse_name
from sightline.data.labelled.choice import kind_of
from sightline.data.labelled.sequences import SUFFIX as SERIES_SUFFIX
from sightline.data.labelled.sequences import label_first
from sightline.data.labelled.table import LABELS, MEDIA, SourceKind, label_columns
from sightline.data.media.manifest import ALIASES
from sightline.data.rows.files import read_lines
from sightline.data.rows.formats import FORMATS, open_rows, suffix_of
from sightline.data.rows.header import first_row_names
from sightline.data.rows.index import index_columns
from sightline.data.rows.numbers import is_number, is_series
from sightline.data.series.roles import likely_times
from sightline.data.series.table import SERIES_FORMS
from sightline.data.series.times import is_time
from sightline.data.series.whole import WHOLE
from sightline.tasks.defaults import BUILTIN_TASKS

logger = logging.getLogger("sightline")

DEFAULT = "translation"
_SAMPLED_ROWS = 20
_SAMPLED_FILES = 1000
_TEXT_SUFFIXES = (".txt", ".text", ".md", "")
_TEXTS = ("text", "sentence", "document", "content", "review")
_OF_MEDIA: dict[SourceKind, str] = {"audio": "transcription", "image": "captioning"}
_OF_SUFFIX = {
    ".tsf": ("forecasting", "a file of the Monash archive of series"),
    ".tmx": ("translation", "a translation memory"),
    ".xliff": ("translation", "a file of translations"),
    ".xlf": ("translation", "a file of translations"),
    ".conllu": ("language", "a file of sentences with their words"),
}


class Inferred(NamedTuple):
    """A task, and why: "a table with the columns 'text' and 'label'"."""

    task: str
    reason: str


def task_for(data: str) -> str:
    """The task that data is for: that of built-in data, the one that is plain, else translation; logs why.

    Raises:
        InputError: "builtin: unknown built-in data 'digit', did you mean 'digits'?"
    """
    if data.startswith("builtin:"):
        return BUILTIN_TASKS[parse_name(data, BUILTIN_TASKS)[0]]
    inferred = infer(data) if data else None
    if inferred is None:
        return DEFAULT
    logger.warning("%s: %s: the task is %s (--task chooses another)", data, inferred.reason, inferred.task)
    return inferred.task


def infer(data: str) -> Inferred | None:
    """The task of a file or folder, where it is plain; None where it is not, such as for a table of two texts, or where
    the file cannot be read.
    """
    path = Path(data)
    try:
        if path.is_dir():
            return _of_folder(path)
        if not path.is_file():
            pattern = not set("*?[").isdisjoint(data) and "," not in data
            return Inferred("language", "a pattern of text files") if pattern else None
        suffix = suffix_of(path)
        if suffix in _OF_SUFFIX:
            return Inferred(*_OF_SUFFIX[suffix])
        if suffix == SERIES_SUFFIX:  # TypeScript has the same suffix
            lines = (line.text.strip().lower() for line in islice(read_lines(path), _SAMPLED_FILES))
            plain = any(line.startswith(("@data", "@classlabel")) for line in lines)
            return Inferred("classification", "a file of labelled series") if plain else None
        if suffix in FORMATS:
            return _of_table(path)
    except (SightlineError, OSError, ValueError):
        return None  # reported with its place when the data is read
    return Inferred("language", "one text file") if suffix in _TEXT_SUFFIXES else None


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
    suffix = suffix_of(path)
    if suffix in WHOLE and "start" in records[0] and is_series(records[0].get("target")):
        return Inferred("forecasting", "rows with 'start' and a list 'target', as GluonTS writes series")
    columns = {name.lower(): name for name in records[0]}
    if label_first(rows):
        return Inferred("classification", "rows of numbers without a header: a label and a series")
    label = next((columns[name] for name in LABELS if name in columns), None)
    texts = [columns[name] for name in _TEXTS if name in columns]
    source = next((columns[name] for name in ("source", *ALIASES["source"]) if name in columns), None)
    kinds = {kind_of(record.get(source)) for record in records} if source else set()
    kind = kinds.pop() if len(kinds) == 1 else None
    target = next((columns[name] for name in ("target", *ALIASES["target"]) if name in columns), None)
    if kind in _OF_MEDIA and (label is None or not texts):
        if target is not None:
            return Inferred(_OF_MEDIA[kind], f"the column {source!r} is of {kind} files, {target!r} has their texts")
        if label is not None:
            return Inferred("classification", f"the column {source!r} is of {kind} files, {label!r} their labels")
    if {"source", "target"} <= columns.keys():
        return None
    if label is not None and texts:
        return Inferred("classification", f"a table with the columns {texts[0]!r} and {label!r}")
    index = index_columns(rows)
    others = [name for name in records[0] if name not in index]
    numeric = [name for name in others if _all(records, name, is_number)]
    if label is not None and len([name for name in numeric if name != label]) > 1:
        return Inferred("classification", f"a table with numbers and the column {label!r}")
    lists = [name for name in others if name != label and _all(records, name, is_series)]
    if label is not None and lists:
        return Inferred("classification", f"rows with the series {lists[0]!r} and the label {label!r}")
    if FORMATS[suffix].form in SERIES_FORMS and not any(is_number(name) or is_time(name) for name in rows.columns):
        times = likely_times({name: _filled(records, name) for name in others})
        measured = [name for name in numeric if name not in times]
        if times and measured and len(others) - len({*times[:1], *numeric}) <= 1:
            return Inferred("forecasting", f"a table with the column of times {times[0]!r} and numbers")
    if label is None and kind not in _OF_MEDIA and (rows.without_header() is rows or first_row_names(rows)):
        for name in label_columns(rows):
            sources = "numbers" if numeric else "texts"
            return Inferred("classification", f"{sources} and the column {name!r}, which repeats a few values")
    if len(columns) == 1 and texts:
        return Inferred("language", f"a table with the column {texts[0]!r}")
    return None


def _all(records: Sequence[Mapping[str, Any]], name: str, fits: Callable[[Any], bool]) -> bool:
    """Whether all cells of a column that are not empty are of a kind, and some are."""
    cells = _filled(records, name)
    return bool(cells) and all(map(fits, cells))


def _filled(records: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    return [cell for cell in (record.get(name) for record in records) if cell not in (None, "")]
