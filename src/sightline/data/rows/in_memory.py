"""Data given in memory: frames of any library, arrays, lists of rows; written to a file that every reader reads.

A frame and a file of the same table are therefore read by the same code. Rows are counted from 1, as in files without
lines; `StoredTable.named` names them in messages.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np

from sightline.core.errors import InputError, one_line
from sightline.core.files import write_file
from sightline.data.rows.arrays import array_of, is_table
from sightline.data.series.times import is_time

if TYPE_CHECKING:
    import polars

PAIR, LABELLED = ("source", "target"), ("source", "label")  # the columns of a list of pairs
FOLDER = "tables"
STEPS = "time"  # the column of the numbers of steps, where a series has no times
_SAMPLED_ROWS = 100
_CAN_BE = "a path, a frame or a column (polars, pandas, pyarrow), arrays, or a list of texts, pairs or dicts"


@final
class StoredTable(NamedTuple):
    """A table that was given in memory.

    argument: the name of the argument that it was given as
    kind: the type that it had, such as DataFrame
    """

    path: Path
    argument: str
    kind: str

    def named(self, message: str) -> str:
        """The message with rows of the table where it names lines of the file."""
        row = "row" if self.argument == "data" else f"{self.argument}: row"
        message = re.sub(rf"{re.escape(str(self.path))}:(?=\d)", f"{row} ", message)
        return message.replace(str(self.path), f"{self.argument} ({self.kind})")


def in_rows(message: str) -> str:
    """A message about a table in memory, which has rows where a file has lines: "is in row 8 already"."""
    return re.sub(r"(?<![\w'\"])line(s?) (?=\d)", r"row\1 ", message)


def store_table(data: Any, folder: Path, *, argument: str = "data", pair: tuple[str, str] | None = None) -> StoredTable:
    """Write the table to a file in `folder`; its name is a hash of the content, so that equal tables share a file.

    pair: the columns of a list of pairs or of two arrays; what is not a text is a label, not a target. None = no task
        is known: pairs are `source` and `target`, two arrays are sources and labels

    Raises:
        InputError: "data: found int: expected a path, a frame …"; "data: row 3 is a str, row 1 a dict"; "data: the
            column 'x' has values of several types: …"; "data: cannot be stored: cannot write 'Object' datatype …".
        EnvironmentFault: the disk is full, or the folder cannot be written to.
    """
    from polars.exceptions import PolarsError

    frame = with_steps(polars_frame(data, pair, argument))
    if not frame.height or not frame.width:
        raise InputError("has no rows", where=argument)
    buffer = io.BytesIO()
    try:
        frame.write_parquet(buffer, compression="uncompressed")
    except PolarsError as error:  # types that files cannot store
        raise InputError(f"cannot be stored: {one_line(error)}", where=argument) from None
    content = buffer.getvalue()
    path = folder / f"{argument}-{hashlib.sha256(content).hexdigest()[:12]}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_file(path, content)
    return StoredTable(path, argument, type(data).__name__)


def is_frame(value: object) -> bool:
    """Whether it is a frame of a library that narwhals knows, or a batch of rows of Arrow."""
    import narwhals as nw

    return isinstance(nw.from_native(value, pass_through=True), nw.DataFrame | nw.LazyFrame) or _is_batch(value)


def _is_batch(value: object) -> bool:
    return hasattr(value, "__arrow_c_array__") and is_table(value)


def polars_frame(data: Any, pair: tuple[str, str] | None = None, argument: str = "data") -> polars.DataFrame:
    """The table as polars has it; raises as `store_table`."""
    import narwhals as nw
    import polars as pl

    if _is_batch(data):
        return pl.DataFrame(data)
    known = nw.from_native(data, pass_through=True, allow_series=True)
    if isinstance(known, nw.LazyFrame):
        known = known.collect()
    if isinstance(known, nw.DataFrame):
        if known.implementation.is_polars() or known.implementation.is_pyarrow():
            return known.to_polars()
        whole = nw.from_native(_with_index(known.to_native()), eager_only=True)
        return pl.DataFrame([_column(str(one.name), cells_of(one), argument) for one in whole.iter_columns()])
    if isinstance(known, nw.Series):
        if known.dtype.is_numeric():
            return polars_frame(as_frame(data), pair, argument)
        data = cells_of(known)
    numbers = array_of(data)
    texts = isinstance(data, np.ndarray) and data.ndim == 1 and data.dtype.kind in "UO"
    if numbers is not None or (isinstance(data, np.ndarray) and not texts):
        return pl.DataFrame(_of_array(data if numbers is None else numbers, argument))
    if isinstance(data, Mapping):
        columns = {str(name): _listed(cells) for name, cells in data.items()}
    elif isinstance(data, tuple) and len(data) == 2 and all(hasattr(one, "__array__") for one in data):
        columns = _labelled(_sources(np.asarray(data[0])), np.asarray(data[1]).tolist(), pair)
    elif isinstance(data, Iterable) and not isinstance(data, str | bytes):
        columns = _of_rows(list(data), pair or PAIR, argument)
    else:
        raise InputError(f"found {type(data).__name__}: expected {_CAN_BE}", where=argument)
    sizes = {name: len(cells) for name, cells in columns.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"has columns of different lengths: {sizes}", where=argument)
    return pl.DataFrame([_column(name, cells, argument) for name, cells in columns.items()])


def with_steps(frame: polars.DataFrame) -> polars.DataFrame:
    """A frame of one column of numbers, a series without times, with its steps as times; any other frame as it is."""
    import polars as pl

    if frame.width != 1 or not frame.dtypes[0].is_numeric() or frame.columns == [STEPS]:
        return frame
    return frame.select(pl.int_range(pl.len()).alias(STEPS), pl.all())


def as_frame(column: Any, name: str | None = None) -> Any:
    """A column of a frame as a frame of the same library; `name` is that of its column, otherwise its own, or value."""
    import narwhals as nw

    known = nw.from_native(column, series_only=True)
    return known.alias(name or str(known.name or "value")).to_frame().to_native()


def _with_index(frame: Any) -> Any:
    """A pandas frame whose index is data, with the levels of the index as its first columns; any other frame as it is.

    The index is data where all of its levels have names, as `to_csv` writes it, or where a level contains times. A
    level that is a column too is left out. A period counts as its beginning.
    """
    levels = _levels(frame)
    if not levels or (None in frame.index.names and not index_of_times(frame)):
        return frame
    free = [place for place, name in enumerate(frame.index.names) if name is None or name not in frame.columns]
    if not free:
        return frame
    return (frame.to_timestamp() if _has_periods(frame) else frame).reset_index(level=free)


def index_of_times(frame: Any) -> bool:
    """Whether it is a pandas frame or column whose index, or a level of it, contains times."""
    return any(map(_are_times, _levels(frame)))


def _levels(frame: Any) -> list[Any]:
    """The levels of the index of a pandas frame or column; none of anything else."""
    index: Any = getattr(frame, "index", None)
    if not hasattr(index, "get_level_values"):
        return []
    return [index.get_level_values(place) for place in range(index.nlevels)]


def _are_times(level: Any) -> bool:
    """Whether the first cells of a level are times, or texts of times."""
    if level.dtype.kind == "M" or type(level).__name__ == "PeriodIndex":
        return True
    cells = [*level[:_SAMPLED_ROWS]] if level.dtype.kind in "OUT" else []
    return bool(cells) and all(isinstance(cell, str | date) and is_time(cell) for cell in cells)


def _has_periods(frame: Any) -> bool:
    return type(getattr(frame, "index", None)).__name__ == "PeriodIndex"


def frame_like(columns: Mapping[str, Sequence[Any]], like: Any = None, times: str | None = None) -> Any:
    """A frame of the columns, of the library that made the frame `like`; of polars where that is not a frame, or one
    that is not in memory.

    times: the column of times, which is the index, with other levels that are columns, where it is that of `like`
    """
    import narwhals as nw

    known = nw.from_native(like, pass_through=True)
    backend = known.implementation if isinstance(known, nw.DataFrame) else nw.Implementation.POLARS
    frame = nw.from_dict({name: list(cells) for name, cells in columns.items()}, backend=backend).to_native()
    if times is None or not index_of_times(like):
        return frame
    own = {str(name) for name in like.columns}
    levels = [name for name in map(str, _with_index(like.head(_SAMPLED_ROWS)).columns) if name not in own]
    if not {times} <= {*levels} <= columns.keys():
        return frame
    indexed = frame.set_index(levels if len(levels) > 1 else times)
    return indexed.to_period(like.index.freq) if _has_periods(like) else indexed


def _of_rows(rows: list[Any], pair: tuple[str, str], argument: str) -> dict[str, list[Any]]:
    """The columns of a list of dicts, of pairs or of texts."""
    if not rows:
        raise InputError("has no rows", where=argument)
    kinds = [_form(row) for row in rows]
    if None in kinds:
        number = kinds.index(None)
        raise InputError(f"row {number + 1} is {rows[number]!r:.40}: expected {_CAN_BE}", where=argument)
    if other := next((number for number, kind in enumerate(kinds) if kind != kinds[0]), None):
        raise InputError(f"row {other + 1} is a {kinds[other]}, row 1 a {kinds[0]}", where=argument)
    if kinds[0] == "dict":
        names = dict.fromkeys(str(name) for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}
    if kinds[0] == "pair":
        return _paired([row[0] for row in rows], [row[1] for row in rows], pair)
    return {"text": rows}


def _paired(first: list[Any], second: list[Any], pair: tuple[str, str]) -> dict[str, list[Any]]:
    """Two columns of items, named so that the task follows from them where the second one is not of texts."""
    if not all(isinstance(value, str) for value in second):
        pair = ("text" if all(isinstance(value, str) for value in first) else LABELLED[0], LABELLED[1])
    return dict(zip(pair, (first, second), strict=True))


def _labelled(sources: list[Any], labels: list[Any], pair: tuple[str, str] | None) -> dict[str, list[Any]]:
    """The columns of two arrays, sources and labels, named so that the task follows where none is known."""
    if pair is not None:
        return _paired(sources, labels, pair)
    texts = all(isinstance(source, str) for source in sources)
    return {"text" if texts else LABELLED[0]: sources, LABELLED[1]: labels}


def _form(row: Any) -> str | None:
    if isinstance(row, Mapping):
        return "dict"
    if isinstance(row, str):
        return "text"
    return "pair" if isinstance(row, tuple | list) and len(row) == 2 else None


def _of_array(values: np.ndarray, argument: str) -> dict[str, Any]:
    """Series (T,) or (T, C) with their steps as times."""
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiu":
        raise InputError(
            f"an array of {values.dtype} with shape {values.shape}: expected a series (T,) or (T, C) of numbers, or a "
            "tuple of two arrays, sources and labels",
            where=argument,
        )
    channels = values.reshape(len(values), -1).T
    names = ["value"] if len(channels) == 1 else [f"value_{number}" for number in range(1, len(channels) + 1)]
    return {STEPS: np.arange(len(values)), **dict(zip(names, channels, strict=True))}


def _sources(values: np.ndarray) -> list[Any]:
    """The items of an array of texts (N,), series (N, T) or (N, T, C), or pictures (N, H, W) or (N, H, W, 3), uint8."""
    if values.dtype == np.uint8 and values.ndim in (3, 4):
        return [*_pictures(values)]
    return values.tolist()


def _pictures(values: np.ndarray) -> Iterator[dict[str, Any]]:
    """The cells of pictures, as Hugging Face data sets write them."""
    from PIL import Image

    for number, pixels in enumerate(values):
        buffer = io.BytesIO()
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 and pixels.ndim == 3 else pixels).save(
            buffer, "png", compress_level=1
        )
        yield {"bytes": buffer.getvalue(), "path": f"{number}.png"}


def cells_of(column: Any) -> list[Any]:
    """The cells of a column of narwhals, None where one is missing."""
    missing = column.is_null().to_list()
    return [None if gap else cell for cell, gap in zip(column.to_list(), missing, strict=True)]


def _listed(cells: Any) -> list[Any]:
    import narwhals as nw

    known = nw.from_native(cells, pass_through=True, allow_series=True)
    if isinstance(known, nw.Series):
        return cells_of(known)
    return cells.tolist() if isinstance(cells, np.ndarray) else list(cells)


def _column(name: str, cells: list[Any], argument: str) -> polars.Series:
    import polars as pl

    plain = [cell.tolist() if isinstance(cell, np.ndarray) else cell for cell in cells]
    gaps = sum(cell is None for cell in plain)
    nested = sum(isinstance(cell, list | tuple | dict) for cell in plain)
    try:
        column = pl.Series(name, plain, strict=nested > 0)  # of numbers and texts, texts
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        column = None
    if (
        column is None
        or column.dtype == pl.Object
        or column.null_count() > gaps
        or nested not in (0, len(plain) - gaps)
    ):
        kinds = sorted({type(cell).__name__ for cell in plain if cell is not None})
        shown = ", ".join(islice(kinds, 5))
        raise InputError(f"the column {name!r} has values of several or unknown types: {shown}", where=argument)
    return column
