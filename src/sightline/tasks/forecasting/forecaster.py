"""A forecaster: a model that forecasts the next steps of new series."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, final

import numpy as np
from torch import nn

from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.modes import evaluating
from sightline.data.inputs import InputTable
from sightline.data.rows.in_memory import as_frame, index_of_times, is_frame
from sightline.data.series.corpus import load_panel, load_series
from sightline.data.series.panel import Panel
from sightline.data.series.windows import Windows, all_windows, forecastable, next_windows
from sightline.models.store import CONFIG, LoadedModel
from sightline.parts.series_patches import SeriesWindows
from sightline.tasks.card import Card
from sightline.tasks.data_paths import data_paths
from sightline.tasks.forecasting.config import PUBLISHED_BATCH, ForecastingConfig
from sightline.tasks.forecasting.fitted import Fitted
from sightline.tasks.forecasting.forecast import Forecast
from sightline.tasks.forecasting.past import Predictor
from sightline.tasks.forecasting.predict import panel_of, predictor_of
from sightline.tasks.one_or_several import are_rows, dimensions
from sightline.tasks.outcomes import Answer

SERIES = "series.json"

logger = logging.getLogger("sightline")


@final
class Forecaster:
    """A model with the names, scales and season of the series that it was trained on.

    model: from scaled windows of a look-back (B, L, C) to scaled forecasts (B, H, C, Q)
    """

    def __init__(self, config: ForecastingConfig, model: nn.Module, fitted: Fitted) -> None:
        self.config, self.model, self.fitted = config, model, fitted

    @classmethod
    def restore(cls, directory: Path, loaded: LoadedModel, config: ForecastingConfig, options: Any) -> Forecaster:
        """The forecaster of a model directory; `InputError` where model, settings and series do not fit."""
        if not isinstance(loaded.source, SeriesWindows):
            raise InputError(f"a model of {loaded.source} does not forecast series", where=directory / CONFIG)
        restored = cls(config, loaded.model, Fitted.read(directory / SERIES))
        if (restored.source, restored.outputs) != (loaded.source, loaded.outputs):
            raise InputError(
                f"the series and settings ask for {restored.source} and {restored.outputs} outputs, but the model has "
                f"{loaded.source} and {loaded.outputs}",
                where=directory / SERIES,
            )
        return restored

    @property
    def source(self) -> SeriesWindows:
        """The windows that the model reads."""
        columns = self.fitted.columns
        return self.config.windows(len(columns.targets), len(columns.past), len(columns.known))

    @property
    def outputs(self) -> int:
        return self.config.outputs

    def predictor(self, model: nn.Module | None = None) -> Predictor:
        """Scaled forecasts of this model in its current state, or of another."""
        return predictor_of(self.model if model is None else model, self.config)

    def outputs_of(self, windows: Windows) -> list[np.ndarray]:
        """The forecasts (H, C, Q) of windows, in the units of their series."""
        forecasts = []
        with evaluating(self.model):
            predictor = self.predictor()
            for batch in self.fitted.in_order(windows):
                center, spread = (of[:, None, :, None].numpy() for of in (batch.center, batch.spread))
                forecasts.extend(predictor(batch).cpu().double().numpy() * spread + center)
        return forecasts

    def forecast(self, panel: Panel) -> Forecast:
        """The steps after the last value of every series that is long enough; the others are named.

        Raises:
            InputError: what `forecastable` raises.
        """
        panel, left_out = forecastable(panel, self.config.lookback, self.config.horizon)
        values = np.stack(self.outputs_of(next_windows(panel, self.config.lookback, self.config.horizon)))
        levels = self.config.levels
        context = min(self.config.lookback, 4 * self.config.horizon)  # a fifth of a figure at least is the future
        return Forecast(
            panel, values[..., values.shape[3] // 2], values if levels else values[..., :0], levels, context, left_out
        )

    def is_one(self, inputs: Any) -> bool:
        axes = dimensions(inputs)
        return _is_table(inputs) or (axes is not None and axes <= 2)

    def predict_list(self, inputs: list[Any], decoding: Any = None) -> list[Any]:
        """For each file's path a `Forecast`; for each frame a frame of the same library, with its next steps; for each
        list of dicts or dict of columns a frame of polars; for each array (T, C) of values the next ones (H, C, Q).

        Of one target the values may be an array, a list or a column of a frame (T,). A column of pandas whose index
        contains times is a frame of that target. What was changed in a table and what is left out is logged.
        """
        return [self._predict_one(source) for source in inputs]

    def _predict_one(self, source: Any) -> Any:
        if isinstance(source, str | Path):
            return self.forecast(self._read_panel(source))
        source = self._as_frame(source)
        with self._opened(source) as panel:
            forecast = self.forecast(panel)
            for note in forecast.notes:
                logger.warning("%s", note)
        if _is_table(source):
            return forecast.frame(source, self.fitted.columns.series or "series")
        return forecast.quantiles[0] if forecast.levels else forecast.values[0][..., None]

    def panel(self, source: Any) -> Panel:
        """The series of a file, a table or an array, as `predict_list` takes them."""
        if isinstance(source, str | Path):
            return self._read_panel(source)
        with self._opened(self._as_frame(source)) as panel:
            return panel

    @contextmanager
    def _opened(self, source: Any) -> Iterator[Panel]:
        """The series of a table or an array; messages meanwhile name rows of the table."""
        if not _is_table(source):
            yield panel_of(source, self.fitted.columns.targets)
            return
        with data_paths(None, data=source) as stored:
            panel = self._read_panel(stored.paths["data"])
            yield replace(panel, name=stored.named(panel.name))

    def _as_frame(self, source: Any) -> Any:
        """A column whose index contains times as a frame of the one target; anything else as it is."""
        targets = self.fitted.columns.targets
        if index_of_times(source) and not is_frame(source) and len(targets) == 1:
            return as_frame(source, targets[0])
        return source

    def windows_of(self, data: Any) -> Windows | None:
        """All windows of an array, or of a column without times, (T, C) or (T,); None of other data."""
        if _is_table(data) or index_of_times(data) or not self.is_one(data):
            return None
        return all_windows(panel_of(data, self.fitted.columns.targets), self.config.lookback, self.config.horizon)

    def table_inputs(self, table: InputTable, reading: Mapping[str, Any]) -> list[str]:
        """The table itself: all of its rows are one input."""
        for flag, value in (("source-column", table.column), ("header", table.header), ("base", table.base)):
            if value is not None:
                raise InputError("a series is read as in training", where=f"--{flag}")
        return [str(table.path)]

    def answer_list(self, inputs: list[Any], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        """The forecasts of files, frames or arrays as tables."""
        forecasts = [self.forecast(self.panel(one)) for one in inputs]
        return [Answer(one.csv().rstrip("\n"), one.record(), notes=one.notes) for one in forecasts]

    def _read_panel(self, path: str | Path) -> Panel:
        if str(path).startswith("builtin:"):
            panel = load_series(path).panel
        else:
            panel = load_panel(path, self.fitted.columns, self.fitted.rules)
        self.fitted.check_step(panel)
        return panel

    def facts(self) -> dict[str, str]:
        config = self.config
        return {
            "reads": self._reads,
            "forecasts": f"{number_of(config.horizon, 'step')}, {self._levels or 'one number each'}",
            "season": f"{number_of(self.fitted.season, 'step')}, {'given' if config.season else 'found in training'}",
            "windows": "all" if config.protocol == "every" else f"whole batches of {PUBLISHED_BATCH}, as published",
        }

    def card(self) -> Card:
        return Card(
            "a series to its future",
            "time-series-forecasting",
            'model.predict("series.csv").csv()',
            {
                "Reads": self._reads,
                "Forecasts": f"{number_of(self.config.horizon, 'step')}, {self._levels or 'one number a step'}",
                "Columns": ", ".join(self.fitted.columns.targets[:20]),
            },
            ", `series.json` the scales of the series",
        )

    @property
    def _reads(self) -> str:
        return f"{number_of(self.config.lookback, 'step')} of {self.fitted.every}"

    @property
    def _levels(self) -> str:
        levels = ", ".join(f"{level:g}" for level in self.config.levels)
        return f"quantiles {levels}" if levels else ""

    def save_files(self, directory: Path) -> None:
        self.fitted.write(directory / SERIES)


def _is_table(source: Any) -> bool:
    """Whether it has columns with names: a frame, a list of dicts, a dict of columns."""
    return are_rows(source) or isinstance(source, Mapping)
