"""The archives of labelled series: aeon's `.ts` (UEA, tsml), and the table without a header of the UCR archive.

Both are read as rows with the cells `series`, a list of steps, and the label.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, final

from sightline.core.errors import InputError
from sightline.data.rows.files import TextLine, read_lines
from sightline.data.rows.numbers import is_number
from sightline.data.rows.record import Record, Rows

SUFFIX = ".ts"
SERIES = "series"
_SAMPLED_ROWS = 1000


@final
class TimeSeriesFile(Rows):
    """A `.ts` file: tags such as `@univariate true`, and after `@data` a line for each series, its dimensions and its
    label between colons.

    Raises:
        InputError: "a.ts:3: @timestamps true: …", "a.ts:9: @classLabel false: …", "a.ts: has no line @data".
    """

    def __init__(self, path: Path, label: str) -> None:
        self._label = label
        last = self._data(path, read_lines(path))
        super().__init__(path, (SERIES, label), last)

    def records(self, names: Sequence[str] | None = None) -> Iterator[Record]:
        lines = read_lines(self.path)
        self._data(self.path, lines)
        for line in lines:
            text = line.text.strip()
            if line.error or (text and text[0] not in "#%"):
                yield self._record(line, text)

    def _record(self, line: TextLine, text: str) -> Record:
        *channels, label = text.split(":")
        steps = [[value.strip() for value in channel.split(",")] for channel in channels]
        lengths = {len(channel) for channel in steps}
        problem = line.error
        if problem is None and not channels:
            problem = "expected values and a label, with a colon between them"
        elif problem is None and "(" in text:
            problem = "time stamps in brackets are not read: save the values alone"
        elif problem is None and len(lengths) > 1:
            problem = f"the dimensions have {min(lengths)} to {max(lengths)} values, expected the same number"
        if problem:
            return Record(line.number, {}, problem, line.stop)
        series = [["nan" if value == "?" else value for value in step] for step in zip(*steps, strict=True)]
        return Record(line.number, {SERIES: series, self._label: label}, None, line.stop)

    @staticmethod
    def _data(path: Path, lines: Iterator[TextLine]) -> int:
        """The line of `@data`, up to which the tags are read."""
        labelled = False
        for line in lines:
            where = f"{path}:{line.number}"
            tag, *values = line.text.lower().split() or [""]
            if tag == "@data":
                if not labelled:
                    raise InputError("no class labels are declared before it: expected @classLabel true …", where=where)
                return line.number
            if tag == "@timestamps" and values[:1] == ["true"]:
                raise InputError("@timestamps true: time stamps are not read, save the values alone", where=where)
            if tag == "@targetlabel" and values[:1] == ["true"]:
                raise InputError("@targetLabel true: targets are numbers, expected classes", where=where)
            if tag and tag[0] not in "@#%":
                raise InputError(f"expected a tag such as @data, found {line.text[:40]!r}", where=where)
            labelled |= tag == "@classlabel" and values[:1] == ["true"]
        raise InputError("has no line @data", where=path)


def without_header(rows: Rows) -> bool:
    """Whether the first row of a table is a label and a series, as in the UCR archive, and not the columns' names."""
    names = rows.columns
    counted = [str(number) for number in range(int(names[:1] == ("1",)), len(names) + 1)][: len(names)]
    return (
        len(names) > 2 and all(map(is_number, names)) and list(names) != counted and rows.without_header() is not rows
    )


def label_first(rows: Rows) -> bool:
    """Whether all cells of a table without a header are numbers, the first of each row one of a few labels."""
    if not without_header(rows):
        return False
    sample = [[*record.cells.values()] for record in islice(rows.without_header().records(), _SAMPLED_ROWS)]
    sample = [cells for cells in sample if cells]
    labels = Counter(str(cells[0]).strip() for cells in sample)
    whole = all(re.fullmatch(r"[+-]?\d+(\.0*)?(e[+-]?\d+)?", label, re.IGNORECASE) for label in labels)
    return whole and 1 < len(labels) <= len(sample) / 2 and all(is_number(cell) for cells in sample for cell in cells)


@final
class LabelFirst(Rows):
    """A table without a header: a label, then the steps of a series of one channel, filled up with NaN to one width.

    padded: the rows so far that were filled up
    """

    def __init__(self, rows: Rows, label: str) -> None:
        super().__init__(rows.path, (SERIES, label))
        self._rows, self._label = rows.without_header(), label
        self.padded = 0

    def records(self, names: Sequence[str] | None = None) -> Iterator[Record]:
        for record in self._rows.records():
            label, *steps = record.cells.values() or [""]
            count = len(steps)
            while steps and _is_nan(steps[-1]):
                steps.pop()
            self.padded += len(steps) < count
            cells: dict[str, Any] = {} if record.problem else {SERIES: steps, self._label: label}
            yield record._replace(cells=cells)


def _is_nan(value: Any) -> bool:
    try:
        return math.isnan(float(value))
    except (TypeError, ValueError):
        return False
