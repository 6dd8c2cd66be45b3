"""An open table of any format: its columns, and a stream of records, each with its place in the file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.suggest import MOST_LISTED, suggest

if TYPE_CHECKING:
    import polars

CellKind = Literal["strings", "numbers", "times"]
CHUNK = 4096  # records that are in memory at one time
_SHOWN = 5


class Record(NamedTuple):
    """A row of a table.

    line: the line that it begins on, from 1; its row number where the file has no lines
    problem: why the row cannot be used; it then has no cells
    stop: where the next record begins, for `Rows.part`
    """

    line: int
    cells: dict[str, Any]
    problem: str | None = None
    stop: int = 0

    def cell(self, name: str) -> Any:
        """The cell of a column; ValueError with the nearest name if there is none."""
        if name not in self.cells:
            raise ValueError(missing(name, self.cells))
        return self.cells[name]


class Chunk(NamedTuple):
    """Some rows of a table by column.

    lines: of each row, the line that it begins on
    columns: the cells of each column that was asked for
    problems: by place in the chunk, why a row cannot be used; its cells mean nothing
    """

    lines: Sequence[int]
    columns: list[list[Any]]
    problems: dict[int, str]


def missing(name: str, known: Iterable[str], kind: str = "column", role: str | None = None) -> str:
    """The sentence: "no column 'sorce' for the source, did you mean 'source'?"."""
    names = list(known)
    known_ones = f"; {kind}s: {', '.join(map(repr, names[:MOST_LISTED]))}" if names else ""
    hint = suggest(name, names, label=None, cutoff=0.5) or known_ones
    return f"no {kind} {name!r}{f' for the {role}' if role else ''}{hint}"


class Rows(ABC):
    """An open table.

    columns: the names of its columns; () where each row names its own
    where: the place that names the columns, such as `pairs.tsv:1`
    notes: for the user, how the file was read where it could be read otherwise
    nested: the names of values inside the cells of a column, such as `translation.de`
    named: whether the columns have names of their own, and not "1", "2" and so on
    in_bytes: whether `Record.stop` counts bytes of the file's content, or else records
    in_lines: whether `Record.line` counts lines, or else records
    seekable: whether `part` is cheap at any place, or else one after another
    """

    in_bytes: ClassVar[bool] = True
    in_lines: ClassVar[bool] = True
    seekable: ClassVar[bool] = True
    nested: Sequence[str] = ()
    named: bool = True

    def __init__(
        self, path: Path, columns: Sequence[str] = (), line: int | None = None, notes: Sequence[str] = ()
    ) -> None:
        self.path = path
        self.notes = tuple(notes)
        self._ahead: tuple[tuple[str, ...], int, Iterator[Record]] | None = None  # where the last part ended
        self.columns = tuple(columns)
        self.where = str(path) if line is None else f"{path}:{line}"

    @abstractmethod
    def records(self, names: Sequence[str] | None = None) -> Iterator[Record]:
        """The rows from the first one, with all cells or those of the columns `names`; a few are in memory at a time.

        Raises:
            InputError: a problem of the whole file, such as "a.parquet: broken parquet: …".
        """

    def part(self, names: Sequence[str], start: int, stop: int, line: int) -> Iterator[Record]:
        """The rows between two places that `Record.stop` named, the first of them on `line`."""
        if self._ahead is None or self._ahead[:2] != (tuple(names), start):
            self._ahead = tuple(names), start, (record for record in self.records(names) if record.stop > start)
        *_, rest = self._ahead
        self._ahead = None
        for record in rest if start < stop else ():
            yield record
            if record.stop >= stop:
                break
        self._ahead = tuple(names), stop, rest

    def without_header(self) -> Rows:
        """The same table where its first row is data; its columns are then named "1", "2" and so on."""
        return self

    def column(self, name: str, role: str | None = None, *, any_case: bool = False) -> str:
        """The name of a column that exists once, or that each row names itself.

        any_case: whether `name`, in small letters, also matches capital ones

        Raises:
            InputError: "pairs.tsv:1: no column 'sorce' for the source, did you mean 'source'?", "pairs.tsv:1: two
                columns are named 'source'".
        """
        columns = (*self.columns, *self.nested)
        known = [column.lower() for column in columns] if any_case else list(columns)
        if known and name not in known:
            raise InputError(missing(name, known, role=role), where=self.where)
        if known.count(name) > 1:
            raise InputError(f"two columns are named {name!r}", where=self.where)
        return columns[known.index(name)] if known else name

    def require(self, names: Sequence[str], content: CellKind) -> None:
        """Refuse columns whose declared type is not of this content; most formats declare none.

        Raises:
            InputError: "a.parquet: the column 'text' must contain strings, found Int64".
        """
        for name in names:
            if unfit := self._unfit(name, content):
                raise InputError(f"the column {name!r} must contain {content}, found {unfit}", where=self.where)

    def cell_type(self, name: str) -> type[str | bool | int | float]:
        """The type of a column's cells, or of the items of its lists, where the format declares one; otherwise str."""
        return str

    def _unfit(self, name: str, content: CellKind) -> str | None:
        """The declared type of a column where it is not of this content."""
        return None

    def chunks(self, names: Sequence[str]) -> Iterator[Chunk]:
        """The columns `names`, `CHUNK` rows at a time."""
        records = self.records(names)
        while rows := list(islice(records, CHUNK)):
            problems = {place: row.problem for place, row in enumerate(rows) if row.problem}
            yield Chunk([row.line for row in rows], [[row.cells.get(name) for row in rows] for name in names], problems)

    def frames(self, names: Sequence[str]) -> Iterator[tuple[Sequence[int], polars.DataFrame]]:
        """The columns `names`, some thousand rows at a time, with their lines; the first row with a problem raises."""
        import polars as pl

        for lines, columns, problems in self.chunks(names):
            for place, problem in problems.items():
                raise InputError(problem, where=f"{self.path}:{lines[place]}")
            series = {name: pl.Series(cells, dtype=pl.String) for name, cells in zip(names, columns, strict=True)}
            yield lines, pl.DataFrame(series)


