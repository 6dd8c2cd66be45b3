"""Data that Python code gives as paths or in memory, as paths; messages then name arguments, and rows of tables."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, final

from sightline.core.spelling import as_arguments, respelled
from sightline.data.rows.in_memory import FOLDER, StoredTable, in_rows, store_table


@final
@dataclass(frozen=True)
class DataPaths:
    """The paths of data by argument, and the tables among them that were given in memory."""

    paths: dict[str, str] = field(default_factory=dict)
    tables: list[StoredTable] = field(default_factory=list)

    def named(self, message: str) -> str:
        """The message with rows of tables in memory where it names lines of their files."""
        stored = {str(table.path) for table in self.tables}
        if self.tables and not any(path in message for path in self.paths.values() if path not in stored):
            message = in_rows(message)
        for table in self.tables:
            message = table.named(message)
        return message

    def beside(self, run: Any) -> Any:
        """The configuration; paths in a table in memory begin in the working directory where no key says otherwise."""
        if self.tables and getattr(run.corpus, "base", "") is None:
            return run.changed(base=str(Path.cwd()))
        return run


@contextmanager
def data_paths(out_dir: str | Path | None, pair: tuple[str, str] | None = None, **data: Any) -> Iterator[DataPaths]:
    """The data by argument, without what is None.

    A table in memory becomes a file beside `out_dir`, in the folder `tables`, where later commands can read it;
    without `out_dir` in a temporary folder of this process.

    pair: the columns of a list of pairs; None = no task is known (see `store_table`)

    Raises:
        InputError: what `store_table` raises; within the context errors name arguments of Python and
            rows of tables.
    """
    stored = DataPaths()
    with respelled(lambda message: as_arguments(stored.named(message))):
        for argument, value in data.items():
            if value is None:
                continue
            if isinstance(value, str | Path):
                stored.paths[argument] = str(value)
                continue
            folder = _temporary() if out_dir is None else Path(out_dir).parent / FOLDER
            stored.tables.append(store_table(value, folder, argument=argument, pair=pair))
            stored.paths[argument] = str(stored.tables[-1].path)
        yield stored


@cache
def _temporary() -> Path:
    """A folder that is deleted when the process ends."""
    folder = tempfile.mkdtemp(prefix="sightline-tables-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
