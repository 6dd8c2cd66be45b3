"""Sources with labels, of one file or one folder: texts, series, sounds, pictures.

A table (see `data.rows`) has a column of labels, and as source

- text: the column `text` or `source`;
- a series of one channel: numeric columns, a step each, in their order; or a column of lists of numbers;
- a series of several channels: a list of lists, a step each; or several columns of lists;
- sound or pictures: a column of paths, relative to the table, or of files inside the table.

A folder has a folder for each class, and in it files of one kind: `.txt` (a file is a text), sounds or pictures.
The archives of series have forms of their own: `data.labelled.sequences`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal, final

import numpy as np

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.data.labelled.choice import MEDIA, Choice, SourceKind, choose
from sightline.data.labelled.columns import UNKNOWN, LabelledColumns
from sightline.data.labelled.folder import class_files
from sightline.data.labelled.gaps import Missing
from sightline.data.labelled.hub import class_labels, named
from sightline.data.labelled.labels import TYPES, Labels, LabelType, labels_of, whole_numbers
from sightline.data.labelled.sequences import SUFFIX, LabelFirst, TimeSeriesFile, without_header
from sightline.data.media.audio import AudioOptions
from sightline.data.media.columns import AudioReader, FileReader, ImageReader
from sightline.data.media.files import MediaFile, check_base, file_of
from sightline.data.media.images import ImageOptions, size_flags
from sightline.data.media.manifest import STRETCHES, with_stretch
from sightline.data.rows.files import read_lines
from sightline.data.rows.formats import open_rows, suffix_of
from sightline.data.rows.header import languages, repeated
from sightline.data.rows.index import identity_columns, index_notes
from sightline.data.rows.numbers import is_number, parsed
from sightline.data.rows.record import Record, Refusals, Rows, missing
from sightline.data.rows.text_columns import ROLES
from sightline.data.rows.texts import text_of
from sightline.data.split import by_column

LabelledSource = str | np.ndarray
LABELS = ("label", "labels", "class", "category", "sentiment")  # usual names of the column of labels
_FILES: dict[str, Any] = {".txt": "text", **MEDIA}  # kinds of files in a folder
_SAMPLED_ROWS = 200
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
    base: the folder that paths in a table are relative to; None = the table's own
    missing: values of series are an error, or filled by a straight line between their neighbours
    """

    kind: Literal["auto", "text", "series", "audio", "image"] = "auto"
    source_column: str | None = None
    label_column: str = "label"
    label_separator: str | None = None
    split_column: str | None = None
    lowercase: bool = False
    skip_bad: bool = False
    audio: AudioOptions = field(default_factory=AudioOptions)
    image: ImageOptions = field(default_factory=ImageOptions)
    base: Path | None = None
    missing: Missing = "refuse"


