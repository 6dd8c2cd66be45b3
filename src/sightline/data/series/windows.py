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

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.data.batches import BatchStream, generator, in_batches
from sightline.data.corpus import Corpus
from sightline.data.series.builtin import Truth
from sightline.data.series.corpus import SeriesData, SeriesScaling, level_and_spread
from sightline.data.series.describe import survey_series
from sightline.data.series.panel import Panel, Series
from sightline.data.series.seasons import find_season
from sightline.data.split import PARTS
from sightline.data.survey import Survey


@final
@dataclass(frozen=True)
class Windows:
    """Some windows of a panel.

    record, origin: (N,), for each window the number of its series and the index in it of the first step to forecast
    span: where windows of this kind begin to read, and the steps that they forecast, from and up to, on the grid
    """

    panel: Panel
    lookback: int
    horizon: int
    record: np.ndarray
    origin: np.ndarray
    span: tuple[int, int, int]
    truth: Truth | None = None

    def __len__(self) -> int:
        return len(self.record)

    def select(self, rows: Sequence[int] | np.ndarray) -> Windows:
        """The windows of these numbers, in their order."""
        index = np.asarray(rows, dtype=np.int64)
        return replace(self, record=self.record[index], origin=self.origin[index])

    def of_size(self, lookback: int, horizon: int) -> Windows:
        """All windows of another size over the same steps; `InputError` where none fits."""
        records, origins = _between(self.panel, lookback, horizon, *self.span)
        if not len(records):
            raise InputError(f"no series has {lookback} + {horizon} steps", where=self.panel.name)
        return replace(self, lookback=lookback, horizon=horizon, record=records, origin=origins)

    def time(self, row: int) -> str:
        """When the first step that a window forecasts is."""
        return self.panel.grid.text(self.panel.records[self.record[row]].start + int(self.origin[row]))


@final
@dataclass(frozen=True, kw_only=True)
class WindowCorpus(Corpus[Windows]):
    """Series with the windows of each part; `season` is the one that was set."""

    series: SeriesData
    season: int | None = None

    def describe(self) -> Survey:
        """Counts, spans, sizes, the commonest period, and columns that look wrong, with the times."""
        return survey_series(self.series, self.season)


def make_windows(
    series: SeriesData,
    lookback: int = 0,
    horizon: int = 0,
    *,
    limit: int | None = None,
    season: int | None = None,
    multiple: int = 1,
) -> WindowCorpus:
    """Every window of each part; `limit` keeps the first `limit` of each.

    A look-back or horizon of 0 follows from `season` and length (see `usual_sizes`), with a note.

    Raises:
        InputError: "load.csv: no window of 336 + 96 steps fits into the train part, whose longest series has 300: …".
    """
    notes = series.notes
    if not lookback or not horizon:
        lookback, horizon, reason = usual_sizes(series, lookback, horizon, season, multiple)
        notes += (f"look-back {lookback} and horizon {horizon}, {reason} (--lookback, --horizon)",)
    parts = {part: windows_of(series, part, lookback, horizon) for part in PARTS}
    if limit is not None:
        parts = {part: windows.select(np.arange(min(limit, len(windows)))) for part, windows in parts.items()}
    return WindowCorpus(series.name, *parts.values(), sha256=series.sha256, notes=notes, series=series, season=season)


