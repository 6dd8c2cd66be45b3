"""Sources with labels, of one file or one folder: texts, series, sounds, pictures.

A table (see `data.rows`) has a column of labels, and as source

- text: the column `text` or `source`;
- a series of one channel: numeric columns, a step each, in their order; or a column of lists of numbers;
- a series of several channels: a list of lists, a step each; or several columns of lists;
- sound or pictures: a column of paths, relative to the table.

A folder has a folder for each class, and in it files of one kind: `.txt` (a file is a text), sounds or pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, final

import numpy as np

from sightline.core.errors import EnvironmentFault, InputError
from sightline.data.labelled.labels import Labels, labels_of
from sightline.data.media import audio, images
from sightline.data.media.columns import AudioReader, FileReader, ImageReader
from sightline.data.rows.files import read_lines
from sightline.data.rows.formats import open_rows
from sightline.data.rows.json_lines import JsonNumber
from sightline.data.rows.numbers import is_number, is_series, joined, number_of, series_of
from sightline.data.rows.record import Record, Refusals
from sightline.data.rows.texts import text_of
from sightline.data.split import by_column

SourceKind = Literal["text", "series", "audio", "image"]
LabelledSource = str | np.ndarray
TEXT_COLUMNS = ("text", "source")
MEDIA: dict[str, SourceKind] = {}
for _suffix in audio.SUFFIXES:
    MEDIA[_suffix] = "audio"
for _suffix in images.SUFFIXES:
    MEDIA[_suffix] = "image"
MAX_HELD_BYTES = 4 << 30  # of decoded sounds and pictures, which stay in memory


@final
@dataclass(frozen=True)
class Reading:
    """Options for reading a table or folder.

    kind: of the sources; "auto" derives it from the columns and from the names of files
    source_column: one name, several comma-separated ones, or a range such as `x1:x96` of the columns' order
    label_separator: the text between the labels of an item that may have any number of them
    split_column: the column that says which part a row belongs to: train, valid (validation, val, dev) or test
    lowercase: of texts
    """

    kind: Literal["auto", "text", "series", "audio", "image"] = "auto"
    source_column: str | None = None
    label_column: str = "label"
    label_separator: str | None = None
    split_column: str | None = None
    lowercase: bool = False
    skip_bad: bool = False
    audio: audio.AudioOptions = field(default_factory=audio.AudioOptions)
    image: images.ImageOptions = field(default_factory=images.ImageOptions)


@final
@dataclass
class LabelledTable(Refusals):
    """Sources and their labels in step, the place of each, and the rows that were skipped.

    parts: the part of each row, where a column names it
    remarks: for the user, on how the data was read
    many: whether an item may have any number of labels
    """

    kind: SourceKind
    many: bool = False
    sources: list[LabelledSource] = field(default_factory=list)
    labels: list[Labels] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Lines on how the data was read, and on the rows that were skipped."""
        return [f"{self.name}: {remark}" for remark in self.remarks] + super().notes()


def read_labelled(path: Path, reading: Reading) -> LabelledTable:
    """The labelled sources of a table or a folder.

    Raises:
        InputError: "a.csv:17: 'x3' is nan: numbers must be finite", "a.csv:17: photos/7.png: no such file", "a.csv:2:
            no column 'label', did you mean 'lable'?", and other problems, with file and line.
    """
    items = _Items(path, reading)
    if path.is_dir():
        for kind, file, label in _files(path, reading):
            items.table.kind = kind
            items.take(str(file), partial(items.media, file), (label,))
    else:
        _read_table(path, reading, items)
    items.table.check_some(items.table.sources)
    items.table.remarks += [note for reader in items.readers.values() for note in reader.notes()]
    return items.table


