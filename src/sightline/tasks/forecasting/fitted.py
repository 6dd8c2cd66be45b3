"""Properties that a forecaster learns from its series besides weights: names, scales and season, and their file."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, final

import numpy as np

from sightline.core.config import decode, encode
from sightline.core.errors import InputError
from sightline.core.files import parse_json_object, read_regular
from sightline.data.series.corpus import SeriesColumns, SeriesData, SeriesScaling, fit_scaling
from sightline.data.series.panel import Evenness, Panel
from sightline.data.series.seasons import find_season
from sightline.data.series.windows import WindowBatches, Windows
from sightline.tasks.forecasting.metrics import Yardstick
from sightline.tasks.forecasting.scores import naive_errors

MOST_BYTES = 1 << 28
SCORED = 256  # windows forecast at once where no gradient is kept

Matrix = tuple[tuple[float, ...], ...]


@final
@dataclass(frozen=True)
class Fitted:
    """Properties of the training part's series.

    center, spread, naive: by series and column, see `SeriesScaling` and `Yardstick`
    past, known: center and spread by column
    scale: what values were divided by, as `ForecastingConfig` has it
    columns, rules: how further tables of such series are read
    """

    names: tuple[str, ...]
    center: Matrix
    spread: Matrix
    naive: Matrix
    past: Matrix
    known: Matrix
    season: int
    every: str
    scale: Literal["standard", "none"]
    columns: SeriesColumns
    rules: Evenness

    @classmethod
    def of(
        cls,
        series: SeriesData,
        columns: SeriesColumns,
        rules: Evenness,
        *,
        scale: Literal["standard", "none"],
        season: int | None,
    ) -> Fitted:
        """Fitted to the training part alone; `season` None = estimated from it."""
        scaling, train = fit_scaling(series, scale), series.values("train")
        panel = series.panel
        season = season or find_season(train, panel.grid.season)
        return cls(
            names=tuple(record.name for record in panel.records),
            center=_rows(scaling.center),
            spread=_rows(scaling.spread),
            naive=_rows(naive_errors(train, season)),
            past=_rows(scaling.past),
            known=_rows(scaling.known),
            season=season,
            every=panel.grid.every,
            scale=scale,
            columns=replace(columns, targets=panel.targets),
            rules=rules,
        )

    def scaling(self, panel: Panel) -> SeriesScaling:
        """The scales of a panel's series by name; of a series that is not in training, each window has its own.

        Raises:
            InputError: "load.csv: the targets are ('x',), but the model was trained on ('y',)".
        """
        self.check(panel)
        center, spread = (0.0, 1.0) if self.scale == "none" else (np.nan, np.nan)
        past, ahead = (np.array(rows, dtype=np.float64).reshape(2, -1) for rows in (self.past, self.known))
        return SeriesScaling(
            self._by_name(panel, self.center, center), self._by_name(panel, self.spread, spread), past, ahead
        )

    def in_order(self, windows: Windows) -> WindowBatches:
        """Scaled batches of windows in order, to forecast."""
        return WindowBatches(windows, self.scaling(windows.panel), size=SCORED, shuffle=False)

    def yardstick(self, panel: Panel, levels: tuple[float, ...]) -> Yardstick:
        """What forecasts of a panel's series at these levels are scored by."""
        naive = self._by_name(panel, self.naive, 0.0)  # unknown for a series that is not in training
        return Yardstick(self.scaling(panel), naive, self.season, levels)

    def _by_name(self, panel: Panel, values: Matrix, unseen: float) -> np.ndarray:
        """Values (R, C) of a panel's series by name; `unseen` for a series that is not in training."""
        known = dict(zip(self.names, values, strict=True))
        return np.array([known.get(record.name, (unseen,) * len(panel.targets)) for record in panel.records])

    def check(self, panel: Panel) -> None:
        """Raises `InputError` where a panel has other columns."""
        for role, expected, names in (
            ("targets", self.columns.targets, panel.targets),
            ("past covariates", self.columns.past, panel.past),
            ("known covariates", self.columns.known, panel.known),
        ):
            if expected != names:
                raise InputError(f"the {role} are {names}, but the model was trained on {expected}", where=panel.name)

    def check_step(self, panel: Panel) -> None:
        """Raises `InputError` where a panel has another step than the training series; one without times has theirs."""
        if panel.timed and panel.grid.every != self.every:
            raise InputError(
                f"the step is {panel.grid.every}, but the model was trained on steps of {self.every}", where=panel.name
            )

    def write(self, path: Path) -> None:
        """Writes the file as JSON; keys that version 0.1.0 does not know only where they are used."""
        content = encode(self)
        content["columns"] = {
            key: value for key, value in content["columns"].items() if value or key not in ("time_zone", "missing")
        }
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Fitted:
        """Reads the file of `write`; `InputError` for whatever is wrong with it."""
        content = parse_json_object(read_regular(path, MOST_BYTES), where=path)
        fitted = decode(cls, content, where=str(path))
        targets, series = len(fitted.columns.targets), len(fitted.names)
        shapes = {"center": (series, targets), "spread": (series, targets), "naive": (series, targets)}
        shapes |= {"past": (2, len(fitted.columns.past)), "known": (2, len(fitted.columns.known))}
        for name, (rows, width) in shapes.items():
            value = getattr(fitted, name)
            if len(value) != rows or any(len(row) != width for row in value):
                raise InputError(f"expected {rows} rows of {width} numbers", where=f"{path}: {name}")
        if not series or not targets or fitted.season < 1:
            raise InputError("expected series, targets and a season", where=path)
        if any(number <= 0 for row in (*fitted.spread, *fitted.past[1:], *fitted.known[1:]) for number in row):
            raise InputError("expected positive numbers", where=f"{path}: spread")
        return fitted


def _rows(values: np.ndarray) -> Matrix:
    return tuple(tuple(row) for row in values.tolist())
