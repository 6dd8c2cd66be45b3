"""Rows of a table by the names of their columns, with the line that each begins on: CSV, TSV, JSON Lines, parquet.

CSV and TSV begin with a line of names, and their cells are strings. Numbers of JSON Lines are `JsonNumber`, as they
were written. Parquet gives its own values, and row numbers stand where the other formats have lines.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sightline.core.config import nearest
from sightline.core.errors import InputError
from sightline.data.pairs.table import csv_rows, no_panic_traces, suffix_of, unknown_format
from sightline.data.rows.files import MAX_LINE_BYTES, check_expansion, check_file, read_lines, read_whole
from sightline.data.rows.json_lines import json_object

if TYPE_CHECKING:
    import polars

_SLICE = 4096  # rows of a parquet file that are Python objects at once
_CELL_BYTES = 16  # what a cell of a parquet file takes before its content


class Record(NamedTuple):
    """A row: the line that it begins on, its cells by column, and what is wrong with it; then it has no cells."""

    line: int
    cells: dict[str, Any]
    problem: str | None = None


def read_records(path: Path) -> Iterator[Record]:
    """The rows of a file whose name says its format.

    A row that cannot be read comes with its `problem`: the caller may skip it. JSON objects may differ in their keys.

    Raises:
        InputError: what is wrong with the whole file: "a.csv:1: two columns are named 'x'", "a.parquet: broken parquet:
            …", "a.xlsx: unknown format '.xlsx': …".
    """
    reader = _READERS.get(suffix_of(path))
    if reader is None:
        raise unknown_format(path, _READERS)
    return reader(path)


def is_table(path: Path) -> bool:
    """Whether `read_records` reads files of such a name."""
    return suffix_of(path) in _READERS


def cell(record: Record, name: str) -> Any:
    """The cell of a column; `ValueError` with the nearest name where there is none."""
    if name not in record.cells:
        raise ValueError(no_column(name, record.cells))
    return record.cells[name]


def no_column(name: str, names: Iterable[str]) -> str:
    """What to say where the column `name` is missing."""
    known = list(names)
    near = nearest(name, known)
    hint = f"did you mean {near!r}?" if near else f"there are {', '.join(map(repr, known[:20]))}"
    return f"no column {name!r}: {hint}"


def _delimited(path: Path, rows: Iterator[tuple[int, list[str], str | None]]) -> Iterator[Record]:
    begin, first, problem = next(rows)
    if problem:
        raise InputError(problem, where=f"{path}:{begin}")
    names = [name.strip() for name in first]
    _check_names(names, f"{path}:{begin}")
    for number, cells, problem in rows:
        if problem is None and len(cells) != len(names):
            empty = " (an empty line)" if cells == [""] else ""
            problem = f"expected {len(names)} columns, found {len(cells)}{empty}"
        yield Record(number, {} if problem else dict(zip(names, cells, strict=True)), problem)


def _check_names(names: Sequence[str], where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InputError(f"two columns are named {name!r}", where=where)
        seen.add(name)


def _csv(path: Path) -> Iterator[Record]:
    return _delimited(path, csv_rows(path))


def _tsv(path: Path) -> Iterator[Record]:
    return _delimited(path, ((line.number, line.text.split("\t"), line.error) for line in read_lines(path)))


def _jsonl(path: Path) -> Iterator[Record]:
    for line in read_lines(path):
        if line.error:
            yield Record(line.number, {}, line.error)
            continue
        try:
            yield Record(line.number, json_object(line.text))
        except ValueError as error:
            yield Record(line.number, {}, str(error))


def _parquet(path: Path) -> Iterator[Record]:
    import polars as pl

    check_file(path)
    content = io.BytesIO(read_whole(path)) if path.suffix.lower() == ".gz" else path
    try:
        with no_panic_traces():
            frame = _bounded(pl.scan_parquet(content), path)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise InputError(f"broken parquet: {' '.join(str(error).split())[:200]}", where=path) from None
    number = 0
    for part in frame.iter_slices(_SLICE):
        for row in part.iter_rows(named=True):
            number += 1
            yield Record(number, row)


def _bounded(lazy: polars.LazyFrame, path: Path) -> polars.DataFrame:
    """The table, once each of its columns is known to be of a bearable size."""
    import polars as pl

    size = path.stat().st_size
    schema = lazy.collect_schema()
    check_expansion(_CELL_BYTES * len(schema) * lazy.select(pl.len()).collect().item(), size, path)
    columns, total = [], 0
    for name, dtype in schema.items():
        column = lazy.select(pl.col(name).cast(pl.String) if dtype in (pl.Categorical, pl.Enum) else name).collect()
        total += int(column.estimated_size())
        check_expansion(total, size, path)
        if column.schema[name] == pl.String:
            lengths = column[name].str.len_bytes().fill_null(0)
            longest = lengths.arg_max()
            if longest is not None and lengths[longest] > MAX_LINE_BYTES:
                raise InputError(f"the text is longer than {MAX_LINE_BYTES} bytes", where=f"{path}:{longest + 1}")
        columns.append(column)
    return pl.concat(columns, how="horizontal") if columns else pl.DataFrame()


_READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".csv": _csv,
    ".tsv": _tsv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".parquet": _parquet,
}
