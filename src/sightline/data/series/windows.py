"""Windows of series: a look-back that is read and a horizon to forecast, from every possible origin.

The windows of validation and test read into the part before them, as the published protocol of long-horizon forecasting
does (Zhou et al. 2021, Informer), and forecast inside their own part alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.data.batches import BatchStream, generator, in_batches
from sightline.data.corpus import Corpus
from sightline.data.series.builtin import Truth
from sightline.data.series.corpus import SeriesData, SeriesScaling
from sightline.data.series.describe import survey_series
from sightline.data.series.panel import Panel, Series
from sightline.data.split import PARTS
from sightline.data.survey import Survey


@final
@dataclass(frozen=True)
class Windows:
    """Some windows of a panel.

    record, origin: (N,), for each window the number of its series and the index in it of the first step to forecast
    """

    panel: Panel
    lookback: int
    horizon: int
    record: np.ndarray
    origin: np.ndarray
    truth: Truth | None = None

    def __len__(self) -> int:
        return len(self.record)

    def select(self, rows: Sequence[int] | np.ndarray) -> Windows:
        """The windows of these numbers, in their order."""
        index = np.asarray(rows, dtype=np.int64)
        return replace(self, record=self.record[index], origin=self.origin[index])

    def time(self, row: int) -> str:
        """When the first step that a window forecasts is."""
        return self.panel.grid.text(self.panel.records[self.record[row]].start + int(self.origin[row]))


@final
@dataclass(frozen=True, kw_only=True)
class WindowCorpus(Corpus[Windows]):
    """Series with the windows of each part."""

    series: SeriesData

    def describe(self) -> Survey:
        """Counts, spans, sizes, the commonest period, and columns that look wrong, with the times."""
        return survey_series(self.series)


def make_windows(series: SeriesData, lookback: int, horizon: int, *, limit: int | None = None) -> WindowCorpus:
    """Every window of each part; `limit` keeps the first `limit` of each.

    Raises:
        InputError: "load.csv: no window of 336 + 96 steps fits into the train part, whose longest series has 300: …".
    """
    parts = {part: windows_of(series, part, lookback, horizon) for part in PARTS}
    if limit is not None:
        parts = {part: windows.select(np.arange(min(limit, len(windows)))) for part, windows in parts.items()}
    return WindowCorpus(series.name, **parts, sha256=series.sha256, notes=series.notes, series=series)


def windows_of(series: SeriesData, part: str, lookback: int, horizon: int) -> Windows:
    """Every window whose horizon lies in the part; those of training lie in it whole."""
    low, high = series.span(part)
    first = series.bounds[0]
    records, origins = _between(series.panel, lookback, horizon, first, low, high)
    if not len(records):
        longest = max(len(rows) for rows in series.values(part))
        before = 0 if part == "train" else low - first
        reads = f", with {before} before it" if before else ""
        raise InputError(
            f"no window of {lookback} + {horizon} steps fits into the {part} part, whose longest series has {longest}"
            f"{reads}: lower lookback or horizon, or split otherwise",
            where=series.name,
        )
    return Windows(series.panel, lookback, horizon, records, origins, series.truth)


def all_windows(panel: Panel, lookback: int, horizon: int) -> Windows:
    """Every window of the whole panel; raises `InputError` where none fits."""
    records, origins = _between(panel, lookback, horizon, panel.start, panel.start, panel.end)
    if not len(records):
        raise InputError(f"no series has {lookback} + {horizon} steps", where=panel.name)
    return Windows(panel, lookback, horizon, records, origins)


def _between(
    panel: Panel, lookback: int, horizon: int, first: int, low: int, high: int
) -> tuple[np.ndarray, np.ndarray]:
    """Windows that read from `first` on and forecast inside [low, high), all on the grid."""
    records, origins = [], []
    for number, record in enumerate(panel.records):
        begin = max(low, first + lookback, record.start + lookback) - record.start
        end = min(high, record.end) - record.start - horizon + 1
        origin = np.arange(begin, max(end, begin))
        records.append(np.full(len(origin), number))
        origins.append(origin)
    return np.concatenate(records), np.concatenate(origins)


def forecastable(panel: Panel, lookback: int, horizon: int) -> tuple[Panel, dict[str, str]]:
    """The panel without the series that cannot be forecast, and for each of these, by name, the reason.

    Raises:
        InputError: none can be: "load.csv: 'a' has 20 steps, but the model reads 96"; "load.csv: 'a' has 3 steps of
            'holiday' beyond the last value, but a forecast needs 24".
    """
    reasons: dict[str, str] = {}
    for record in panel.records:
        steps, ahead = len(record.values), len(record.known) - len(record.values)
        if steps < lookback:
            reasons[record.name] = f"{steps} steps, but the model reads {lookback}"
        elif panel.known and ahead < horizon:
            known = ", ".join(map(repr, panel.known))
            reasons[record.name] = f"{ahead} steps of {known} beyond the last value, but a forecast needs {horizon}"
    if len(reasons) == len(panel.records):
        name, reason = next(iter(reasons.items()))
        raise InputError(f"{name!r} has {reason}" if name else f"has {reason}", where=panel.name)
    return replace(panel, records=tuple(record for record in panel.records if record.name not in reasons)), reasons


def next_windows(panel: Panel, lookback: int, horizon: int) -> Windows:
    """One window for each series of a `forecastable` panel, whose horizon begins after its last value; its values there
    are zero.
    """
    records = []
    for record in panel.records:
        steps = len(record.values)
        values, past = (np.pad(rows, ((0, horizon), (0, 0))) for rows in (record.values, record.past))
        known = record.known[: steps + horizon] if panel.known else np.zeros((steps + horizon, 0))
        records.append(Series(record.name, record.start, values, past, known))
    origin = np.array([len(record.values) for record in panel.records])
    return Windows(replace(panel, records=tuple(records)), lookback, horizon, np.arange(len(records)), origin)


class WindowBatch(NamedTuple):
    """Some windows, scaled.

    values: (B, L, C) float32, the look-back; past: (B, L, P) and known: (B, L + H, K), covariates
    future: (B, H, C), the horizon
    rows: number of each window in the part
    """

    values: Tensor
    past: Tensor
    known: Tensor
    future: Tensor
    rows: tuple[int, ...]

    def to(self, device: torch.device | str) -> WindowBatch:
        """The same batch on `device`."""
        return WindowBatch(*(tensor.to(device) for tensor in self[:4]), rows=self.rows)


def _check_finite(panel: Panel, scaled: list[list[np.ndarray]]) -> None:
    """Refuses values that are too far from those of training to be computed with.

    scaled: of targets, past and known covariates the numbers of each series (T, ·)
    """
    for columns, rows in zip((panel.targets, panel.past, panel.known), scaled, strict=True):
        for record, numbers in zip(panel.records, rows, strict=True):
            if not np.isfinite(numbers).all():
                step, column = np.argwhere(~np.isfinite(numbers))[0]
                of = f" of {record.name!r}" if record.name else ""
                raise InputError(
                    f"{columns[column]!r}{of} at {panel.grid.text(record.start + int(step))} is too large beside the "
                    "values of training",
                    where=panel.name,
                )


@final
class WindowBatches(BatchStream[WindowBatch]):
    """Batches of `size` windows, shuffled differently in each epoch or in order; the last may be smaller."""

    def __init__(
        self, windows: Windows, scaling: SeriesScaling, *, size: int, seed: int = 0, shuffle: bool = True
    ) -> None:
        super().__init__(("batch_size", size), seed=seed, shuffle=shuffle)
        if not len(windows):
            raise InputError("no windows to make batches of", where=windows.panel.name)
        self.windows = windows
        records = scaling.scaled(windows.panel).records
        with np.errstate(over="ignore"):
            scaled = [
                [getattr(record, role).astype(np.float32) for record in records] for role in ("values", "past", "known")
            ]
        _check_finite(windows.panel, scaled)
        self._values, self._past, self._known = (torch.from_numpy(np.concatenate(rows)) for rows in scaled)
        ends = np.cumsum([[len(r.values), len(r.known)] for r in records], 0)  # (R, 2)
        starts = np.concatenate([np.zeros((1, 2), dtype=np.int64), ends[:-1]])
        self._value_at = torch.from_numpy(starts[windows.record, 0] + windows.origin)
        self._known_at = torch.from_numpy(starts[windows.record, 1] + windows.origin)

    def plan(self, epoch: int) -> list[np.ndarray]:
        count = len(self.windows)
        order = generator(self.seed, "windows", epoch).permutation(count) if self.shuffle else np.arange(count)
        return in_batches(order, self.size)

    def batch(self, rows: np.ndarray) -> WindowBatch:
        index = torch.from_numpy(rows)
        back, ahead = self.windows.lookback, self.windows.horizon
        before = torch.arange(-back, 0)
        whole = torch.arange(-back, ahead)
        at = self._value_at[index, None]
        return WindowBatch(
            self._values[at + before],
            self._past[at + before],
            self._known[self._known_at[index, None] + whole],
            self._values[at + torch.arange(ahead)],
            tuple(rows.tolist()),
        )
