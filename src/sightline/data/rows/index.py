"""Columns that only number the rows, as pandas and R write them unless told otherwise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from sightline.data.rows.record import CHUNK, Rows

# pandas names the column "", "Unnamed: 0" once it has read it again, and __index_level_0__ in parquet; R names it "".
_UNNAMED = re.compile(r"|Unnamed: 0(_level_\d+)?(\.\d+)?|__index_level_\d+__")
_WHOLE = re.compile(r"\d{1,15}")
_IDENTITIES = frozenset(("id", "idx", "index", "rowid", "row_id"))


def index_columns(rows: Rows) -> tuple[str, ...]:
    """The columns without a name of their own that only number the rows; () in most tables.

    Such a column has different whole numbers in all rows of the first `CHUNK`: in order, unless the rows were filtered
    or shuffled after they had been numbered. Where a table has no other column of times, its index may be meant as one.
    """
    return _numbered(rows, [name for name in rows.columns if _UNNAMED.fullmatch(name)])


def identity_columns(rows: Rows) -> tuple[str, ...]:
    """`index_columns` and those named `id`, `index` and the like whose whole numbers are different in all rows."""
    names = rows.columns or [*next((record.cells for record in rows.records()), ())]
    return _numbered(rows, [name for name in names if _UNNAMED.fullmatch(name) or name.lower() in _IDENTITIES])


def _numbered(rows: Rows, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the columns that have different whole numbers in all rows of the first `CHUNK`."""
    names = [name for name in names if rows.columns.count(name) < 2]
    if not names:
        return ()
    records = [record.cells for record in islice(rows.records(names), CHUNK) if not record.problem]
    columns = {name: [str(cells.get(name)) for cells in records] for name in names}
    return tuple(
        name for name, cells in columns.items()
        if cells and len(set(cells)) == len(cells) and all(map(_WHOLE.fullmatch, cells))
    )  # fmt: skip


def index_notes(names: Sequence[str]) -> list[str]:
    """A note on each column that numbers the rows and is not used."""
    way = {name: " (pandas: to_csv(index=False))" for name in names if _UNNAMED.fullmatch(name)}
    return [f"the column {name!r} only numbers the rows and is left out{way.get(name, '')}" for name in names]
