"""Files with a whole series in each row: JSON lines of GluonTS, and `.tsf` files of the Monash archive.

A row has the time of its first value; the others follow at a step that is the same for all series.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sightline.core.errors import InputError
from sightline.data.rows.files import TextLine, read_lines
from sightline.data.rows.formats import suffix_of
from sightline.data.series.grid import grid_of, month_day, parse_every
from sightline.data.series.roles import SeriesColumns
from sightline.data.series.table import SeriesTable, numbers_of
from sightline.data.series.times import DAY, BadTime, Stamps, stamps_of

# Units of `every` by the names that pandas and the Monash archive have for frequencies; MS and QS begin months.
_UNITS = {
    "MS": "mo", "ms": "ms", "l": "ms", "s": "s", "seconds": "s", "min": "min", "t": "min", "minutely": "min",
    "minutes": "min", "h": "h", "hourly": "h", "hours": "h", "d": "d", "daily": "d", "days": "d", "b": "b", "w": "w",
    "weekly": "w", "weeks": "w", "m": "mo", "me": "mo", "monthly": "mo", "months": "mo", "q": "q", "qe": "q", "qs": "q",
    "quarterly": "q", "quarters": "q", "y": "y", "ye": "y", "ys": "y", "a": "y", "yearly": "y", "years": "y",
}  # fmt: skip


class _SeriesRow(NamedTuple):
    """One series of a file: its channels are lists of cells of the same length."""

    line: int
    name: str
    start: str | None
    channels: Sequence[Sequence[Any]]


class _Content(NamedTuple):
    """The rows of a file, the frequency that it names, and what it has besides."""

    rows: list[_SeriesRow]
    frequency: str | None
    unread: list[str]


def read_whole_series(path: Path, columns: SeriesColumns, every: str | None) -> SeriesTable:
    """Read one file whose suffix is in `WHOLE`; `every` is the step where the file names none.

    Raises:
        InputError: "a.tsf:17: expected 3 parts between colons, found 2"; "data.json: names no step: give --every, such
            as 1h".
    """
    import polars as pl

    if any(name is not None for name in (columns.time, columns.series, *columns.past, *columns.known)):
        raise InputError("has one series a row: only --targets can be named", where=path)
    rows, frequency, unread = WHOLE[suffix_of(path)](path)
    if not rows:
        raise InputError("has no series", where=path)
    width = len(rows[0].channels)
    names = ("target",) if width == 1 else tuple(f"target_{channel}" for channel in range(width))
    targets = columns.targets or names
    for name in targets:
        if name not in names:
            raise InputError(f"no column {name!r} for the target; columns: {', '.join(names)}", where=path)
    for row in rows:
        if {len(channel) for channel in row.channels} != {len(row.channels[0])} or len(row.channels) != width:
            raise InputError(f"expected {width} channels of one length", where=f"{path}:{row.line}")
    lengths = [len(row.channels[0]) for row in rows]
    line = np.repeat([row.line for row in rows], lengths)
    cells = {
        name: [None if cell is None else str(cell) for row in rows for cell in row.channels[place]]
        for place, name in enumerate(names)
    }
    frame = pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String))
    values = numbers_of(frame, targets, path, line.tolist(), columns.missing)
    notes = [f"not read: {', '.join(unread)}"] if unread else []
    steps = np.concatenate([np.arange(length) for length in lengths])
    series = np.repeat(np.array([row.name for row in rows], dtype=object), lengths)
    if all(row.start is None for row in rows):
        notes.append("the series have no times: their steps are numbered")
        stamps, every = Stamps(steps, "number"), "1"
    else:
        every = every or _every(frequency, path)
        try:
            first = stamps_of(pl.Series([row.start for row in rows]), columns.time_format, columns.time_zone)
        except BadTime as error:
            raise InputError(str(error), where=f"{path}:{rows[error.row].line}") from None
        try:
            kind, step = parse_every(every, first.kind, first.written.scale)
        except InputError as error:
            raise InputError(str(error), where=path) from None
        grid = grid_of(kind, 1, first.values, first.written)
        if kind == "month" and month_day(first.values) is None:
            notes.append("the series begin on different days of a month: their times are those of its first day")
        stamped = grid.stamps(np.repeat(grid.counted(first.values), lengths) + step * steps)
        dates = first.kind == "time" and first.written.zone is None and bool((stamped % DAY == 0).all())
        stamps = first._replace(values=stamped, written=first.written._replace(dates=dates))
    return SeriesTable(str(path), "start", line, stamps, series, values, targets, (), (), tuple(notes), every)


def _every(frequency: str | None, path: Path) -> str:
    """A frequency such as "W-SUN", "15min" or "half_hourly" as a step."""
    match = re.fullmatch(r"(half|\d*)_?([A-Za-z]+)(-.*)?", frequency or "")
    unit = match and (_UNITS.get(match[2]) or _UNITS.get(match[2].lower()))
    if not match or unit is None:
        problem = "names no step" if frequency is None else f"unknown frequency {frequency!r}"
        raise InputError(f"{problem}: give --every, such as 1h", where=path)
    return "30min" if match[1] == "half" else f"{match[1] or 1}{unit}"


def _checked(path: Path) -> Iterator[TextLine]:
    for line in read_lines(path):
        if line.error:
            raise InputError(line.error, where=f"{path}:{line.number}")
        if line.text.strip():
            yield line


def _gluonts(path: Path) -> _Content:
    """JSON lines: {"start": "2024-01-01", "target": [1, 2], "item_id": "a"}; the frequency is in metadata.json."""
    rows, unread = [], {}
    for number, text, _, _ in _checked(path):
        where = f"{path}:{number}"
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"bad JSON: {error}", where=where) from None
        if not isinstance(entry, dict) or not {"start", "target"} <= set(entry):
            raise InputError('expected an object with the keys "start" and "target"', where=where)
        target, start = entry["target"], str(entry["start"])
        if not isinstance(target, list) or not target:
            raise InputError('expected "target" to be a list of numbers', where=where)
        channels = target if all(isinstance(channel, list) for channel in target) else [target]
        start = f"{start}-01" if re.fullmatch(r"\d{4}", start) else start  # the period of a year
        rows.append(_SeriesRow(number, str(entry.get("item_id", number)), start, channels))
        unread |= dict.fromkeys(entry)
    folder, other = path.parent, path.parent.parent
    metadata = (folder / "metadata.json", other / "metadata.json", other / "metadata" / "metadata.json")
    place = next((place for place in metadata if place.is_file()), None)
    try:
        frequency = None if place is None else json.loads(place.read_bytes()).get("freq")
    except (ValueError, OSError, AttributeError):
        frequency = None
    return _Content(rows, frequency, [key for key in unread if key not in ("start", "target", "item_id")])


def _monash(path: Path) -> _Content:
    """Tags that begin with @, then `T1:1979-01-01 00-00-00:1,?,3` (Godahewa et al. 2021, arXiv:2105.06643)."""
    rows, attributes, frequency, begun = [], {}, None, False
    for number, text, _, _ in _checked(path):
        words = text.split()
        if text.startswith("#"):
            continue
        if not begun and text.startswith("@"):
            begun = words[0] == "@data"
            if words[0] == "@attribute" and len(words) == 3:
                attributes[words[1]] = words[2]
            if words[0] == "@frequency":
                frequency = words[-1]
            continue
        *parts, values = text.split(":")
        if not begun or len(parts) != len(attributes):
            problem = f"expected {len(attributes) + 1} parts between colons, found {len(parts) + 1}"
            raise InputError(problem if begun else "expected a tag such as @attribute or @data",
                             where=f"{path}:{number}")  # fmt: skip
        of = dict(zip(attributes, parts, strict=True))
        start = next((of[name] for name, kind in attributes.items() if kind == "date"), None)
        if start is not None:
            start = re.sub(r" (\d\d)-(\d\d)-(\d\d)$", r" \1:\2:\3", start.strip())
        name = next((of[name] for name, kind in attributes.items() if kind == "string"), str(number))
        cells = [None if cell.strip() == "?" else cell for cell in values.split(",")]
        rows.append(_SeriesRow(number, name.strip(), start, [cells]))
    strings = [name for name, kind in attributes.items() if kind == "string"]
    dates = [name for name, kind in attributes.items() if kind == "date"]
    return _Content(rows, frequency, [name for name in attributes if name not in (*strings[:1], *dates[:1])])


# What reads the rows of a file, by its suffix.
WHOLE: dict[str, Callable[[Path], _Content]] = {
    ".tsf": _monash, **dict.fromkeys((".json", ".jsonl", ".ndjson"), _gluonts)
}  # fmt: skip
