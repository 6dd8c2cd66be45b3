"""Source columns of a model: its front ends, checks that a part fits it, and new inputs read into a part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.front_end import FrontEndConfig, InputKind
from sightline.data.inputs import InputTable
from sightline.data.media.columns import AudioReader, Column, ImageReader, MediaKind, MediaPart, Store
from sightline.data.media.files import MediaFile
from sightline.data.media.manifest import ALIASES
from sightline.data.rows.record import Record
from sightline.data.rows.texts import text_of
from sightline.data.tokens.tokenizer import Tokenizer
from sightline.parts.several import Several
from sightline.tasks.media.config import MediaTextConfig
from sightline.tasks.text_inputs import TEXT_KINDS, text_front_end, text_reader

_FORMS: dict[MediaKind, str] = {
    "text": "a text",
    "audio": "the path of a sound or a MediaFile",
    "image": "the path of a picture or a MediaFile",
}


@final
class SourceColumns:
    """The columns that a model reads, in order, each a name and a kind, and how `config` says to read them."""

    def __init__(self, columns: Sequence[tuple[str, MediaKind]], config: MediaTextConfig) -> None:
        self.columns = tuple(columns)
        self.config = config

    @property
    def named(self) -> tuple[str, ...]:
        """The columns as the setting `sources` names them."""
        return tuple(f"{name}:{kind}" for name, kind in self.columns)

    def front_end(self, vocabulary: int) -> FrontEndConfig:
        """The front end of all columns; the vocabulary of texts has this many tokens.

        Raises:
            InputError: a chosen front end that reads none of the columns.
            ValueError: "the size of pictures is not settled".
        """
        choice, kinds = self.config.front_end, dict.fromkeys(kind for _, kind in self.columns)
        if not any(map(choice.suits, map(_inputs, kinds))):
            choice.check(tuple(inputs for kind in kinds for inputs in _inputs(kind)))
        configs = [column_front_end(kind, self.config, vocabulary) for _, kind in self.columns]
        return configs[0] if len(configs) == 1 else Several(tuple(configs))

    def check(self, part: MediaPart) -> None:
        """Refuse columns of other kinds, sounds of another rate and pictures of another size than the model reads."""
        expected, kinds = [kind for _, kind in self.columns], [column.kind for column in part.columns]
        if kinds != expected:
            raise InputError(
                f"expected sources of kind {', '.join(expected)}, found {', '.join(kinds)}", where="sources"
            )
        for column in part.columns:
            if column.kind == "audio":
                _check_rate(column, self.config.sound.rate_hz)
            elif column.kind == "image":
                picture = self.config.picture
                _check_shapes(column, (picture.reading.channels, picture.height, picture.width), part.places)

    def is_one(self, inputs: Any) -> bool:
        """Whether these are one input: a path, a row by column, or a tuple with a path or a text for each column."""
        row = isinstance(inputs, tuple) and len(self.columns) == len(inputs) > 1
        one = str, Path, MediaFile
        return isinstance(inputs, (*one, Mapping)) or (row and all(isinstance(value, one) for value in inputs))

    def part_of(self, inputs: Sequence[Any]) -> MediaPart:
        """Inputs as a part: a path or a file's bytes, or for several sources a tuple of paths, files and texts in order
        or a row by column.

        Raises:
            InputError: "input 2: expected 2 values (image, question), found 1"; "input 1: expected the path of a sound
                or a MediaFile, found ndarray"; "input 1: expected a text as 'question', found None"; whatever is wrong
                with a file.
        """
        places = tuple(f"input {number}" for number in range(1, len(inputs) + 1))
        rows = [self._row(entry, place) for entry, place in zip(inputs, places, strict=True)]
        for row, place in zip(rows, places, strict=True):
            if len(row) != len(self.columns):
                names = ", ".join(name for name, _ in self.columns)
                raise InputError(
                    f"expected {number_of(len(self.columns), 'value')} ({names}), found {len(row)}", where=place
                )
            for value, (name, kind) in zip(row, self.columns, strict=True):
                _check_form(value, name, kind, place)
        columns = [
            self._column(name, kind, [row[n] for row in rows], places) for n, (name, kind) in enumerate(self.columns)
        ]
        return MediaPart(tuple(columns), ("",) * len(rows), places)

    def _row(self, entry: Any, place: str) -> list[Any]:
        """The paths and texts of one input, in the order of the columns."""
        if isinstance(entry, str | Path | MediaFile):
            return [entry]
        if isinstance(entry, tuple | list) or (isinstance(entry, np.ndarray) and entry.dtype.kind in "UO"):
            return [*entry]
        if not isinstance(entry, Mapping):
            expected = _FORMS[self.columns[0][1]] if len(self.columns) == 1 else f"a tuple of {', '.join(self.named)}"
            raise InputError(f"expected {expected}, found {type(entry).__name__}", where=place)
        if missing := next((name for name, _ in self.columns if name not in entry), None):
            raise InputError(f"expected a column {missing!r}, found {', '.join(map(str, entry))}", where=place)
        return [entry[name] for name, _ in self.columns]

    def _column(self, name: str, kind: MediaKind, values: Sequence[Any], places: Sequence[str]) -> Column:
        """A column of texts, or of files that are read."""
        if kind == "text":
            return Column(name, kind, tuple(values))
        sound, picture = self.config.sound.reading, self.config.picture.reading
        store = Store(AudioReader(sound) if kind == "audio" else ImageReader(picture))
        files = (value if isinstance(value, MediaFile) else Path(value) for value in values)
        numbers = tuple(store.add(file, place) for file, place in zip(files, places, strict=True))
        return Column(name, kind, (), store, numbers)

    def in_table(self, table: InputTable) -> list[list[str | MediaFile]]:
        """The paths, files that cells contain, and texts of each row of a table, in the order of the columns.

        Raises:
            InputError: "new.csv:1: no column 'image' for the source, …"; "new.csv:17: the source is empty".
        """
        rows = table.open()
        names = table.column.split(",") if table.column else [name for name, _ in self.columns]
        if len(names) != len(self.columns):
            expected = ", ".join(self.named)
            raise InputError(f"names {number_of(len(names), 'column')}, the model reads {expected}", where=table.path)
        known = rows.columns or next(iter(rows.records()), Record(0, {})).cells
        if names == ["source"] and "source" not in known:
            names = [next((name for name in ALIASES["source"] if name in known), "source")]
        names = [rows.column(name, "source") for name in names]

        def read(record: Record) -> list[str | MediaFile]:
            cells = zip(names, self.columns, strict=True)
            return [
                text_of(record.cell(name), repr(name)) if kind == "text" else table.file(record, name)
                for name, (_, kind) in cells
            ]

        return [*table.each(rows, read)]

    def described(self) -> str:
        """The model's inputs from each source, in words, for its README."""
        sound, picture, choice = self.config.sound, self.config.picture, self.config.front_end
        seen = f"in patches of {picture.patch} x {picture.patch}" if picture.view == "patches" else "pixel by pixel"
        seen = seen if choice.name is None else f"by {choice.name}"
        descriptions = {
            "text": "text",
            "audio": f"sound at {sound.rate_hz:,} samples a second, {sound.mels} mel bands, a position every "
            f"{sound.hop_ms * sound.stride:g} ms",
            "image": f"{picture.colour} pictures of {picture.height} x {picture.width} pixels, {seen}",
        }
        return "; ".join(f"{name}: {descriptions[kind]}" for name, kind in self.columns)

    def example(self) -> str:
        """An item of these sources as an argument of `predict`."""
        examples = {"audio": '"clip.wav"', "image": '"picture.png"', "text": '"a question"'}
        parts = ", ".join(examples[kind] for _, kind in self.columns)
        return f"({parts})" if len(self.columns) > 1 else parts


