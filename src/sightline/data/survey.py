"""A summary of a data set before it is trained on: counts, lengths, suspicious items with their places, and charts."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple, final

import numpy as np

from sightline.core.spelling import as_arguments

Numbers = Sequence[int] | Sequence[float] | np.ndarray

SHOWN = 10  # places of a finding
FAR = 6.0  # an item is far longer than usual beyond this many times the median
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_BINS = 24


class DataFinding(NamedTuple):
    """Suspicious items: a description, the file, a count, and the first places (line numbers or names)."""

    file: str
    problem: str
    rows: int
    lines: Sequence[int | str]

    def text(self) -> str:
        """The finding as a line."""
        of = "lines" if self.lines and isinstance(self.lines[0], int) else "at"
        shown = ", ".join(map(str, self.lines)) + (", …" if self.rows > len(self.lines) else "")
        return f"{self.file}: {self.problem}: {self.rows:,} {'row' if self.rows == 1 else 'rows'} ({of} {shown})"


class Chart(NamedTuple):
    """A small picture of the data: bars over names, steps or lines over numbers; `series` has a value for each x."""

    title: str
    kind: Literal["bars", "steps", "lines"]
    x_label: str
    y_label: str
    x: list[str] | list[float]
    series: dict[str, list[float]]
    log_x: bool = False


@final
@dataclass(frozen=True, repr=False)
class Survey:
    """A data set described in plain values.

    parts: of each part numbers by name, and spreads (`spread`) of what varies from item to item
    examples: the first item of each part, in words
    """

    data: str
    sha256: str
    parts: dict[str, dict[str, Any]]
    findings: list[DataFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    examples: dict[str, str] = field(default_factory=dict)
    charts: list[Chart] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        plain = asdict(self)
        plain["findings"] = [finding._asdict() for finding in self.findings]
        plain["charts"] = [
            {**chart._asdict(), "series": {name: _known(values) for name, values in chart.series.items()}}
            for chart in self.charts
        ]
        return plain

    def __repr__(self) -> str:
        return "\n".join(self.lines(as_arguments))

    def lines(self, spell: Callable[[str], str] = str) -> Iterator[str]:
        """The summary as text, line by line, with keys in notes spelled by `spell`."""
        yield f"{self.data}  sha256 {self.sha256[:16]}"
        yield ""
        names = list(dict.fromkeys(name for part in self.parts.values() for name in part))
        rows = [["part", *(name.replace("_", " ") for name in names)]]
        rows += [[part, *(_cell(numbers.get(name)) for name in names)] for part, numbers in self.parts.items()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
            yield "  ".join(cells).rstrip()
        yield ""
        yield from (f"first of {part}: {example}" for part, example in self.examples.items())
        yield from (f"note: {spell(note)}" for note in self.notes)
        yield from (f"look at {spell(finding.text())}" for finding in self.findings)


def _known(values: list[float]) -> list[float | None]:
    """The values, None where a line has none."""
    return [value if math.isfinite(value) else None for value in values]


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['min']:g}–{value['max']:g}, median {value['median']:g}" if value else ""
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def spread(values: Numbers) -> dict[str, float]:
    """Smallest, median, mean, 95th percentile and largest; empty without values."""
    x = np.asarray(values, float)
    if not x.size:
        return {}
    ends = {"min": x.min(), "median": np.median(x), "mean": x.mean(), "p95": np.percentile(x, 95), "max": x.max()}
    return {name: round(float(value), 4) for name, value in ends.items()}


def findings(
    file: str, items: Sequence[Any], places: Sequence[Any], looks: Mapping[str, Callable[[Any], bool]]
) -> list[DataFinding]:
    """For each way to look wrong, named by its problem, the items concerned, with their places."""
    wrong_places = {
        problem: [place for item, place in zip(items, places, strict=True) if wrong(item)]
        for problem, wrong in looks.items()
    }
    return [DataFinding(file, problem, len(at), at[:SHOWN]) for problem, at in wrong_places.items() if at]


def repeated(file: str, keys: Sequence[Any], places: Sequence[Any]) -> list[DataFinding]:
    """A finding on the items whose key another one has too; none where all keys differ."""
    times = Counter(keys)
    return findings(file, keys, places, {"the same source occurs more than once": lambda key: times[key] > 1})


def sound_looks() -> dict[str, Callable[[np.ndarray], bool]]:
    """Ways in which samples in [-1, 1] look wrong."""
    return {
        "silent, no sample beyond 0.001": lambda samples: float(np.abs(samples).max(initial=0.0)) < 1e-3,
        "clipped, a hundredth of the samples at full scale": lambda samples: bool(
            samples.size and (np.abs(samples) > 0.999).mean() > 0.01
        ),
    }


def text_looks(median: float) -> dict[str, Callable[[str], bool]]:
    """Ways in which a text looks wrong, where texts have `median` characters."""
    return {
        "far longer than most": lambda text: len(text) > max(20.0, FAR * median),
        "control characters": lambda text: bool(CONTROL.search(text)),
        "the replacement character U+FFFD": lambda text: "\ufffd" in text,
    }


def histogram(title: str, unit: str, values: Mapping[str, Numbers], items: str) -> list[Chart]:
    """The share of each part's items by value, on a logarithmic axis where values differ a hundredfold.

    One chart, or none where all values are the same.
    """
    whole = np.concatenate([np.zeros(0), *(np.asarray(part, float) for part in values.values())])
    if not whole.size:
        return []
    low, high = float(whole.min()), float(whole.max())
    if low == high:
        return []
    log = low > 0 and high > 100 * low
    if log:
        edges = np.geomspace(low, high * 1.0001, _BINS + 1)
    elif (whole == np.round(whole)).all():
        width = max(1, -(-int(high - low + 1) // _BINS))  # whole numbers fall inside of bins, equally many into each
        edges = np.arange(low - 0.5, high + width, width)
    else:
        edges = np.linspace(low, high, _BINS + 1)
    middles = np.sqrt(edges[1:] * edges[:-1]) if log else (edges[1:] + edges[:-1]) / 2
    shares = {
        name: (100 * np.histogram(part, edges)[0] / max(len(part), 1)).round(4).tolist()
        for name, part in values.items()
    }
    return [Chart(title, "steps", unit, f"% of {items}", [round(float(x), 6) for x in middles], shares, log)]


def bars(title: str, counts: Mapping[str, Mapping[str, int]], items: str, most: int = 20) -> Chart:
    """A chart of how often each name occurs in each part, the most common first."""
    total: dict[str, int] = {}
    for of_part in counts.values():
        for name, count in of_part.items():
            total[name] = total.get(name, 0) + count
    names = sorted(total, key=lambda name: (-total[name], name))[:most]
    kept = f"{title} (the {most} commonest of {len(total)})" if len(total) > most else title
    return Chart(kept, "bars", "", items, names, {p: [float(c.get(n, 0)) for n in names] for p, c in counts.items()})