@dataclass
class Refusals:
    """Items that cannot be used: refused, or skipped and counted; base of the readers' collections.

    name: the file or files, for errors and notes; "" where every place names its own
    unit: the name of an item in errors and notes
    read_as: how the file was read where it could be read otherwise (`Rows.notes`)
    """

    name: str
    skip_bad: bool = field(default=False, kw_only=True)
    unit: str = field(default="row", kw_only=True)
    skipped: int = field(default=0, kw_only=True)
    complaints: list[str] = field(default_factory=list, kw_only=True)
    read_as: Sequence[str] = field(default=(), kw_only=True)

    def refuse(self, problem: object, place: str) -> None:
        """Raise for a bad item, with the way to leave it out, or count it."""
        located = isinstance(problem, InputError) and str(problem).startswith(place)
        way = "" if self.skip_bad else f", or leave such {self.unit}s out by --skip-bad"
        error = InputError(f"{problem}{way}", where=None if located else place)
        if not self.skip_bad:
            raise error from None
        self.skipped += 1
        if len(self.complaints) < _SHOWN:
            self.complaints.append(str(error))

    def check_some(self, items: object, where: object = None, otherwise: str = "has a header but no rows") -> None:
        """Refuse files of which nothing could be used."""
        if not items:
            bad = f"no good {self.unit}: {self.skipped} bad ones, first {self.complaints[0]}" if self.skipped else ""
            raise InputError(bad or otherwise, where=where or self.name)

    def notes(self) -> list[str]:
        """Lines on how the file was read, and on the items that were skipped, if any."""
        where = f"{self.name}: " if self.name else ""
        notes = [where + note for note in self.read_as]
        if self.skipped:
            more = f"; and {self.skipped - len(self.complaints)} more" if self.skipped > len(self.complaints) else ""
            notes.append(
                f"{where}skipped {number_of(self.skipped, f'bad {self.unit}')}: {'; '.join(self.complaints)}{more}"
            )
        return notes
