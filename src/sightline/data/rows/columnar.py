"""Files with typed columns, read by polars a few thousand rows at a time; a row's number is its line."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from sightline.core.errors import InputError, one_line
from sightline.data.rows.compression import compression_of
from sightline.data.rows.files import MAX_LINE_BYTES, check_expansion, check_file, read_whole
from sightline.data.rows.record import CHUNK, CellKind, Chunk, Record, Rows

if TYPE_CHECKING:
    import polars

_tried: dict[bytes, bool] = {}  # by the hash of a content, whether the decoder crashes on it
_CELL_BYTES = 8  # the least that a cell takes in memory


@final
class Columnar(Rows):
    """A table whose columns have types.

    kind: polars' name for the format, in `scan_…` and `write_…`
    """

    in_bytes = in_lines = False

    def __init__(self, path: Path, kind: str) -> None:
        import polars as pl

        check_file(path)
        content = io.BytesIO(read_whole(path)) if compression_of(path) else path
        self._kind = kind
        with _plain_errors(path, kind):
            self._frame = _scan(content, kind)
            self._types: dict[str, Any] = dict(self._frame.collect_schema())
            self._count = int(self._frame.select(pl.len()).collect().item())
        if not self._types:
            raise InputError("has no columns", where=path)
        super().__init__(path, tuple(self._types))
        self._paths = dict(_nested(self._types))
        self.nested = tuple(name for name in self._paths if name not in self._types)
        self._types = {name: kind for name, (_, kind) in self._paths.items()}

    def records(self, names: Sequence[str] | None = None) -> Iterator[Record]:
        return self._records(self.columns if names is None else names, 0, self._count)

    def part(self, names: Sequence[str], start: int, stop: int, line: int) -> Iterator[Record]:
        return self._records(names, start, stop)

    def frames(self, names: Sequence[str]) -> Iterator[tuple[Sequence[int], polars.DataFrame]]:
        return self._frames(names, 0, self._count)

    def chunks(self, names: Sequence[str]) -> Iterator[Chunk]:
        problem = f"the text is longer than {MAX_LINE_BYTES} bytes"
        for lines, frame in self.frames(names):
            columns = [column.to_list() for column in frame]
            yield Chunk(lines, columns, dict.fromkeys(_long_texts(frame), problem))

    def cell_type(self, name: str) -> type[str | bool | int | float]:
        import polars as pl

        kind = self._types.get(name)
        kind = kind.inner if isinstance(kind, pl.List | pl.Array) else kind
        if kind is None:
            return str
        return bool if kind == pl.Boolean else int if kind.is_integer() else float if kind.is_float() else str

    def _unfit(self, name: str, content: CellKind) -> str | None:
        import polars as pl

        kind = self._types[name]
        fits = {
            "strings": kind in (pl.String, pl.Categorical, pl.Enum),
            "numbers": kind.is_numeric() or kind in (pl.Boolean, pl.Null),
            "times": kind.is_numeric() or kind in (pl.String, pl.Date, pl.Datetime),
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
        columns = []
        for name in names:
            (first, *inner), kind = self._paths[name]
            column = pl.col(first)
            for field in inner:
                column = column.struct.field(field)
            columns.append((column.cast(pl.String) if kind in words else column).alias(name))
        expanded = 0
        for low in range(start, stop, CHUNK):
            with _plain_errors(self.path, self._kind):
                frame = self._frame.slice(low, min(CHUNK, stop - low)).select(columns).collect()
            expanded += int(frame.estimated_size())
            check_expansion(expanded, size, self.path)
            yield range(low + 1, low + 1 + len(frame)), frame


def _scan(content: Path | io.BytesIO, kind: str) -> polars.LazyFrame:
    import polars as pl

    if kind != "ipc":
        return getattr(pl, f"scan_{kind}")(content, glob=False)
    whole = content.read_bytes() if isinstance(content, Path) else content.getvalue()
    if whole.startswith(b"FEA1"):
        raise pl.exceptions.ComputeError("Feather version 1; write it as version 2, the default of today's libraries")
    # Whole: each slice of a scan decodes its record batch again, and many writers write a single batch.
    reader = "read_ipc" if whole.startswith(b"ARROW1") else "read_ipc_stream"
    if _crashes(reader, whole):
        raise pl.exceptions.ComputeError("the decoder crashes on it; write the file again")
    return getattr(pl, reader)(io.BytesIO(whole)).lazy()


def _crashes(reader: str, content: bytes) -> bool:
    """Whether polars ends the process on this content, as it does on some damaged files.

    Only another process survives that, and its checks are too deep inside of the decoder to be made here first. It is
    tried once for each content: a command opens a file several times.
    """
    key = hashlib.sha256(content).digest()
    if key not in _tried:
        _tried[key] = _ends_a_process(reader, content)
    return _tried[key]


def _ends_a_process(reader: str, content: bytes) -> bool:
    program = f"import io, sys, polars\npolars.{reader}(io.BytesIO(sys.stdin.buffer.read()))"
    command, quiet = [sys.executable, "-c", program], subprocess.DEVNULL
    return subprocess.run(command, input=content, stdout=quiet, stderr=quiet, check=False).returncode < 0


def _nested(types: Mapping[str, Any], outer: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[tuple[str, ...], Any]]]:
    """Every column and field of a struct by its dotted name: its path and its type; columns come first."""
    import polars as pl

    for name, kind in types.items():
        yield ".".join((*outer, name)), ((*outer, name), kind)
    for name, kind in types.items():
        if isinstance(kind, pl.Struct):
            yield from _nested({field.name: field.dtype for field in kind.fields}, (*outer, name))


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
        raise InputError(f"broken {kind}: {one_line(error)}", where=path) from None


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