def _check_form(value: Any, name: str, kind: MediaKind, place: str) -> None:
    """Raise `InputError` for a value that a column of this kind cannot have; an empty text is one."""
    forms = str if kind == "text" else str | Path | MediaFile
    if not isinstance(value, forms) or (kind != "text" and value == ""):
        actual = repr(value) if value is None or isinstance(value, str) else type(value).__name__
        raise InputError(f"expected {_FORMS[kind]} as {name!r}, found {actual}", where=place)


def column_front_end(kind: MediaKind, config: MediaTextConfig, vocabulary: int) -> FrontEndConfig:
    """The front end for one column: the chosen one if it reads such inputs, otherwise the usual one."""
    choice = config.front_end.where_suits(_inputs(kind))
    if kind == "text":
        return text_front_end(choice, vocabulary)
    return (config.sound if kind == "audio" else config.picture).fitted(choice)


def column_reader(config: MediaTextConfig, tokenizer: Tokenizer) -> Any:
    """The encoder of the texts of a column, as `text_reader`."""
    return text_reader(config.front_end.where_suits(TEXT_KINDS), tokenizer)


def _inputs(kind: MediaKind) -> tuple[InputKind, ...]:
    """The kinds of inputs that a column can be read as."""
    return TEXT_KINDS if kind == "text" else (kind,)


def _check_rate(column: Column, rate_hz: int) -> None:
    if column.rate_hz not in (None, rate_hz):
        raise InputError(
            f"sounds were read at {column.rate_hz} samples a second, the model was trained at {rate_hz}",
            where="sound.rate_hz",
        )


def _check_shapes(column: Column, expected: tuple[int | None, ...], places: Sequence[str]) -> None:
    for row in range(len(column)):
        if column.shape(row) != expected:
            actual, needed = (" x ".join(map(str, shape)) for shape in (column.shape(row), expected))
            raise InputError(f"has {actual} values, the model was trained on {needed}", where=places[row])
