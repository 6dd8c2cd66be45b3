"""Tables of new inputs, without targets or labels: a row is an input."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, final

from sightline.core.errors import InputError
from sightline.data.media.files import MediaFile, file_of
from sightline.data.media.manifest import with_stretch
from sightline.data.pairs.columns import PairColumns
from sightline.data.rows.formats import open_rows, suffix_of
from sightline.data.rows.json_lines import under
from sightline.data.rows.record import Record, Rows
from sightline.data.rows.text_columns import column_names, open_texts, text_columns
from sightline.data.rows.texts import text_of

T = TypeVar("T")
logger = logging.getLogger("sightline")
LINES = "; the lines of a text file are read from standard input: sightline predict RUN < FILE"


@final
@dataclass(frozen=True)
class InputTable:
    """A table of inputs and how it is read.

    column: the name of the column of inputs, or several comma-separated ones; None = what the task derives
    header: whether the first row names the columns; None = as it looks
    base: the folder that paths in the table are relative to; None = the table's own
    """

    path: Path
    column: str | None = None
    header: bool | None = None
    base: Path | None = None

    def open(self) -> Rows:
        """The rows of the table."""
        rows = open_rows(self.path, hint=LINES if suffix_of(self.path) in (".txt", "") else "")
        return rows.without_header() if self.header is False else rows

    def texts(self, usual: str | None = None, trained: PairColumns | None = None) -> list[str]:
        """The texts of the column, an empty cell as an empty text; logs which column that is, where none is named.

        usual: the column where none is named; None = the source of training, `text`, or the source that `open_texts`
            derives, of pairs or alone
        trained: the columns of a training table that has targets too; None = it has none

        Raises:
            InputError: "new.csv:1: which of the columns de and en is the source? Set --source-column"; "new.csv:1:
                no column 'txt' for the source, did you mean 'text'?"; "new.csv:17: …".
        """
        rows = self.open()
        known = column_names(rows)
        named = self.column or usual or (trained.source if trained and trained.source in known else None)
        derived = named is None
        if derived and "text" in known and (trained is None or trained.target != "text"):
            named, derived = "text", trained is not None and len(text_columns(rows)) > 1
        if derived and len(known) == 1 and self.header:
            named, derived = known[0], False
        rows, (name, what) = self._source(named)
        if derived and name in known and name.lower() != "source":
            logger.warning("%s: the inputs are %r (--source-column chooses another column)", self.path, name)
        return [*self.each(rows, lambda record: text_or_blank(_cell(record, name), what))]

    def _source(self, named: str | None) -> tuple[Rows, tuple[str, str]]:
        """The table and its column of sources, with its description in errors."""
        if named is None:
            try:
                rows, [source, _] = open_texts(self.path, [("source", None), ("target", None)], self.header)
            except InputError:
                pass  # it has no targets
            else:
                return rows, source
        rows, [source] = open_texts(self.path, [("source", named)], self.header)
        return rows, source

    def each(self, rows: Rows, read: Callable[[Record], T]) -> Iterator[T]:
        """The result of `read` for each row; its errors name the row's place."""
        for record in rows.records():
            try:
                if record.problem:
                    raise ValueError(record.problem)
                yield read(record)
            except ValueError as error:
                raise InputError(str(error), where=f"{self.path}:{record.line}") from None

    def file(self, record: Record, name: str) -> str | MediaFile:
        """The path of the file that a cell names; the file itself where the cell contains it, or its row names a
        stretch of it.
        """
        file = file_of(record.cell(name), repr(name), self.path.parent if self.base is None else self.base)
        file = with_stretch(file, name, record)
        return str(file.path) if file == MediaFile(file.path) else file


def _cell(record: Record, name: str) -> Any:
    """The cell of a column, also of one inside an object; None where the row has none."""
    try:
        return under(record.cells, name)
    except ValueError:
        return None


def text_or_blank(value: Any, what: str) -> str:
    """The text in a cell, which may be empty; raises as `text_of`."""
    return "" if value is None or value == "" else text_of(value, what, blank=True)
