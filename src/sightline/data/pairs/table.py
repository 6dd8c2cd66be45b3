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

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.data.pairs.columns import UNKNOWN, PairColumns
from sightline.data.rows.files import read_lines, without_blank_end
from sightline.data.rows.record import Refusals
from sightline.data.rows.text_columns import open_texts
from sightline.data.rows.texts import text_chunks


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
    """The columns of source and target; both None = those that `open_texts` derives.

    header: whether the first row names the columns; None = as `open_texts` derives it
    """

    source: str | None = None
    target: str | None = None
    header: bool | None = None


@final
@dataclass
class PairTable(Refusals):
    """Pairs with the line that each begins on, the rows that were skipped, and the names of the columns."""

    pairs: Pairs = field(default_factory=lambda: Pairs([], []))
    lines: array[int] = field(default_factory=lambda: array("q"))
    columns: PairColumns = UNKNOWN

    def add(self, line: int, source: str, target: str) -> None:
        """Append a pair."""
        self.pairs.sources.append(source)
        self.pairs.targets.append(target)
        self.lines.append(line)


def read_table(path: Path, columns: Columns, skip_bad: bool, trained: PairColumns = UNKNOWN) -> PairTable:
    """Read one file, whose name says its format.

    trained: the columns of the training table, which are read where this one has them and none is named
    """
    roles = [("source", columns.source), ("target", columns.target)]
    rows, texts = open_texts(path, roles, columns.header, (trained.source, trained.target))
    own = PairColumns(*(name for name, _ in texts)) if rows.named else UNKNOWN
    table = PairTable(str(path), skip_bad=skip_bad, read_as=[*rows.notes], columns=own)
    for lines, (sources, targets) in text_chunks(rows, texts, table):
        table.pairs.sources.extend(sources)
        table.pairs.targets.extend(targets)
        table.lines.extend(lines)
    table.check_some(table.lines)
    return table


def read_parallel(source: Path, target: Path, skip_bad: bool) -> PairTable:
    """Two text files, line i of the one paired with line i of the other.

    Raises:
        InputError: "train.de, train.en: 29000 lines against 28999".
    """
    table = PairTable(f"{source},{target}", skip_bad=skip_bad)
    counts = [0, 0]
    for pair in zip_longest(*map(without_blank_end, (read_lines(source), read_lines(target)))):
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
        raise InputError(f"{number_of(counts[0], 'line')} against {counts[1]:,}", where=f"{source}, {target}")
    table.check_some(table.lines)
    return table
