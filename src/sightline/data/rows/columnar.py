"""Files with typed columns, read by polars a few thousand rows at a time; a row's number is its line."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from sightline.core.errors import InputError
from sightline.data.rows.files import MAX_LINE_BYTES, check_expansion, check_file, read_whole
from sightline.data.rows.record import CHUNK, CellKind, Record, Rows

if TYPE_CHECKING:
    import polars

_CELL_BYTES = 8  # the least that a cell takes in memory


@final
class Columnar(Rows):
    """A table whose columns have types.

    kind: polars' name for the format, in `scan_…` and `write_…`
    """

    in_bytes = False

    def __init__(self, path: Path, kind: str) -> None:
        import polars as pl

        check_file(path)
        content = io.BytesIO(read_whole(path)) if path.suffix.lower() == ".gz" else path
        self._kind = kind
        with _plain_errors(path, kind):
            self._frame = getattr(pl, f"scan_{kind}")(content, glob=False)
            self._types = dict(self._frame.collect_schema())
            self._count = int(self._frame.select(pl.len()).collect().item())
        super().__init__(path, tuple(self._types))

    def records(self, names: Sequence[str] | None = None) -> Iterator[Record]:
        return self._records(self.columns if names is None else names, 0, self._count)

    def part(self, names: Sequence[str], start: int, stop: int, line: int) -> Iterator[Record]:
        return self._records(names, start, stop)

    def frames(self, names: Sequence[str]) -> Iterator[tuple[Sequence[int], polars.DataFrame]]:
        return self._frames(names, 0, self._count)

    def _unfit(self, name: str, content: CellKind) -> str | None:
        import polars as pl

        kind = self._types[name]
        fits = {
            "strings": kind in (pl.String, pl.Categorical, pl.Enum),
            "numbers": kind.is_numeric() or kind in (pl.Boolean, pl.Null),
            "times": kind.is_integer() or kind in (pl.String, pl.Date, pl.Datetime),
        }
        return None if fits[content] else str(kind)

    def _records(self, names: Sequence[str], start: int, stop: int) -> Iterator[Record]:
        for numbers, frame in self._frames(names, start, stop):
            long = _long_texts(frame)
            for number, cells in zip(numbers, frame.iter_rows(named=True), strict=True):
                problem = f"the text is longer than {MAX_LINE_BYTES} bytes" if number - numbers[0] in long else None
                yield Record(number, {} if problem else cells, problem, number)

    def _frames(self, names: Sequence[str], start: int, stop: int) -> Iterator[tuple[Sequence[int], polars.DataFrame]]:
        import polars as pl

        size = self.path.stat().st_size
        check_expansion(_CELL_BYTES * (stop - start) * len(names), size, self.path)
        words = (pl.Categorical, pl.Enum)
        columns = [pl.col(name).cast(pl.String) if self._types[name] in words else pl.col(name) for name in names]
        expanded = 0
        for low in range(start, stop, CHUNK):
            with _plain_errors(self.path, self._kind):
                frame = self._frame.slice(low, min(CHUNK, stop - low)).select(columns).collect()
            expanded += int(frame.estimated_size())
            check_expansion(expanded, size, self.path)
            yield range(low + 1, low + 1 + len(frame)), frame


def _long_texts(frame: polars.DataFrame) -> set[int]:
    """The rows with a text that is longer than a line may be."""
    import polars as pl

    texts = frame.select(pl.col(pl.String).str.len_bytes() > MAX_LINE_BYTES)
    return {row for column in texts for row in column.fill_null(False).arg_true()} if texts.width else set()


def columnar_bytes(columns: Mapping[str, Sequence[Any]], kind: str) -> bytes:
    """A file of the columns."""
    import polars as pl

    buffer = io.BytesIO()
    getattr(pl.DataFrame(dict(columns)), f"write_{kind}")(buffer)
    return buffer.getvalue()


@contextmanager
def _plain_errors(path: Path, kind: str) -> Iterator[None]:
    """Say in one line why reading failed; a panic of the decoder, an exception too, writes no stack trace to stderr."""
    import polars as pl

    try:
        with no_stderr():
            yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(f"broken {kind}: {' '.join(str(error).split())[:200]}", where=path) from None


@contextmanager
def no_stderr() -> Iterator[None]:
    """Discard what libraries write to the standard error stream."""
    try:
        kept = os.dup(2)
    except OSError:  # there is none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
