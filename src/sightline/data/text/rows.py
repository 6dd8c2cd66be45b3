"""Documents in the rows of a table, and which reader a file needs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import final

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.data.rows.compression import compression_of
from sightline.data.rows.files import MAX_LINE_BYTES
from sightline.data.rows.formats import FORMATS, open_rows, suffix_of
from sightline.data.rows.record import Record, Rows
from sightline.data.rows.texts import text_of
from sightline.data.text import readers
from sightline.data.text.files import text_files
from sightline.data.text.readers import Block, Document, Fragment, Reader, Refuse, TextFile

_SAVED = "for a document a row save the table as JSON Lines or parquet"


def reader_of(path: Path, column: str) -> Reader:
    """The reader for a file, by its name: running text unless it is a table of JSON objects or columns."""
    entry = FORMATS.get(suffix_of(path))
    if entry is None or entry.form == "delimited":
        return TextFile(path, column)
    if entry.form == "columns" and (compression := compression_of(path)):
        raise InputError(f"{suffix_of(path)[1:]} is compressed inside: save it without {compression.name}", where=path)
    return TableDocuments(path, column)


def check_column(data: str, column: str) -> None:
    """Raise where none of the files that `data` names has columns.

    Raises:
        InputError: "column: reviews.csv is read as running text, without a column 'review': for a document a row …".
    """
    paths = text_files(data)
    if all(isinstance(reader_of(path, column), TextFile) for path in paths):
        raise InputError(f"{paths[0]} is read as running text, without a column {column!r}: {_SAVED}", where="column")


def notes_on_tables(readers: Sequence[Reader]) -> list[str]:
    """A note where tables of delimited text are read as running text."""
    formats = ((reader.path, FORMATS.get(suffix_of(reader.path))) for reader in readers)
    paths = [path for path, entry in formats if entry is not None and entry.form == "delimited"]
    if not paths:
        return []
    more = f" and {number_of(len(paths) - 1, 'more table')}" if len(paths) > 1 else ""
    return [f"{paths[0]}{more}: read as running text, header and separators too; {_SAVED}"]


@final
class TableDocuments(Reader):
    """A document a row: the text in one column."""

    one_document = False

    @property
    def in_order(self) -> bool:
        return super().in_order or not self._rows.seekable

    @cached_property
    def _rows(self) -> Rows:
        rows = open_rows(self.path)
        rows.require([rows.column(self.column)], "strings")
        return rows

    def scan(self, refuse: Refuse) -> Iterator[tuple[Block, list[Document]]]:
        if self.path.stat().st_size == 0:
            return
        start, last, size, line = 0, 0, 0, 1
        documents: list[Document] = []
        for record in self._rows.records([self.column]):
            if self._rows.in_bytes and record.stop - last > 4 * MAX_LINE_BYTES:
                raise InputError(f"a line is longer than {4 * MAX_LINE_BYTES} bytes", where=self.path)
            last = record.stop
            try:
                document = self._text(record).encode()
            except ValueError as error:
                refuse(str(error), f"{self.path}:{record.line}")
            else:
                documents.append(Document(hashlib.sha256(document).digest(), len(document)))
                size += len(document)
            if (last - start if self._rows.in_bytes else size) >= readers.BLOCK_BYTES:
                yield Block(start, last, line), documents
                start, size, line, documents = last, 0, record.line + 1, []
        if last > start:
            yield Block(start, last, line), documents

    def read(self, block: Block) -> Iterator[tuple[Fragment, bytes]]:
        for record in self._rows.part([self.column], block.start, block.stop, block.line):
            try:
                text = self._text(record)
            except ValueError:
                continue  # the scan has counted it
            yield Fragment(text, True, True), hashlib.sha256(text.encode()).digest()

    def _text(self, record: Record) -> str:
        if record.problem:
            raise ValueError(record.problem)
        return text_of(record.cells[self.column], repr(self.column), blank=True)
