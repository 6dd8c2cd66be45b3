"""Documents in the rows of a table, JSON Lines or parquet, and which reader a file needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.core.errors import InputError
from sightline.data.rows.files import (
    MAX_LINE_BYTES,
    check_expansion,
    check_file,
    checked_line,
    open_bytes,
    plain_errors,
)
from sightline.data.rows.json_lines import json_object, string, under
from sightline.data.text import readers
from sightline.data.text.readers import BOM, UTF16, Block, Content, Document, Fragment, Reader, Refuse, TextFile

if TYPE_CHECKING:
    import polars

_ROWS = 4096  # of parquet, read at a time


def reader_of(path: Path, column: str) -> Reader:
    """The reader for what the file's name says that it is; whatever is no table of rows is text."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    kind = suffixes[-2] if zipped and len(suffixes) > 1 else suffixes[-1] if suffixes else ""
    if kind in (".jsonl", ".ndjson"):
        return JsonLines(path, column)
    if kind == ".parquet":
        if zipped:
            raise InputError("parquet is compressed inside: save it without gzip", where=path)
        return Parquet(path, column)
    return TextFile(path, column)


class JsonLines(Reader):
    """A document a line: the text under one key of its object."""

    one_document = False

    def __init__(self, path: Path, column: str = "text") -> None:
        super().__init__(path, column)
        self._content = Content(path)

    def scan(self, refuse: Refuse) -> Iterator[tuple[Block, list[Document]]]:
        start, place, first, documents = 0, 0, 1, []
        number = 0
        for number, raw in enumerate(self._lines(), 1):
            place += len(raw)
            try:
                text = json_text(raw, number, self.column)
            except ValueError as error:
                refuse(str(error), f"{self.path}:{number}")
            else:
                documents.append(Document(hashlib.sha256(text.encode()).digest(), len(text.encode())))
            if place - start >= readers.BLOCK_BYTES:
                yield Block(start, place, first), documents
                start, first, documents = place, number + 1, []
        if place > start:
            yield Block(start, place, first), documents

    def read(self, block: Block) -> Iterator[tuple[Fragment, bytes]]:
        content = self._content.read(block.start, block.stop)
        for number, raw in enumerate(content.removesuffix(b"\n").split(b"\n"), block.line):
            try:
                text = json_text(raw, number, self.column)
            except ValueError:
                continue  # the scan has counted it
            yield Fragment(text, True, True), hashlib.sha256(text.encode()).digest()

    def _lines(self) -> Iterator[bytes]:
        size, total = self.path.stat().st_size, 0
        with open_bytes(self.path) as stream, plain_errors(self.path):
            while raw := stream.readline(MAX_LINE_BYTES + 1):
                total += len(raw)
                if total == len(raw) and raw.startswith(UTF16):
                    raise InputError("is UTF-16; save it as UTF-8", where=f"{self.path}:1")
                while len(raw) > MAX_LINE_BYTES and not raw.endswith(b"\n") and (rest := stream.readline(1 << 20)):
                    raw += rest
                    total += len(rest)
                    check_expansion(total, size, self.path)
                    if len(raw) > 4 * MAX_LINE_BYTES:
                        raise InputError(f"a line is longer than {4 * MAX_LINE_BYTES} bytes", where=self.path)
                check_expansion(total, size, self.path)
                yield raw


def json_text(raw: bytes, number: int, key: str) -> str:
    """The text under `key` of the JSON object on line `number`; any problem is a ValueError."""
    line = checked_line(number, raw.removeprefix(BOM) if number == 1 else raw)
    if line.error:
        raise ValueError(line.error)
    return checked_text(under(json_object(line.text), key), repr(key))


def checked_text(value: object, what: str) -> str:
    """A document's text; ValueError where `value` is none, or holds what no text file can hold."""
    text = string(value, what)
    if not text:
        raise ValueError(f"{what} is empty")
    if "\0" in text:
        raise ValueError(f"NUL in {what}")
    return text


class Parquet(Reader):
    """A document a row: the text in one column; row numbers stand where other formats have lines."""

    one_document = False

    def scan(self, refuse: Refuse) -> Iterator[tuple[Block, list[Document]]]:
        check_file(self.path)
        rows, start, size = self._rows(), 0, 0
        documents: list[Document] = []
        for place in range(0, rows, _ROWS):
            for number, value in enumerate(self._slice(place, min(place + _ROWS, rows)), place + 1):
                try:
                    text = checked_text(value, f"{self.column!r}").encode()
                except ValueError as error:
                    refuse(str(error), f"{self.path}:{number}")
                else:
                    if len(text) > MAX_LINE_BYTES:
                        refuse(f"the text is longer than {MAX_LINE_BYTES} bytes", f"{self.path}:{number}")
                    else:
                        documents.append(Document(hashlib.sha256(text).digest(), len(text)))
                        size += len(text)
                if size >= readers.BLOCK_BYTES:
                    yield Block(start, number, start + 1), documents
                    start, size, documents = number, 0, []
        if rows > start:
            yield Block(start, rows, start + 1), documents

    def read(self, block: Block) -> Iterator[tuple[Fragment, bytes]]:
        for value in self._slice(block.start, block.stop):
            try:
                text = checked_text(value, self.column)
            except ValueError:
                continue  # the scan has counted it
            raw = text.encode()
            if len(raw) <= MAX_LINE_BYTES:
                yield Fragment(text, True, True), hashlib.sha256(raw).digest()

    def _rows(self) -> int:
        """How many rows there are, once the column is known to hold text of a bearable size."""
        import polars as pl

        def count(frame: polars.LazyFrame) -> int:
            schema = frame.collect_schema()
            if self.column not in schema.names():
                close = get_close_matches(self.column, schema.names(), n=1, cutoff=0.5)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(schema.names()[:20])}"
                raise InputError(f"no column {self.column!r}: {hint}", where=self.path)
            if schema[self.column] not in (pl.String, pl.Categorical, pl.Enum):
                raise InputError(
                    f"the column {self.column!r} must hold strings, found {schema[self.column]}", where=self.path
                )
            rows = frame.select(pl.len()).collect().item()
            check_expansion(rows, self.path.stat().st_size, self.path)
            return rows

        return self._asked(count)

    def _slice(self, start: int, stop: int) -> list[Any]:
        import polars as pl

        wanted = pl.col(self.column).cast(pl.String)
        return self._asked(
            lambda frame: frame.slice(start, stop - start).select(wanted).collect()[self.column].to_list()
        )

    def _asked(self, question: Callable[[polars.LazyFrame], Any]) -> Any:
        """What `question` finds in the file; a panic of the decoder comes as an exception and fills no screen."""
        import polars as pl

        from sightline.data.pairs.table import no_panic_traces

        try:
            with no_panic_traces():
                return question(pl.scan_parquet(self.path))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
            raise InputError(f"broken parquet: {' '.join(str(error).split())[:200]}", where=self.path) from None
