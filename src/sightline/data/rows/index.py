"""Columns that only number the rows, as pandas and R write them unless told otherwise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from sightline.data.rows.record import CHUNK, Rows

# pandas names the column "", "Unnamed: 0" once it has read it again, and __index_level_0__ in parquet; R names it "".
_UNNAMED = re.compile(r"|Unnamed: 0(_level_\d+)?(\.\d+)?|__index_level_\d+__")
_WHOLE = re.compile(r"\d{1,15}")


def index_columns(rows: Rows) -> tuple[str, ...]:
    """The columns without a name of their own that only number the rows; () in most tables.

    Such a column has different whole numbers in all rows of the first `CHUNK`: in order, unless the rows were filtered
    or shuffled after they had been numbered. Where a table has no other column of times, its index may be meant as one.
    """
    names = [name for name in rows.columns if _UNNAMED.fullmatch(name) and rows.columns.count(name) == 1]
    if not names:
        return ()
    records = [record.cells for record in islice(rows.records(names), CHUNK) if not record.problem]
    columns = {name: [str(cells[name]) for cells in records] for name in names}
    return tuple(
        name for name, cells in columns.items()
        if cells and len(set(cells)) == len(cells) and all(map(_WHOLE.fullmatch, cells))
    )  # fmt: skip


def index_notes(names: Sequence[str]) -> list[str]:
    """A note on each column that `index_columns` found and that is not used."""
    return [
        f"the column {name!r} only numbers the rows and is left out (pandas: to_csv(index=False))" for name in names
    ]