@final
class _Items:
    """Gathers items into a table; the first source decides the kind and shape of all."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.reading = reading
        self.table = LabelledTable(str(path), "text", skip_bad=reading.skip_bad)
        self.readers: dict[str, FileReader] = {"audio": AudioReader(reading.audio), "image": ImageReader(reading.image)}
        self._bytes = 0

    def take(self, place: str, read: Callable[[], LabelledSource], labels: Labels, part: str | None = None) -> None:
        """Add one item, unless its source cannot be read or is not like those before it."""
        table = self.table
        try:
            source = read()
            self._check_alike(source)
        except ValueError as error:
            table.refuse(error, place)
            return
        if isinstance(source, np.ndarray):
            self._bytes += source.nbytes
            if self._bytes > MAX_HELD_BYTES:
                limit = f"{MAX_HELD_BYTES >> 30} GiB of memory"
                raise InputError(
                    f"the sources up to here take more than {limit}: use fewer or smaller ones", where=place
                )
        table.sources.append(source)
        table.labels.append(labels)
        table.places.append(place)
        if part is not None:
            table.parts.append(part)

    def text(self, value: Any, what: str) -> str:
        """The text, in lower case if the options say so."""
        text = text_of(value, what)
        return text.lower() if self.reading.lowercase else text

    def media(self, file: Path) -> LabelledSource:
        """The content of a file, by its suffix."""
        reader = self.readers.get(MEDIA.get(file.suffix.lower(), "text"))
        return self.text(_text_file(file), "the text") if reader is None else reader(file)

    def _check_alike(self, source: LabelledSource) -> None:
        if not self.table.sources or isinstance(source, str):
            return
        first = self.table.sources[0]
        if isinstance(first, str):
            return
        if self.table.kind == "series" and source.shape[1] != first.shape[1]:
            raise ValueError(f"the series has {source.shape[1]} channels, the first one has {first.shape[1]}")
        if self.table.kind == "image" and source.shape != first.shape:
            sizes = [" x ".join(map(str, shape)) for shape in (source.shape, first.shape)]
            raise ValueError(f"the picture has {sizes[0]} channels and pixels, the first one has {sizes[1]}: set size")


def _text_file(file: Path) -> str:
    lines = []
    for line in read_lines(file):
        if line.error:
            raise InputError(line.error, where=f"{file}:{line.number}")
        lines.append(line.text)
    return "\n".join(lines)


def _files(root: Path, reading: Reading) -> Iterator[tuple[SourceKind, Path, str]]:
    """(kind, file, class) of the files of a folder of folders, in order of their names."""
    folders = _entries(root)
    if not folders:
        raise InputError("is an empty folder; expected a folder for each class", where=root)
    kind: SourceKind | None = None
    first = root
    for folder in folders:
        if not folder.is_dir():
            raise InputError("unexpected file next to the class folders", where=folder)
        files = _entries(folder)
        if not files:
            raise InputError("is an empty folder; expected the files of a class", where=folder)
        (label,) = labels_of(folder.name)
        for file in files:
            if file.is_dir():
                raise InputError(
                    f"is a folder inside the class {label!r}: expected files; where the parts are folders, name each, "
                    f"such as {root / 'train'} and as test {root / 'test'}",
                    where=file,
                )
            own = _kind_of(file, reading)
            kind, first = kind or own, file if kind is None else first
            if own != kind:
                raise InputError(f"is {own}, but {first} is {kind}: expected one kind of file", where=file)
            yield kind, file, label


def _entries(folder: Path) -> list[Path]:
    """The content of a folder in order of name, hidden files apart."""
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise EnvironmentFault(f"{folder}: cannot be read: {error.strerror or error}") from None


def _kind_of(file: Path, reading: Reading) -> SourceKind:
    """The kind of a file, by its suffix."""
    kinds: dict[str, SourceKind] = {".txt": "text", **MEDIA}
    known = {suffix: kind for suffix, kind in kinds.items() if reading.kind in ("auto", kind)}
    if file.suffix.lower() not in known:
        raise InputError(f"unknown kind of file {file.suffix!r}: expected {', '.join(known)}", where=file)
    return known[file.suffix.lower()]


class _Selection(NamedTuple):
    """Which columns make the source, and how."""

    kind: SourceKind
    columns: tuple[str, ...]
    lists: bool = False  # of a series: the cells are lists and not numbers


def _read_table(path: Path, reading: Reading, items: _Items) -> None:
    table = items.table
    rows = open_rows(path)
    if len(set(rows.columns)) < len(rows.columns):
        for name in rows.columns:
            rows.column(name)
    selection: _Selection | None = None
    for record in rows.records():
        place = f"{path}:{record.line}"
        if record.problem:
            table.refuse(record.problem, place)
            continue
        try:
            if selection is None:
                selection = _select(record, reading)
                table.kind = selection.kind
                value = record.cell(reading.label_column)
                table.many = reading.label_separator is not None or isinstance(value, list)
            labels = labels_of(record.cell(reading.label_column), reading.label_separator)
            if not table.many and len(labels) != 1:
                raise ValueError("a list of labels, but the first row has a single one")
            part = (
                None
                if reading.split_column is None
                else by_column(record.cell(reading.split_column), reading.split_column)
            )
        except ValueError as error:
            if selection is None:  # nothing of the table can be read
                raise InputError(str(error), where=place) from None
            table.refuse(error, place)
            continue
        items.take(place, partial(_source, record, selection, path, items), labels, part)


def _select(record: Record, reading: Reading) -> _Selection:
    """The columns and kinds of all records, from the first one; ValueError where it has no source."""
    record.cell(reading.label_column)
    if reading.split_column is not None:
        record.cell(reading.split_column)
    own = {reading.label_column, reading.split_column}
    columns = _named(record, reading.source_column) if reading.source_column else ()
    if overlap := own & set(columns):
        raise ValueError(f"the column {min(map(str, overlap))!r} cannot be source and label at once")
    if not columns:
        texts = [name for name in TEXT_COLUMNS if name in record.cells and name not in own]
        columns = (texts[0],) if texts else tuple(name for name in record.cells if name not in own)
        if not columns:
            raise ValueError("no column besides the labels: expected 'text', 'source' or numbers")
    values = [record.cells[name] for name in columns]
    lists = all(map(is_series, values))
    numbers = all(map(is_number, values)) and (len(values) > 1 or not _is_text(values[0]))
    if reading.kind == "series" or (reading.kind == "auto" and (lists or numbers)):
        return _Selection("series", columns, lists)
    if len(columns) > 1:
        strange = next((name for name in columns if not is_number(record.cells[name])), columns[0])
        raise ValueError(
            f"no column 'text' or 'source', and {strange!r} is {str(record.cells[strange])[:40]!r}, not a number: "
            "name the column of the source, or the numeric columns as x1,x2 or x1:x96"
        )
    if reading.kind != "auto":
        return _Selection(reading.kind, columns)
    suffix = Path(values[0]).suffix.lower() if _is_text(values[0]) else ""
    return _Selection(MEDIA.get(suffix, "text"), columns)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, JsonNumber)


def _named(record: Record, names: str) -> tuple[str, ...]:
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


def _source(record: Record, selection: _Selection, path: Path, items: _Items) -> LabelledSource:
    values = [record.cell(name) for name in selection.columns]
    if selection.kind == "series":
        if selection.lists:
            each = [series_of(v, repr(name)) for v, name in zip(values, selection.columns, strict=True)]
            return joined(each, selection.columns)
        numbers = [number_of(value, repr(name)) for value, name in zip(values, selection.columns, strict=True)]
        return np.array(numbers, np.float32)[:, None]
    what = repr(selection.columns[0])
    if selection.kind == "text":
        return items.text(values[0], what)
    text = text_of(values[0], what)
    if not text.isprintable():
        raise ValueError(f"the path {text[:80]!r} contains characters that cannot be printed")
    file = path.parent / text
    if MEDIA.get(file.suffix.lower()) != selection.kind:
        known = ", ".join(suffix for suffix, kind in MEDIA.items() if kind == selection.kind)
        raise ValueError(f"{text}: unknown kind of file {file.suffix!r}: expected {known}")
    return items.media(file)