def usual_sizes(
    series: SeriesData, lookback: int, horizon: int, season: int | None, multiple: int
) -> tuple[int, int, str]:
    """The look-back and horizon to use where they are 0, and the reason in words.

    A horizon of one season (several where that is less than 6 steps, at most 96 steps) and a look-back of four (at most
    384 steps, or one season); 24 and 96 steps without a season. Less where the longest series is too short for that.

    season: the season in steps, None = estimated from training
    multiple: the look-back is a multiple of it
    """
    season = season or find_season(series.values("train"), series.panel.grid.season)
    train, valid, test = (max(len(rows) for rows in series.values(part)) for part in PARTS)
    usual = season * -(-6 // season) if season > 1 else 24
    usual_ahead, usual_back = min(usual, 96), min(4 * usual, max(384, season))
    room = train - lookback if lookback else train // 4
    ahead = horizon or max(1, min(usual_ahead, valid, test, room))
    back = lookback or max(1, min(usual_back, train // 2, train - ahead))
    if not lookback:
        back = max(multiple, back // multiple * multiple)
    reason = f"as the season has {season} steps" if season > 1 else "as usual without a season"
    short = (ahead < usual_ahead and not horizon) or (back + multiple <= usual_back and not lookback)
    return back, ahead, f"as the parts have {train}, {valid} and {number_of(test, 'step')}" if short else reason


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
    return Windows(series.panel, lookback, horizon, records, origins, (first, low, high), series.truth)


def all_windows(panel: Panel, lookback: int, horizon: int) -> Windows:
    """Every window of the whole panel; raises `InputError` where none fits."""
    empty = np.zeros(0, dtype=np.int64)
    span = (panel.start, panel.start, panel.end)
    return Windows(panel, lookback, horizon, empty, empty, span).of_size(lookback, horizon)


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
            reasons[record.name] = f"{number_of(steps, 'step')}, but the model reads {lookback}"
        elif panel.known and ahead < horizon:
            known = ", ".join(map(repr, panel.known))
            reasons[record.name] = (
                f"{number_of(ahead, 'step')} of {known} beyond the last value, but a forecast needs {horizon}"
            )
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
    span = (panel.start, panel.end, panel.end + horizon)
    return Windows(replace(panel, records=tuple(records)), lookback, horizon, np.arange(len(records)), origin, span)


class WindowBatch(NamedTuple):
    """Some windows, scaled.

    values: (B, L, C) float32, the look-back; past: (B, L, P) and known: (B, L + H, K), covariates
    future: (B, H, C), the horizon
    rows: number of each window in the part
    center, spread: (B, C) float64 on the CPU, what was subtracted from values, and what they were divided by
    """

    values: Tensor
    past: Tensor
    known: Tensor
    future: Tensor
    rows: tuple[int, ...]
    center: Tensor
    spread: Tensor

    def to(self, device: torch.device | str) -> WindowBatch:
        """The same batch on `device`."""
        values, past, known, future = (tensor.to(device) for tensor in self[:4])
        return self._replace(values=values, past=past, known=known, future=future)


def _check_finite(panel: Panel, record: Series, columns: Sequence[str], scaled: np.ndarray, beside: str) -> None:
    """Refuses values that are too far from others to be computed with; `scaled` (T, ·) begins with the series."""
    if not np.isfinite(scaled).all():
        step, column = np.argwhere(~np.isfinite(scaled))[0]
        of = f" of {record.name!r}" if record.name else ""
        time = panel.grid.text(record.start + int(step))
        raise InputError(f"{columns[column]!r}{of} at {time} is too large beside {beside}", where=panel.name)


@final
class WindowBatches(BatchStream[WindowBatch]):
    """Batches of `size` windows, shuffled differently in each epoch or in order; the last may be smaller."""

    def __init__(
        self, windows: Windows, scaling: SeriesScaling, *, size: int, seed: int = 0, shuffle: bool = True
    ) -> None:
        super().__init__(("batch_size", size), seed=seed, shuffle=shuffle)
        if not len(windows):
            raise InputError("no windows to make batches of", where=windows.panel.name)
        self.windows, self.scaling, self._unseen = windows, scaling, scaling.unseen
        panel, records = windows.panel, scaling.scaled(windows.panel).records
        with np.errstate(over="ignore"):
            scaled = [
                [getattr(record, role).astype(np.float32) for record in records] for role in ("values", "past", "known")
            ]
        for place, (columns, rows) in enumerate(zip((panel.targets, panel.past, panel.known), scaled, strict=True)):
            for record, numbers, unseen in zip(panel.records, rows, self._unseen, strict=True):
                if place or not unseen:
                    _check_finite(panel, record, columns, numbers, "the values of training")
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
        record = self.windows.record[rows]
        batch = WindowBatch(
            self._values[at + before],
            self._past[at + before],
            self._known[self._known_at[index, None] + whole],
            self._values[at + torch.arange(ahead)],
            tuple(rows.tolist()),
            torch.from_numpy(self.scaling.center[record]),
            torch.from_numpy(self.scaling.spread[record]),
        )
        for place in np.flatnonzero(self._unseen[record]):
            self._scale_alone(batch, int(place))
        return batch

    def _scale_alone(self, batch: WindowBatch, place: int) -> None:
        """Fills in one window of a series that is not in training, scaled by its look-back."""
        windows, row = self.windows, batch.rows[place]
        record, origin = windows.panel.records[windows.record[row]], int(windows.origin[row])
        values = record.values[origin - windows.lookback : origin + windows.horizon]
        with np.errstate(over="ignore", invalid="ignore"):
            center, spread = level_and_spread(values[: windows.lookback])
            scaled = ((values - center) / spread).astype(np.float32)
        record = record._replace(start=record.start + origin - windows.lookback)
        _check_finite(windows.panel, record, windows.panel.targets, scaled, "the values before it")
        batch.center[place], batch.spread[place] = torch.from_numpy(center), torch.from_numpy(spread)
        batch.values[place], batch.future[place] = torch.from_numpy(scaled).split((windows.lookback, windows.horizon))