@final
@dataclass
class LabelledTable(Refusals):
    """Sources and their labels in step, the place of each, and the rows that were skipped.

    parts: the part of each row, where a column names it
    by_class: whether all items of a class are together
    columns: those of the table, by which the tables of other parts and of later uses are read
    many: whether an item may have any number of labels
    label_type: of the labels, where the table declares the types of its columns; otherwise text
    remarks: for the user, on how the data was read
    """

    kind: SourceKind
    many: bool = False
    label_type: LabelType = "text"
    sources: list[LabelledSource] = field(default_factory=list)
    labels: list[Labels] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    by_class: bool = False
    columns: LabelledColumns = UNKNOWN
    remarks: list[str] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Lines on how the data was read, and on the rows that were skipped."""
        return [f"{self.name}: {remark}" for remark in self.remarks] + super().notes()


def read_labelled(
    path: Path,
    reading: Reading,
    trained: LabelledColumns = UNKNOWN,
    classes: Collection[str] | None = None,
) -> LabelledTable:
    """The labelled sources of a table or a folder.

    trained: the columns of the training table, which come first
    classes: the names of the training's labels; None: this is the training table

    Raises:
        InputError: "a.csv:17: 'x3' is nan: numbers must be finite", "a.csv:17: photos/7.png: no such file", "a.csv:2:
            no column 'label', did you mean 'lable'?", and other problems, with file and line.
    """
    items = _Items(path, reading)
    table = items.table
    if os.path.isdir(path):  # Path.is_dir raises where a name is too long
        _read_folder(path, reading, items)
    else:
        _read_table(path, reading, items, trained)
    table.check_some(table.sources)
    table.labels, remark = whole_numbers(table.labels, classes)
    table.remarks += [remark] if remark else []
    table.remarks += [note for reader in items.readers.values() for note in reader.notes()]
    table.remarks += [STRETCHES] if items.stretched else []
    return table


def kind_of_sources(path: Path, reading: Reading) -> SourceKind:
    """The kind that `read_labelled` finds, by the first source alone.

    Raises:
        InputError: the table cannot be opened, or its first row has no source.
    """
    if reading.kind != "auto":
        return reading.kind
    if os.path.isdir(path):
        return next((_FILES[file.path.suffix.lower()] for file in class_files(path, _FILES) if file.kind), "text")
    rows, reading, index = _opened(path, reading, UNKNOWN, [])
    for record in rows.records():
        if not record.problem:
            try:
                return _choice(record, reading, index).kind
            except ValueError as error:
                raise InputError(str(error), where=f"{path}:{record.line}") from None
    return "text"


@final
class _Items:
    """Gathers items into a table; the first source decides the kind and shape of all."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.reading = reading
        self.table = LabelledTable(str(path), "text", skip_bad=reading.skip_bad)
        self.folder = path.parent if reading.base is None else reading.base
        self.readers: dict[str, FileReader] = {"audio": AudioReader(reading.audio), "image": ImageReader(reading.image)}
        self._bytes, self.stretched = 0, False

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

    def file(self, file: MediaFile) -> LabelledSource:
        """The content of a file of the table's kind."""
        reader = self.readers.get(self.table.kind)
        return self.text(_text_file(file.path), "the text") if reader is None else reader(file)

    def source(self, record: Record, choice: Choice) -> LabelledSource:
        """The source of a row."""
        if choice.kind == "series":
            return choice.series(record, self.reading.missing)
        value, what = record.cell(choice.columns[0]), repr(choice.columns[0])
        if choice.kind == "text":
            return self.text(value, what)
        file = with_stretch(file_of(value, what, self.folder), choice.columns[0], record)
        self.stretched |= file.start_s > 0 or file.duration_s is not None
        suffix = file.path.suffix.lower()
        if file.content is None and MEDIA.get(suffix) != choice.kind:
            known = ", ".join(suffix for suffix, kind in MEDIA.items() if kind == choice.kind)
            raise ValueError(f"{value}: unknown kind of file {suffix!r}: expected {known}")
        if not self.table.sources and not self.table.skipped:
            check_base(file)
        return self.file(file)

    def _check_alike(self, source: LabelledSource) -> None:
        first = self.table.sources[0] if self.table.sources else source
        if isinstance(first, str) or isinstance(source, str):
            return
        if self.table.kind == "series" and source.shape[1] != first.shape[1]:
            raise ValueError(
                f"the series has {number_of(source.shape[1], 'channel')}, the first one has {first.shape[1]}"
            )
        if self.table.kind == "image" and source.shape != first.shape:
            sizes = source.shape[1:], first.shape[1:]
            own, other = (" x ".join(map(str, size)) for size in sizes)
            raise ValueError(
                f"the picture has {own} pixels, the first one has {other}: make them alike by {size_flags(sizes)}"
            )


def _text_file(file: Path) -> str:
    lines = []
    for line in read_lines(file):
        if line.error:
            raise InputError(line.error, where=f"{file}:{line.number}")
        lines.append(line.text)
    return "\n".join(lines)


def _read_folder(root: Path, reading: Reading, items: _Items) -> None:
    items.table.unit, items.table.by_class = "file", True
    kinds = {suffix: kind for suffix, kind in _FILES.items() if reading.kind in ("auto", kind)}
    for file in class_files(root, kinds):
        media, place = MediaFile(file.path), str(file.path)
        if file.problem:
            items.table.refuse(file.problem, place)
        elif not file.kind:
            try:
                media.formats(dict.fromkeys(kinds, ()), "file")
            except ValueError as error:
                items.table.refuse(error, place)
        else:
            items.table.kind = kinds[file.path.suffix.lower()]
            items.take(place, partial(items.file, media), (file.label,))


def open_labelled(path: Path, reading: Reading) -> Rows:
    """The rows of a table; of the archives of series with the cells `series` and the label."""
    if suffix_of(path) == SUFFIX:
        return TimeSeriesFile(path, reading.label_column)
    rows = open_rows(path, hint=f", or in {SUFFIX}")
    if reading.source_column is None and reading.label_column not in rows.columns and without_header(rows):
        return LabelFirst(rows, reading.label_column)
    if len(set(rows.columns)) < len(rows.columns):
        for name in rows.columns:
            rows.column(name)
    return rows


