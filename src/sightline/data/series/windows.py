"""Windows of series: a look-back that is read and a horizon to forecast, from every origin that there is.

The windows of validation and test read into the part before them, as the published protocol of long-horizon forecasting
does (Zhou et al. 2021, Informer), and forecast inside their own part alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.data.batches import Cursor
from sightline.data.series.builtin import Truth
from sightline.data.series.corpus import PartName, Scaling, SeriesData
from sightline.data.series.panel import Panel, Series

_START = Cursor()


@dataclass(frozen=True)
class Windows:
    """Some windows of a panel.

    record, origin: (N,), of each window the number of its series and the index in it of the first step to forecast
    """

    panel: Panel
    lookback: int
    horizon: int
    record: np.ndarray
    origin: np.ndarray
    truth: Truth | None = None

    def __len__(self) -> int:
        return len(self.record)

    def chosen(self, rows: Sequence[int] | np.ndarray) -> Windows:
        """The windows that `rows` names, in its order."""
        index = np.asarray(rows, dtype=np.int64)
        return replace(self, record=self.record[index], origin=self.origin[index])

    def time(self, row: int) -> str:
        """When the first step that a window forecasts is."""
        return self.panel.grid.text(self.panel.records[self.record[row]].start + int(self.origin[row]))


@dataclass(frozen=True)
class WindowData:
    """Series with the windows of each part."""

    series: SeriesData
    train: Windows
    valid: Windows
    test: Windows

    @property
    def name(self) -> str:
        return self.series.name

    @property
    def sha256(self) -> str:
        return self.series.sha256

    @property
    def notes(self) -> tuple[str, ...]:
        return self.series.notes

    @property
    def sizes(self) -> dict[str, int]:
        return {"train": len(self.train), "valid": len(self.valid), "test": len(self.test)}


def make_windows(series: SeriesData, lookback: int, horizon: int, *, limit: int | None = None) -> WindowData:
    """Every window of each part; `limit` keeps the first so many.

    Raises:
        InputError: "load.csv: no window of 336 + 96 steps fits into the train part, whose longest series has 300: …".
    """
    parts = {}
    for part in ("train", "valid", "test"):
        found = windows_of(series, part, lookback, horizon)
        parts[part] = found if limit is None else found.chosen(np.arange(min(limit, len(found))))
    return WindowData(series, **parts)


def windows_of(series: SeriesData, part: PartName, lookback: int, horizon: int) -> Windows:
    """Every window whose horizon lies in the part; those of training lie in it whole."""
    low, high = series.span(part)
    first = series.bounds[0]
    found = _between(series.panel, lookback, horizon, first, low, high)
    if not len(found[0]):
        longest = max(len(rows) for rows in series.values(part))
        before = 0 if part == "train" else low - first
        reads = f", with {before} before it" if before else ""
        raise InputError(
            f"no window of {lookback} + {horizon} steps fits into the {part} part, whose longest series has {longest}"
            f"{reads}: lower lookback or horizon, or split otherwise",
            where=series.name,
        )
    return Windows(series.panel, lookback, horizon, *found, series.truth)


def all_windows(panel: Panel, lookback: int, horizon: int) -> Windows:
    """Every window of the whole panel; raises `InputError` where none fits."""
    found = _between(panel, lookback, horizon, panel.start, panel.start, panel.end)
    if not len(found[0]):
        raise InputError(f"no series has {lookback} + {horizon} steps", where=panel.name)
    return Windows(panel, lookback, horizon, *found)


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


def next_windows(panel: Panel, lookback: int, horizon: int) -> Windows:
    """One window for each series, whose horizon begins after its last value; what stands there is zero.

    Raises:
        InputError: "load.csv: 'a' has 20 steps, but the model reads 96"; "load.csv: 'a' has 3 steps of 'holiday' beyond
            the last value, but a forecast needs 24".
    """
    records = []
    for record in panel.records:
        said = f"{record.name!r} has" if record.name else "has"
        steps, ahead = len(record.values), len(record.known) - len(record.values)
        if steps < lookback:
            raise InputError(f"{said} {steps} steps, but the model reads {lookback}", where=panel.name)
        if panel.known and ahead < horizon:
            raise InputError(
                f"{said} {ahead} steps of {', '.join(map(repr, panel.known))} beyond the last value, but a forecast "
                f"needs {horizon}",
                where=panel.name,
            )
        values, past = (np.pad(rows, ((0, horizon), (0, 0))) for rows in (record.values, record.past))
        known = record.known[: steps + horizon] if panel.known else np.zeros((steps + horizon, 0))
        records.append(Series(record.name, record.start, values, past, known))
    origin = np.array([len(record.values) for record in panel.records])
    return Windows(replace(panel, records=tuple(records)), lookback, horizon, np.arange(len(records)), origin)


class WindowBatch(NamedTuple):
    """Some windows, scaled.

    values: (B, L, C) float32, what was seen; past: (B, L, P) and known: (B, L + H, K), covariates
    future: (B, H, C), what came after
    rows: number of each window in the part that the batches were made of
    """

    values: Tensor
    past: Tensor
    known: Tensor
    future: Tensor
    rows: tuple[int, ...]

    def to(self, device: torch.device | str) -> WindowBatch:
        """The same batch on `device`."""
        return WindowBatch(*(tensor.to(device) for tensor in self[:4]), rows=self.rows)


class WindowBatches:
    """Batches of windows, `size` at a time, shuffled anew in each epoch or in order; the last may be smaller.

    The order of epoch e depends on (seed, e) alone, so that any cursor's batch is the same in every run.
    """

    def __init__(self, windows: Windows, scaling: Scaling, *, size: int, seed: int = 0, shuffle: bool = True) -> None:
        if size < 1:
            raise InputError(f"must be at least 1, found {size}", where="batch_size")
        if not len(windows):
            raise InputError("no windows to make batches of", where=windows.panel.name)
        self.windows, self.size, self.seed, self.shuffle = windows, size, seed, shuffle
        records = scaling.scaled(windows.panel).records
        self._values, self._past, self._known = (
            torch.from_numpy(np.concatenate([record[place] for record in records]).astype(np.float32))
            for place in (2, 3, 4)
        )
        ends = np.cumsum([[len(r.values), len(r.known)] for r in records], 0)  # (R, 2)
        starts = np.concatenate([np.zeros((1, 2), dtype=np.int64), ends[:-1]])
        self._value_at = torch.from_numpy(starts[windows.record, 0] + windows.origin)
        self._known_at = torch.from_numpy(starts[windows.record, 1] + windows.origin)
        self._order: tuple[int, np.ndarray] | None = None

    @property
    def size_key(self) -> tuple[str, int]:
        """The setting that bounds a batch, and its value."""
        return "batch_size", self.size

    def __len__(self) -> int:
        """Batches in an epoch."""
        return (len(self.windows) + self.size - 1) // self.size

    def epoch(self, number: int = 0) -> Iterator[WindowBatch]:
        """All batches of an epoch, in order."""
        order = self._of(number)
        for index in range(len(self)):
            yield self._batch(order[index * self.size : (index + 1) * self.size])

    def stream(self, cursor: Cursor = _START) -> Iterator[tuple[WindowBatch, Cursor]]:
        """Endless batches from `cursor` on, each with the cursor of the batch after it.

        Raises:
            InputError: "epoch 3 has no batch 700" when the cursor is not of this data.
        """
        epoch, first = cursor
        while True:
            if not 0 <= first < len(self):
                raise InputError(f"epoch {epoch} has no batch {first}, only {len(self)}: was the data changed?")
            order = self._of(epoch)
            for index in range(first, len(self)):
                last = index + 1 == len(self)
                batch = self._batch(order[index * self.size : (index + 1) * self.size])
                yield batch, Cursor(epoch + 1, 0) if last else Cursor(epoch, index + 1)
            epoch, first = epoch + 1, 0

    def _of(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(len(self.windows))
        if self._order is None or self._order[0] != epoch:
            random = np.random.Generator(np.random.PCG64(derive(self.seed, "windows", epoch)))
            self._order = (epoch, random.permutation(len(self.windows)))
        return self._order[1]

    def _batch(self, rows: np.ndarray) -> WindowBatch:
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
