"""JSON files: an array of objects, a row each, read as a stream; lines of objects; columns as pandas writes them."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from sightline.core.errors import InputError
from sightline.data.rows.files import BOM, MAX_LINE_BYTES, UTF16, check_expansion, check_file, open_bytes, plain_errors
from sightline.data.rows.json_lines import DECODER, JsonLines, json_object, record_of, type_name
from sightline.data.rows.record import Record, Rows

_SPACE = re.compile(r"[ \t\r\n]*")
_BLOCK = 1 << 16


def open_json(path: Path) -> Rows:
    """The table in a JSON file.

    Raises:
        InputError: "a.json: is one JSON object: save it as an array of objects or as JSON Lines".
    """
    check_file(path)
    with open_bytes(path) as stream, plain_errors(path):
        head = stream.read(_BLOCK).removeprefix(BOM).lstrip()
    if head.startswith(b"["):
        return JsonArray(path)
    first, _, rest = head.partition(b"\n")
    try:
        value = json_object(first.decode())
        columns = not rest.strip() and _is_columns(value)
    except ValueError:
        columns = head.startswith(b"{")  # an object of several lines, or of a very long one
    return JsonArray(path, columns=True) if columns else JsonLines(path)


def _is_columns(value: Mapping[str, Any]) -> bool:
    """Whether an object can be the columns of a table: lists, or as pandas writes them {"0": …, "1": …}."""
    columns = list(value.values())
    lists = all(isinstance(column, list) for column in columns)
    numbered = all(isinstance(column, dict) and all(map(str.isdigit, column)) for column in columns)
    return (lists or numbered) and len({tuple(column) if numbered else len(column) for column in columns}) == 1


@final
class JsonArray(Rows):
    """A table that is one JSON value.

    columns: whether it is an object whose keys are columns, each an object or list of cells; it is read as a whole
    """

    in_bytes = False
    seekable = False

    def __init__(self, path: Path, *, columns: bool = False) -> None:
        check_file(path)
        super().__init__(path)
        self._columns = columns

    def records(self, names: Sequence[str] | None = None) -> Iterator[Record]:
        for number, (line, value) in enumerate(self._values(), 1):
            problem = None if isinstance(value, dict) else f"expected a JSON object, found {type_name(value)}"
            yield record_of(line, lambda value=value: value, problem, number, names)

    def _values(self) -> Iterator[tuple[int, Any]]:
        text = _Text(self.path)
        if self._columns:
            yield from text.rows()
            return
        text.take("[")
        while not text.follows("]"):
            yield text.line, text.value()
            if not text.follows("]"):
                text.take(",")
        text.take("]")
        text.end()


@final
class _Text:
    """The text of a file, decoded a value at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blocks = self._read()
        self._place, self.line = 0, 1
        self._held = next(self._blocks, "")

    def _read(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")()
        size, expanded = self._path.stat().st_size, 0
        with open_bytes(self._path) as stream, plain_errors(self._path):
            while block := stream.read(_BLOCK):
                if not expanded and block.startswith(UTF16):
                    raise InputError("is UTF-16; save it as UTF-8", where=f"{self._path}:1")
                block, expanded = (block if expanded else block.removeprefix(BOM)), expanded + len(block)
                check_expansion(expanded, size, self._path)
                try:
                    yield decoder.decode(block)
                except UnicodeDecodeError as error:
                    raise self._error(
                        f"invalid UTF-8 (0x{error.object[error.start]:02x}): convert the text to UTF-8"
                    ) from None
        if not expanded:
            raise InputError("is empty", where=self._path)
        if decoder.getstate()[0]:
            raise self._error("the file ends inside a character")

    def _error(self, problem: str) -> InputError:
        return InputError(problem, where=f"{self._path}:{self.line}")

    def _more(self) -> bool:
        """Hold another block; False at the end."""
        block = next(self._blocks, None)
        if block is not None:
            self._held, self._place = self._held[self._place :] + block, 0
        return block is not None

    def _pass(self, place: int) -> None:
        self.line += self._held.count("\n", self._place, place)
        self._place = place

    def _skip_space(self) -> str:
        """The next character that is not white space; "" at the end."""
        while True:
            match = _SPACE.match(self._held, self._place)
            self._pass(match.end() if match else self._place)
            if self._place < len(self._held) or not self._more():
                return self._held[self._place : self._place + 1]

    def follows(self, mark: str) -> bool:
        """Whether the next character is this one."""
        return self._skip_space() == mark

    def take(self, mark: str) -> None:
        """Pass the next character, which must be this one."""
        character = self._skip_space()
        if character != mark:
            raise self._error(
                f"bad JSON: expected {mark!r}, found {character!r}" if character else "the JSON is cut short"
            )
        self._pass(self._place + 1)

    def value(self) -> Any:
        """The next value."""
        self._skip_space()
        while True:
            try:
                value, end = DECODER.raw_decode(self._held, self._place)
            except RecursionError:
                raise self._error("the JSON is nested too deeply") from None
            except json.JSONDecodeError as error:
                if len(self._held) - self._place > MAX_LINE_BYTES or not self._more():
                    line = self.line + self._held.count("\n", self._place, error.pos)
                    raise InputError(f"bad JSON: {error.msg}", where=f"{self._path}:{line}") from None
            except ValueError as error:
                raise self._error(str(error)) from None
            else:
                if end < len(self._held) or not self._more():  # a number may continue in the next block
                    self._pass(end)
                    return value

    def end(self) -> None:
        """Refuse anything that follows."""
        if character := self._skip_space():
            raise self._error(f"bad JSON: {character!r} after the end")

    def rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows of an object of columns."""
        value = self.value()
        self.end()
        if not isinstance(value, dict) or not _is_columns(value):
            raise InputError("is one JSON object: save it as an array of objects or as JSON Lines", where=self._path)
        columns = [column.values() if isinstance(column, dict) else column for column in value.values()]
        for cells in zip(*columns, strict=True):
            yield 1, dict(zip(value, cells, strict=True))


def json_bytes(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """A JSON file with an array of objects, a row a line."""
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return ("[" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "]\n").encode()
