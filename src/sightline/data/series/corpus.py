"""Series read from a file or generated (`load.csv`, `builtin:seasonal`), divided by time and scaled by their past."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, final

import numpy as np

from sightline.core.errors import InputError
from sightline.data.rows.formats import suffix_of, suffixes
from sightline.data.series.builtin import Truth, generate
from sightline.data.series.markers import markers
from sightline.data.series.panel import Evenness, Panel, Series, cut, make_panel
from sightline.data.series.roles import SeriesColumns
from sightline.data.series.table import SERIES_FORMS, read_series_table
from sightline.data.series.whole import WHOLE, read_whole_series
from sightline.data.split import PARTS, by_time

__all__ = [
    "Evenness",
    "Panel",
    "Series",
    "SeriesColumns",
    "SeriesData",
    "SeriesScaling",
    "load_panel",
    "load_series",
]

ROUNDING = 1e-12  # of the largest value: a difference that is not one
SOURCES = f"a {suffixes(SERIES_FORMS)} table of series, a {', '.join(WHOLE)} file, or builtin:seasonal"


@final
@dataclass(frozen=True)
class SeriesData:
    """A panel divided by time: the same times are in the same part in every series.

    bounds: indices on the grid where training begins, and where each of train, valid and test ends
    sha256: of values, times and names, whatever file they came in
    truth: of built-in series, the process that generated them
    """

    name: str
    panel: Panel
    bounds: tuple[int, int, int, int]
    sha256: str
    notes: tuple[str, ...] = ()
    truth: Truth | None = None

    def span(self, part: str) -> tuple[int, int]:
        """The steps on the grid, from and up to, whose values belong to the part."""
        place = PARTS.index(part)
        return self.bounds[place], self.bounds[place + 1]

    @property
    def sizes(self) -> dict[str, int]:
        """Values of each part, all series together."""
        return {part: sum(len(rows) for rows in self.values(part)) for part in PARTS}

    def values(self, part: str) -> list[np.ndarray]:
        """The values (T, C) of each series in the part; T may be 0."""
        low, high = self.span(part)
        return [r.values[max(low - r.start, 0) : max(high - r.start, 0)] for r in self.panel.records]


def load_panel(
    data: str | Path, columns: SeriesColumns | None = None, rules: Evenness | None = None, *, short: bool = False
) -> Panel:
    """The series of a file; `short` allows too few times to find the step between them, which is then a note.

    Raises:
        InputError: any problem with the file, in one line with its place (see `read_series_table`, `make_panel`).
    """
    if not str(data):
        raise InputError(f"no data: give {SOURCES}")
    path, columns, rules = Path(data), columns or SeriesColumns(), rules or Evenness()
    if suffix_of(path) in WHOLE:
        table = read_whole_series(path, columns, rules.every)
    else:
        table = read_series_table(path, columns)
    if short and len(np.unique(table.stamps.values)) == 1 and not (rules.every or table.every):
        every = "1" if table.stamps.kind == "number" else "1d"
        note = f"one time, {table.stamps.text(0)}: the step is not known: set --every"
        table = table._replace(every=every, notes=(*table.notes, note))
    panel = make_panel(table, rules)
    return replace(panel, notes=(*panel.notes, *_marker_notes(panel)))


def load_series(
    data: str | Path,
    columns: SeriesColumns | None = None,
    rules: Evenness | None = None,
    *,
    split: tuple[float, float, float] = (0.7, 0.1, 0.2),
    short: bool = False,
) -> SeriesData:
    """Read and divide series.

    split: shares of all times, at most 1 together, or numbers of steps, as in (8640, 2880, 2880); steps beyond are not
        used
    short: whether series that are too short to be divided are all training, with a note

    Raises:
        InputError: what `load_panel` raises; "split: 3 steps of training, 0 of validation …".
    """
    name, truth = str(data), None
    if name.startswith("builtin:"):
        if columns not in (None, SeriesColumns()) or rules not in (None, Evenness()):
            raise InputError("built-in series have no columns to name and no gaps to fill", where=name)
        panel, truth = generate(name)
    else:
        panel = load_panel(data, columns, rules, short=short)
    notes = [*panel.notes]
    try:
        bounds = by_time(panel.start, panel.end, split)
    except InputError as error:
        if not short:
            raise
        bounds = (panel.start, panel.end, panel.end, panel.end)
        notes.append(f"nothing can be trained on this: {error}")
    digest = _sha256(panel)
    unused = panel.end - bounds[-1]
    if unused:
        notes.append(f"the split leaves out the last {unused:,} of {panel.end - panel.start:,} steps")
    return SeriesData(name, cut(panel, bounds[-1]), bounds, digest, tuple(notes), truth)


def _marker_notes(panel: Panel) -> list[str]:
    """A note on each number that probably marks missing values: an extreme one, repeated, far from all others."""
    notes = []
    for place, column in enumerate(panel.targets):
        values = np.concatenate([record.values[:, place] for record in panel.records])
        for extreme, count in markers(values):
            number = f"{extreme:g}" if float(f"{extreme:g}") == extreme else repr(extreme)
            notes.append(
                f"{count:,} values of {column!r} are {number}, far from all others: if this marks missing "
                f"values, read it so with --missing={number}, and fill them with --fill"
            )
    return notes


def _sha256(panel: Panel) -> str:
    digest = hashlib.sha256()
    head = [panel.grid.text(0), panel.grid.every, *panel.targets, "", *panel.past, "", *panel.known]
    digest.update("\0".join(head).encode())
    for record in panel.records:
        digest.update(f"\0{record.name}\0{record.start}\0".encode())
        for values in record[2:]:
            digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
    return digest.hexdigest()


class SeriesScaling(NamedTuple):
    """The mean that is subtracted from values and the spread that they are divided by, fitted to training alone.

    center, spread: (R, C), by series and column; NaN for a series that is not in training, of which each window is
        scaled by its own look-back (see `level_and_spread`), which is all that a forecast may see
    past, known: (2, P), (2, K), center and spread of covariates, all series together
    """

    center: np.ndarray
    spread: np.ndarray
    past: np.ndarray
    known: np.ndarray

    @property
    def unseen(self) -> np.ndarray:
        """Which series (R,) are not in training."""
        return np.asarray(np.isnan(self.center).any(1))

    def scaled(self, panel: Panel) -> Panel:
        """The panel with every value as (value - center) / spread; NaN in series that are not in training."""
        records = [
            record._replace(
                values=(record.values - self.center[i]) / self.spread[i],
                past=(record.past - self.past[0]) / self.past[1],
                known=(record.known - self.known[0]) / self.known[1],
            )
            for i, record in enumerate(panel.records)
        ]
        return replace(panel, records=tuple(records))


def fit_scaling(data: SeriesData, kind: Literal["standard", "none"] = "standard") -> SeriesScaling:
    """Mean and standard deviation (divided by N, as scikit-learn's StandardScaler) of each column in training.

    A column that does not vary, up to rounding, keeps its size (spread 1). A series without two training
    values gets the mean and spread of all series together.
    """
    series = data.values("train")
    shape = (len(series), len(data.panel.targets))
    whole = np.concatenate(series)
    low, high = data.span("train")

    def pooled(rows: np.ndarray) -> np.ndarray:
        if kind == "none" or not len(rows):
            return np.stack([np.zeros(rows.shape[1]), np.ones(rows.shape[1])])
        return np.stack(level_and_spread(rows))

    def covariates(of: str) -> np.ndarray:
        rows = [getattr(r, of)[max(low - r.start, 0) : max(high - r.start, 0)] for r in data.panel.records]
        return pooled(np.concatenate(rows))

    if kind == "none":
        center, spread = np.zeros(shape), np.ones(shape)
    else:
        every = pooled(whole)
        parts = [np.stack(level_and_spread(rows)) if len(rows) > 1 else every for rows in series]
        center, spread = np.stack([part[0] for part in parts]), np.stack([part[1] for part in parts])
    return SeriesScaling(center, spread, covariates("past"), covariates("known"))


def level_and_spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the standard deviation (C,) of values (T, C); a spread of 1 where it is zero or rounding."""
    spread = values.std(0)
    return values.mean(0), np.where(spread > ROUNDING * np.abs(values).max(0), spread, 1.0)
