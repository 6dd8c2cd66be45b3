"""Forecasting: windows of a panel of series, a forecaster, point or quantile forecasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.cpu_clock import CpuClock
from sightline.core.digits import number_of
from sightline.core.errors import InputError
from sightline.core.metrics import Baseline, metrics_of
from sightline.core.modes import evaluating
from sightline.data.rows.given import as_frame, index_of_times, is_frame
from sightline.data.series.corpus import load_panel, load_series
from sightline.data.series.panel import Panel
from sightline.data.series.windows import (
    WindowBatch,
    WindowBatches,
    WindowCorpus,
    Windows,
    forecastable,
    next_windows,
)
from sightline.data.spaced import at_least_one
from sightline.data.survey import Survey
from sightline.models.store import CONFIG, LoadedModel
from sightline.parts.series_patches import SeriesWindows
from sightline.tasks.card import Card
from sightline.tasks.forecasting.baselines import MOST_CHOOSING, TRUTH, all_baselines, with_quantiles
from sightline.tasks.forecasting.config import (
    PUBLISHED_BATCH,
    ForecastingConfig,
    ForecastingRun,
)
from sightline.tasks.forecasting.fitted import Fitted
from sightline.tasks.forecasting.forecast import Forecast
from sightline.tasks.forecasting.past import Predictor
from sightline.tasks.forecasting.predict import panel_of, predictor_of
from sightline.tasks.forecasting.scores import ForecastScores, kinds_of, score_windows
from sightline.tasks.given import given_data
from sightline.tasks.one_or_several import dimensions
from sightline.tasks.outcomes import Answer, Costs, Measured, median_ms
from sightline.tasks.task import Task
from sightline.training.loss import Loss

SERIES = "series.json"
SCORED = 256  # windows forecast at once where no gradient is kept
TIMED = 20  # windows whose forecast is timed


@final
class ForecastingTask(Task[WindowCorpus, Windows, ForecastingRun]):
    """A forecaster with the scales of its series."""

    name = "forecasting"
    form = "forecaster"
    answers_lines = True
    draws_answers = True
    unit = "windows"
    Run: ClassVar[type[ForecastingRun]] = ForecastingRun
    loss_unit = ""
    counted = "values to forecast"
    no_record: ClassVar[Mapping[str, Any]] = {"forecast": [], "seen": []}

    def __init__(self, config: ForecastingConfig, model: nn.Module, fitted: Fitted, data: str = "") -> None:
        self.config, self.model, self.fitted, self.data = config, model, fitted, data

    @classmethod
    def survey(cls, run: ForecastingRun) -> Survey:
        return run.survey()

    @classmethod
    def build(cls, data: WindowCorpus, run: ForecastingRun) -> ForecastingTask:
        series, panel = data.series, data.series.panel
        sizes = data.train.lookback, data.train.horizon
        config = replace(
            run.settings, lookback=run.settings.lookback or sizes[0], horizon=run.settings.horizon or sizes[1]
        )
        if config.arch in ("dlinear", "nlinear") and (panel.past or panel.known):
            raise InputError(
                f"{config.arch} does not read covariates; leave them out, or choose another architecture", where="arch"
            )
        source = config.windows(len(panel.targets), len(panel.past), len(panel.known))
        config, model = cls.draw(config, (source, config.outputs), run)
        fitted = Fitted.of(series, run.corpus.columns, run.corpus.rules, scale=config.scale, season=config.season)
        return cls(config, model, fitted, cls.trained_on(data))

    @classmethod
    def restore(cls, directory: Path, loaded: LoadedModel, config: ForecastingConfig, options: Any) -> ForecastingTask:
        if not isinstance(loaded.source, SeriesWindows):
            raise InputError(f"a model of {loaded.source} does not forecast series", where=directory / CONFIG)
        task = cls(config, loaded.model, Fitted.read(directory / SERIES), options.data)
        if task.source != loaded.source or config.outputs != loaded.outputs:
            raise InputError(
                f"the series and settings ask for {task.source} and {config.outputs} outputs, but the model has "
                f"{loaded.source} and {loaded.outputs}",
                where=directory / SERIES,
            )
        return task

    @classmethod
    def metrics(cls, data: WindowCorpus, run: ForecastingRun) -> tuple[str, ...]:
        """The metrics, first the one that is trained for: mse, mae or pinball."""
        known = metrics_of(*kinds_of(run.settings.levels))
        return tuple(dict.fromkeys([run.settings.metric_name, "mae", "mase", *(metric.name for metric in known)]))

    def batches(self, part: Windows, *, seed: int) -> WindowBatches:
        return WindowBatches(part, self.fitted.scaling(part.panel), size=self.config.batch_size, seed=seed)

    def loss(self, model: nn.Module, batch: WindowBatch) -> Loss:
        """The sum, over steps, columns and quantiles' mean, of squared, absolute or pinball errors in scaled units.

        An autoregressive model is also asked for the steps of the look-back after its first patch, each given those
        before it.
        """
        predicted = model(batch.values, batch.past, batch.known, batch.future)  # (B, n, C, Q), the last n steps
        targets = torch.cat([batch.values, batch.future], 1)[:, -predicted.shape[1] :]
        total = self._errors(predicted.float(), targets).sum()
        return Loss(total, total.detach(), targets.numel())

    def _errors(self, predicted: Tensor, targets: Tensor) -> Tensor:
        """(B, n, C) of forecasts (B, n, C, Q) and truth (B, n, C)."""
        error = targets.unsqueeze(3) - predicted
        if self.config.loss == "quantile":
            levels = torch.tensor(self.config.levels, device=predicted.device)
            return torch.maximum(levels * error, (levels - 1) * error).mean(3)
        return error.squeeze(3).square() if self.config.loss == "mse" else error.squeeze(3).abs()

    def validator(self, part: Windows, share: float = 1.0) -> Callable[[nn.Module], dict[str, float]]:
        """A function of the model: the metrics of forecasts of evenly spaced windows; "loss" is the primary one."""
        part = self.spaced(part, at_least_one(share * min(len(part), self.config.validation_windows)))
        batches = list(self._in_order(part))

        def validate(model: nn.Module) -> dict[str, float]:
            metrics = self.score(part, self.predictor(model), batches).metrics()
            return {"loss": metrics[self.config.metric_name], **metrics}

        return validate

    def measure(self, part: Windows, decoding: Any = None) -> Measured:
        if (part.lookback, part.horizon) != (self.config.lookback, self.config.horizon):
            part = part.of_size(self.config.lookback, self.config.horizon)
        self.fitted.check_step(part.panel)
        with evaluating(self.model):
            scores = self.score(part, self.predictor())
        return Measured(scores.metrics(), scores.items(part.record, part.origin), details=scores.details())

    def baselines(self, train: Windows, valid: Windows, part: Windows) -> list[Baseline]:
        batches = list(self._in_order(part))
        chosen_by, known = (self.spaced(of, MOST_CHOOSING) for of in (valid, train))
        held = list(self._in_order(chosen_by))
        metric = "mae" if self.config.loss == "quantile" else self.config.metric_name

        def loss(predictor: Predictor) -> float:
            return self.score(chosen_by, predictor, held).metrics()[metric]

        baselines, clock = [], CpuClock()
        for name, description, predictor in all_baselines(train, chosen_by, part, self.fitted, self.config, loss):
            forecasts = predictor(part)
            if self.config.levels and name != TRUTH:
                forecasts = with_quantiles(forecasts, predictor(known), self._in_order(known), self.config.levels)
            metrics = self.score(part, forecasts, batches).metrics()
            baselines.append(Baseline(name, description, metrics, name == TRUTH, clock.lap()))
        return baselines

    def forecast(self, panel: Panel) -> Forecast:
        """The steps after the last value of every series that is long enough; the others are named.

        Raises:
            InputError: what `forecastable` raises.
        """
        panel, left_out = forecastable(panel, self.config.lookback, self.config.horizon)
        windows = next_windows(panel, self.config.lookback, self.config.horizon)
        values = self._forecasts(windows)
        levels = self.config.levels
        context = min(self.config.lookback, 4 * self.config.horizon)  # a fifth of a figure at least is the future
        return Forecast(
            panel, values[..., values.shape[3] // 2], values if levels else values[..., :0], levels, context, left_out
        )

    def outputs_of(self, part: Windows) -> list[Any]:
        return list(self._forecasts(part))

    def _forecasts(self, windows: Windows) -> np.ndarray:
        """The forecasts (N, H, C, Q) of windows, in the units of their series."""
        forecasts = []
        with evaluating(self.model):
            predictor = self.predictor()
            for batch in self._in_order(windows):
                center, spread = (of[:, None, :, None].numpy() for of in (batch.center, batch.spread))
                forecasts.append(predictor(batch).cpu().double().numpy() * spread + center)
        return np.concatenate(forecasts)

    def settled_reading(self) -> dict[str, Any]:
        return {"targets": self.fitted.columns.targets}

    def is_one(self, inputs: Any) -> bool:
        axes = dimensions(inputs)
        return super().is_one(inputs) or is_frame(inputs) or (axes is not None and axes <= 2)

    def predict_list(self, inputs: list[Any], decoding: Any = None) -> list[Any]:
        """For each file's path a `Forecast`; for each frame a frame of the same library, with its next steps; for each
        array (T, C) of values the next ones (H, C, Q).

        Of one target the values may be an array, a list or a column of a frame (T,). A column of pandas whose index
        contains times is a frame of that target.
        """
        return [self._predict_one(source) for source in inputs]

    def _predict_one(self, source: Any) -> Any:
        if isinstance(source, str | Path):
            return self.forecast(self._read_panel(source))
        targets = self.fitted.columns.targets
        if index_of_times(source) and not is_frame(source) and len(targets) == 1:
            source = as_frame(source, targets[0])
        if is_frame(source):
            with given_data(None, data=source) as given:
                forecast = self.forecast(self._read_panel(given.paths["data"]))
            return forecast.frame(source, self.fitted.columns.series or "series")
        forecast = self.forecast(panel_of(source, targets))
        return forecast.quantiles[0] if forecast.levels else forecast.values[0][..., None]

    def answer_list(self, inputs: list[str], decoding: Any = None, *, first: int = 0) -> list[Answer]:
        forecasts = [self.forecast(self._read_panel(path)) for path in inputs]
        return [Answer(one.csv().rstrip("\n"), one.record(), notes=one.notes) for one in forecasts]

    def facts(self) -> dict[str, str]:
        config, levels = self.config, ", ".join(f"{level:g}" for level in self.config.levels)
        levels = f"quantiles {levels}" if levels else "one number each"
        return {
            "reads": f"{number_of(config.lookback, 'step')} of {self.fitted.every}",
            "forecasts": f"{number_of(config.horizon, 'step')}, {levels}",
            "season": f"{number_of(self.fitted.season, 'step')}, {'given' if config.season else 'found in training'}",
            "windows": "all" if config.protocol == "every" else f"whole batches of {PUBLISHED_BATCH}, as published",
        }

    def costs(self, part: Windows) -> Costs:
        """The time of one window's forecast, windows asked for one at a time."""
        part = self.spaced(part, TIMED)
        batches = WindowBatches(part, self.fitted.scaling(part.panel), size=1, shuffle=False)
        with evaluating(self.model):
            return Costs(median_ms(partial(self.predictor(), batch) for batch in batches))

    def describe(self, data: WindowCorpus) -> dict[str, Any]:
        panel = data.series.panel
        return {
            "series": len(panel.records),
            "columns": list(panel.targets),
            "every": panel.grid.every,
            "season": self.fitted.season,
        }

    @property
    def outputs(self) -> int:
        return self.config.outputs

    def card(self) -> Card:
        levels = ", ".join(f"{level:g}" for level in self.config.levels)
        levels = f"quantiles {levels}" if levels else "one number a step"
        return Card(
            "a series to its future",
            "time-series-forecasting",
            'model.predict("series.csv").csv()',
            {
                "Reads": f"{number_of(self.config.lookback, 'step')} of {self.fitted.every}",
                "Forecasts": f"{number_of(self.config.horizon, 'step')}, {levels}",
                "Columns": ", ".join(self.fitted.columns.targets[:20]),
            },
            ", `series.json` the scales of the series",
        )

    def save_files(self, directory: Path) -> None:
        self.fitted.write(directory / SERIES)

    @property
    def source(self) -> SeriesWindows:
        """The windows that the model reads."""
        columns = self.fitted.columns
        return self.config.windows(len(columns.targets), len(columns.past), len(columns.known))

    def predictor(self, model: nn.Module | None = None) -> Predictor:
        """Scaled forecasts of the task's model in its current state, or of another."""
        return predictor_of(self.model if model is None else model, self.config)

    def score(
        self, part: Windows, predictor: Predictor, batches: Iterable[WindowBatch] | None = None
    ) -> ForecastScores:
        """Scores of the forecasts of a part; `batches` are its windows in order, if the caller has them already."""
        batches = self._in_order(part) if batches is None else batches
        return score_windows(part, predictor, batches, self.fitted.yardstick(part.panel, self.config.levels))

    def _in_order(self, part: Windows) -> WindowBatches:
        return WindowBatches(part, self.fitted.scaling(part.panel), size=SCORED, shuffle=False)

    def _read_panel(self, path: str | Path) -> Panel:
        if str(path).startswith("builtin:"):
            panel = load_series(path).panel
        else:
            panel = load_panel(path, self.fitted.columns, self.fitted.rules)
        self.fitted.check_step(panel)
        return panel
