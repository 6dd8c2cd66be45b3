"""Tables of (source, target) pairs in any format of rows, and parallel text.

Reading is strict; with `skip_bad` a bad row is counted instead, and every other error still raises.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple, final

from sightline.core.errors import InputError
from sightline.data.rows.files import read_lines
from sightline.data.rows.formats import open_rows, suffix_of
from sightline.data.rows.record import Refusals, Rows
from sightline.data.rows.texts import text_rows


@final
@dataclass(frozen=True)
class Pairs:
    """Source and target texts, in step."""

    sources: list[str]
    targets: list[str]

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def sides(self) -> tuple[list[str], list[str]]:
        """Sources and targets."""
        return self.sources, self.targets

    def select(self, rows: Sequence[int]) -> Pairs:
        """The pairs of these numbers, in their order."""
        return Pairs([self.sources[row] for row in rows], [self.targets[row] for row in rows])


class Columns(NamedTuple):
    """The columns of source and target; both None = `source` and `target`, or the first two without a header."""

    source: str | None = None
    target: str | None = None


@final
@dataclass
class PairTable(Refusals):
    """Pairs with the line that each begins on, and the rows that were skipped."""

    pairs: Pairs = field(default_factory=lambda: Pairs([], []))
    lines: array[int] = field(default_factory=lambda: array("q"))

    def add(self, line: int, source: str, target: str) -> None:
        """Append a pair."""
        self.pairs.sources.append(source)
        self.pairs.targets.append(target)
        self.lines.append(line)


def read_table(path: Path, columns: Columns, skip_bad: bool) -> PairTable:
    """Read one file, whose name says its format."""
    rows, texts = open_texts(path, [("source", columns.source), ("target", columns.target)])
    table = PairTable(str(path), skip_bad=skip_bad)
    for line, (source, target) in text_rows(rows, texts, table):
        table.add(line, source, target)
    table.check_some(table.lines)
    return table


def open_texts(path: Path, columns: Sequence[tuple[str, str | None]]) -> tuple[Rows, list[tuple[str, str]]]:
    """A table of texts, and each column's name with its description in errors.

    columns: roles and their columns; where none is named, columns are named as their roles in any case, or are the
        first ones of a table without a header
    """
    rows = open_rows(path, hint="; two parallel text files are given as a,b" if suffix_of(path) in (".txt", "") else "")
    bare = rows.without_header()
    if bare is not rows and len(rows.columns) == 1:
        raise InputError("expected at least 2 columns, found 1", where=rows.where)
    optional = bare is not rows and not any(name for _, name in columns)
    if optional and not {role for role, _ in columns} <= {name.lower() for name in rows.columns}:
        rows, names = bare, bare.columns[: len(columns)]
    else:
        names = [rows.column(name or role, role, any_case=optional) for role, name in columns]
    return rows, [(name, f"the {role}") for name, (role, _) in zip(names, columns, strict=True)]


def read_parallel(source: Path, target: Path, skip_bad: bool) -> PairTable:
    """Two text files, line i of the one paired with line i of the other.

    Raises:
        InputError: "train.de, train.en: 29000 lines against 28999".
    """
    table = PairTable(f"{source},{target}", skip_bad=skip_bad)
    counts = [0, 0]
    for pair in zip_longest(read_lines(source), read_lines(target)):
        counts = [count + (line is not None) for count, line in zip(counts, pair, strict=True)]
        if None in pair:
            continue
        texts: list[str] = []
        for path, line in zip((source, target), pair, strict=True):
            assert line is not None
            problem = line.error or ("the line is empty" if not line.text or line.text.isspace() else None)
            if problem:
                table.refuse(problem, f"{path}:{line.number}")
                break
            texts.append(line.text)
        else:
            table.add(counts[0], *texts)
    if counts[0] != counts[1]:
        raise InputError(f"{counts[0]} lines against {counts[1]}", where=f"{source}, {target}")
    table.check_some(table.lines)
    return table
