"""JSON Lines: a row is a line with an object, whose keys name its cells; numbers stay as they were written."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, final

from sightline.data.rows.files import Content, TextLine, check_file, read_lines, split_lines, without_blank_end
from sightline.data.rows.record import Record, Rows, missing


@final
class JsonNumber(str):
    """A JSON number as it was written: one of a million digits costs nothing and overflows nothing."""


class LineRows(Rows):
    """A table of lines of text, in which each row names its own columns."""

    def __init__(self, path: Path) -> None:
        check_file(path)
        super().__init__(path)
        self._content = Content(path)

    @abstractmethod
    def parse(self, lines: Iterable[TextLine], names: Sequence[str] | None) -> Iterator[Record]:
        """The records in these lines; of their cells those that are named."""

    def records(self, names: Sequence[str] | None = None) -> Iterator[Record]:
        return self.parse(read_lines(self.path), names)

    def part(self, names: Sequence[str], start: int, stop: int, line: int) -> Iterator[Record]:
        return self.parse(split_lines(self._content.read(start, stop), line, start), names)


@final
class JsonLines(LineRows):
    """A table whose rows are JSON objects."""

    def parse(self, lines: Iterable[TextLine], names: Sequence[str] | None) -> Iterator[Record]:
        for line, text, problem, stop in without_blank_end(lines):
            yield record_of(line, partial(json_object, text), problem, stop, names)


def record_of(
    line: int, cells: Callable[[], dict[str, Any]], problem: str | None, stop: int, names: Sequence[str] | None
) -> Record:
    """The record with these cells, or those of them that are named, unless there is a problem or they have one."""
    if problem is None:
        try:
            read = cells()
            return Record(
                line, dict(read) if names is None else {name: under(read, name) for name in names}, None, stop
            )
        except ValueError as error:
            problem = str(error)
    return Record(line, {}, problem, stop)


def json_object(text: str) -> dict[str, Any]:
    """The JSON object in a line, its numbers as `JsonNumber`; any problem is a ValueError."""
    try:
        row = DECODER.decode(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"bad JSON: {error.msg} at character {error.pos + 1}") from None
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {type_name(row)}")
    return row


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(items)
    if len(row) < len(items):
        keys = [key for key, _ in items]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice")
    return row


def _no_constant(name: str) -> None:
    raise ValueError(f"bad JSON: {name} is not a JSON value")


# Strict, and faster than json.loads with the same arguments, which makes a decoder for each line.
DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=_no_constant
)


def under(row: Mapping[str, Any], key: str) -> Any:
    """The value of a key, or of `a.b` inside an object; ValueError with the nearest key if there is none."""
    outer, dot, inner = key.partition(".")
    if key not in row and dot and isinstance(row.get(outer), Mapping):
        return under(row[outer], inner)
    if key not in row:
        raise ValueError(missing(key, row, "key"))
    return row[key]


def type_name(value: object) -> str:
    """The JSON type of a value, for an error message."""
    if isinstance(value, JsonNumber):
        return "a number"
    names = {"dict": "an object", "list": "a list", "str": "a string", "bool": "true or false", "NoneType": "null"}
    return names.get(type(value).__name__, type(value).__name__)


def jsonl_bytes(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """A JSON Lines file of the columns."""
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