def label_columns(rows: Rows, others: Collection[str | None] = ()) -> list[str]:
    """The columns that have a usual name of labels; else, of two columns of texts, the one that repeats a few values,
    and beside several columns of numbers the only one of texts, if it repeats a few.

    Languages, questions with answers and the like are pairs, whatever they repeat. Where a column of numbers rises in
    all rows of the first text, it probably has times, and the texts name series.

    others: columns that contain no labels, such as that of the parts
    """
    records = [record.cells for record in islice(rows.records(), _SAMPLED_ROWS) if not record.problem]
    names = [name for name in rows.columns or (records[0] if records else ()) if name not in others]
    usual = [name for name in names if name.lower() in LABELS]
    numbering = identity_columns(rows)
    texts = [name for name in names if name not in numbering]
    pairs = {*ROLES["source"].split(), *ROLES["target"].split(), *languages()}
    cells: dict[str, list[Any]] = {name: [row.get(name) for row in records] for name in texts}
    numbers = {name: [float(n) for n in map(parsed, cells[name]) if n is not None] for name in texts}
    numbers = {name: column for name, column in numbers.items() if records and len(column) == len(records)}
    if not usual and len(numbers) > 1 and len(texts) == len(numbers) + 1:
        name = next(name for name in texts if name not in numbers)
        first = [row for row, cell in enumerate(cells[name]) if cell == cells[name][0]]
        rise = any(all(column[a] < column[b] for a, b in pairwise(first)) for column in numbers.values())
        return [name] if repeated(cells[name]) and not rise else []
    if usual or len(texts) != 2 or not pairs.isdisjoint(map(str.lower, texts)):
        return usual
    if not all(isinstance(cell, str) and not is_number(cell) for column in cells.values() for cell in column):
        return []
    few = [name for name in texts if repeated(cells[name])]
    return few if len(few) == 1 else []


def _opened(
    path: Path, reading: Reading, trained: LabelledColumns, remarks: list[str]
) -> tuple[Rows, Reading, tuple[str, ...]]:
    """The rows of a table, the options with its column of labels, and its columns that number rows; adds remarks."""
    rows = open_labelled(path, reading)
    reading = _labelled_by(rows, reading, trained, remarks)
    index = tuple(identity_columns(rows)) if reading.source_column is None else ()
    remarks += index_notes(index)
    return rows, reading, index


def _choice(record: Record, reading: Reading, index: Sequence[str], trained: LabelledColumns = UNKNOWN) -> Choice:
    """How the sources of a table are read, by its first row."""
    others = {reading.label_column, reading.split_column, trained.split, *(set(index) - set(trained.sources))}
    return choose(record, reading.kind, reading.source_column, others, trained)


def _labelled_by(rows: Rows, reading: Reading, trained: LabelledColumns, remarks: list[str]) -> Reading:
    """The options with the training's column of labels where the table has that one; else with the likely one, and a
    remark, where no column has the default name.
    """
    known = rows.columns or next(iter(rows.records()), Record(0, {})).cells
    if reading.label_column == Reading.label_column and trained.label is not None and trained.label in known:
        return replace(reading, label_column=trained.label)
    others = reading.split_column, trained.split
    usual = [] if reading.label_column in known else label_columns(rows, others)
    if reading.label_column != Reading.label_column or reading.label_column in known or not usual:
        return reading
    remarks.append(f"the labels are {usual[0]!r} (--label-column chooses another column)")
    return replace(reading, label_column=usual[0])


def _read_table(path: Path, reading: Reading, items: _Items, trained: LabelledColumns) -> None:
    table = items.table
    rows, reading, index = _opened(path, reading, trained, table.remarks)
    names = class_labels(path, reading.label_column)
    table.label_type = "text" if names else TYPES[rows.cell_type(reading.label_column)]
    choice: Choice | None = None
    for record in rows.records():
        place = f"{path}:{record.line}"
        if record.problem:
            table.refuse(record.problem, place)
            continue
        try:
            if reading.label_column not in record.cells:
                raise ValueError(f"{missing(reading.label_column, record.cells)}; set --label-column")
            value = record.cell(reading.label_column)
            part = None if reading.split_column is None else record.cell(reading.split_column)
            if choice is None:
                choice = _choice(record, reading, index, trained)
                table.kind = choice.kind
                if not isinstance(rows, LabelFirst | TimeSeriesFile):  # their columns have no names
                    table.columns = LabelledColumns(reading.label_column, choice.columns, reading.split_column)
                table.many = reading.label_separator is not None or isinstance(value, list)
            labels = labels_of(named(value, names) if names else value, reading.label_separator)
            if not table.many and len(labels) != 1:
                raise ValueError("a list of labels, but the first row has a single one")
            part = None if reading.split_column is None else by_column(part, reading.split_column)
        except ValueError as error:
            if choice is None:  # nothing of the table can be read
                raise InputError(str(error), where=place) from None
            table.refuse(error, place)
            continue
        items.take(place, partial(items.source, record, choice), labels, part)
    table.read_as = rows.notes
    if names:
        table.remarks.append(
            f"the file names the classes of its numbers: {', '.join(names[:5])}{', …' * (len(names) > 5)}"
        )
    if isinstance(rows, LabelFirst):
        padding = f", {rows.padded} of which end in NaN and are shorter" if rows.padded else ""
        table.remarks.append(
            f"has no header: the first column is the label, the others are the steps of series{padding}"
        )
