"""Which columns of a table make the source, and of which kind it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple, final

import numpy as np

from sightline.data.labelled.columns import UNKNOWN, LabelledColumns
from sightline.data.labelled.gaps import Missing, filled
from sightline.data.media import audio, images
from sightline.data.media.files import Suffixes, file_of, is_content, real_kind
from sightline.data.media.manifest import NEMO
from sightline.data.rows.json_lines import JsonNumber
from sightline.data.rows.numbers import is_number, is_series, joined, number_of, series_of
from sightline.data.rows.record import Record

SourceKind = Literal["text", "series", "audio", "image"]
TEXT_COLUMNS = ("text", "source")
_KINDS: tuple[tuple[SourceKind, Suffixes], ...] = (("audio", audio.SUFFIXES), ("image", images.SUFFIXES))
MEDIA = {suffix: kind for kind, suffixes in _KINDS for suffix in suffixes}


@final
class Choice(NamedTuple):
    """The columns that make the source, and how.

    lists: of a series whether the cells are lists and not numbers
    """

    kind: SourceKind
    columns: tuple[str, ...]
    lists: bool = False

    def series(self, record: Record, missing: Missing) -> np.ndarray:
        """The series (T, C) of a row."""
        values = [record.cell(name) for name in self.columns]
        if self.lists:
            cells = zip(values, map(repr, self.columns), strict=True)
            return joined([series_of(filled(v, missing, name), name) for v, name in cells], self.columns)
        if missing != "refuse":
            return series_of(filled(values, missing, "the series"), "the series")
        numbers = [number_of(value, repr(name)) for value, name in zip(values, self.columns, strict=True)]
        return np.array(numbers, np.float32)[:, None]


def choose(
    record: Record,
    kind: SourceKind | Literal["auto"],
    named: str | None,
    others: set[str | None],
    trained: LabelledColumns = UNKNOWN,
) -> Choice:
    """The columns and the kind of all records, from the first one.

    named: the columns that the user names, as `named_columns` takes them
    others: columns that are no source
    trained: the columns of the training table, which come first

    Raises:
        ValueError: "no column 'text' or 'source', and 'x3' is 'abc', not a number: …", and other records without one;
            "no column 'x3', …".
    """
    columns = trained.sources_in(record.cells, others)
    for name in columns:
        record.cell(name)
    columns = columns or (named_columns(record, named) if named else ())
    if overlap := others & set(columns):
        raise ValueError(f"the column {min(map(str, overlap))!r} cannot be source and label at once")
    free = [name for name in record.cells if name not in others]
    if not columns:
        likely = [name for name in (*TEXT_COLUMNS, NEMO) if name in free] or [
            n for n in free if is_content(record.cells[n])
        ]
        columns = (likely[0],) if likely else tuple(free)
        if not columns:
            raise ValueError("no column besides the labels: expected 'text', 'source' or numbers")
    values = [record.cells[name] for name in columns]
    lists = all(map(is_series, values))
    numbers = all(map(is_number, values)) and (len(values) > 1 or not _is_text(values[0]))
    if kind == "series" or (kind == "auto" and (lists or numbers)):
        return Choice("series", columns, lists)
    if len(columns) > 1:
        strange = next((name for name in columns if not is_number(record.cells[name])), columns[0])
        raise ValueError(
            f"no column 'text' or 'source', and {strange!r} is {str(record.cells[strange])[:40]!r}, not a number: "
            "set the column of the source (--source-column), or the numeric columns as x1,x2 or x1:x96"
        )
    return Choice(kind_of(values[0]) if kind == "auto" else kind, columns)


def kind_of(value: Any) -> SourceKind:
    """The kind of a file in a cell, by its name or its content; of other texts "text"."""
    if is_content(value):
        file = file_of(value, "the source", Path())
        known = MEDIA.get(file.path.suffix.lower())
        ending = "." + real_kind((file.content or b"")[:256]).rpartition("end in .")[2]
        return known or MEDIA.get(ending, "image")
    return MEDIA.get(Path(value).suffix.lower() if _is_text(value) else "", "text")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, JsonNumber)


def named_columns(record: Record, names: str) -> tuple[str, ...]:
    """The columns that `a`, `a,b` or `a:d` names; a column with exactly that name comes first."""
    order = list(record.cells)
    columns: list[str] = []
    for name in [names] if names in record.cells else names.split(","):
        first, colon, last = name.partition(":")
        if name in record.cells or not colon:
            record.cell(name)
            columns.append(name)
            continue
        record.cell(first)
        record.cell(last)
        chosen = order[order.index(first) : order.index(last) + 1]
        if not chosen:
            raise ValueError(f"column range {f'{first}:{last}'!r} is reversed")
        columns += chosen
    if len(set(columns)) < len(columns):
        raise ValueError(f"a column is named twice in {names!r}")
    return tuple(columns)
