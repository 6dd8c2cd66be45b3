"""Forecasting: from a panel of series, a forecaster, point or quantile forecasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, final

from torch import Tensor, nn

from sightline.core.metrics import Baseline, metric_names
from sightline.core.modes import evaluating
from sightline.data.series.windows import WindowBatch, WindowBatches, WindowCorpus, Windows
from sightline.data.spaced import at_least_one
from sightline.data.survey import Survey
from sightline.tasks.forecasting.baselines import forecast_baselines
from sightline.tasks.forecasting.config import ForecastingRun
from sightline.tasks.forecasting.fitted import Fitted
from sightline.tasks.forecasting.forecaster import Forecaster
from sightline.tasks.forecasting.loss import window_loss
from sightline.tasks.forecasting.opened import open_series, open_window
from sightline.tasks.forecasting.past import Predictor
from sightline.tasks.forecasting.planted import planted_windows
from sightline.tasks.forecasting.predict import futures_drawn
from sightline.tasks.forecasting.scores import ForecastScores, items_sha256, kinds_of, score_windows
from sightline.tasks.input_source import InputSource
from sightline.tasks.opened import OpenedInput
from sightline.tasks.outcomes import Costs, median_ms
from sightline.tasks.trained import TrainedModelTask
from sightline.training.loss import Loss
from sightline.training.measured import Measured

TIMED = 20  # windows whose forecast is timed


@final
class ForecastingTask(TrainedModelTask[WindowCorpus, Windows, ForecastingRun, Forecaster]):
    """Training and measurement of a forecaster."""

    name = "forecasting"
    form = "forecaster"
    answers_lines = True
    draws_answers = True
    unit = "windows"
    Run: ClassVar[type[ForecastingRun]] = ForecastingRun
    Trained = Forecaster
    opened_by = staticmethod(open_series)
    plant = planted_windows
    loss_unit = ""
    counted = "forecast values"
    no_record: ClassVar[Mapping[str, Any]] = {"forecast": [], "seen": []}

    def __init__(self, trained: Forecaster, data: str = "") -> None:
        super().__init__(trained, data)
        self.fitted, self.samples_futures = trained.fitted, futures_drawn(trained.model, trained.config) > 0

    @classmethod
    def survey(cls, run: ForecastingRun) -> Survey:
        return run.survey()

    @classmethod
    def build(cls, data: WindowCorpus, run: ForecastingRun) -> ForecastingTask:
        config, panel = run.settings.fitted(data.train), data.series.panel
        source = config.windows(len(panel.targets), len(panel.past), len(panel.known))
        config, model = cls.draw(config, (source, config.outputs), run)
        fitted = Fitted.of(data.series, run.corpus.columns, run.corpus.rules, scale=config.scale, season=config.season)
        return cls(Forecaster(config, model, fitted), cls.trained_on(data))

    @property
    def input_sources(self) -> Mapping[str, InputSource]:
        return {"table": "table"}

    def settled_reading(self) -> dict[str, Any]:
        return {"targets": self.fitted.columns.targets}

    @classmethod
    def metrics(cls, data: WindowCorpus, run: ForecastingRun) -> tuple[str, ...]:
        """The metrics, first the one that is trained for: mse, mae or pinball."""
        return metric_names(*kinds_of(run.settings.levels), first=[run.settings.metric_name, "mae", "mase"])

    def batches(self, part: Windows, *, seed: int) -> WindowBatches:
        return WindowBatches(part, self.fitted.scaling(part.panel), size=self.config.batch_size, seed=seed)

    def loss(self, model: nn.Module, batch: WindowBatch) -> Loss:
        """The errors of all steps in scaled units, see `window_loss`."""
        return window_loss(model, batch, self.config)

    def divergence(self, outputs: Tensor, reference: Tensor, batch: WindowBatch) -> Tensor:
        """How far forecasts of a batch are from those of another model: squared differences, summed as the loss is."""
        return (outputs - reference).float().square().mean(3).sum()

    def validator(self, part: Windows, share: float = 1.0) -> Callable[[nn.Module], Measured]:
        """A function of the model: the metrics of forecasts of evenly spaced windows; "loss" is the primary one."""
        part = self.spaced(part, at_least_one(share * min(len(part), self.config.validation_windows)))
        batches = list(self.fitted.in_order(part))

        def validate(model: nn.Module) -> Measured:
            scores = self.score(part, self.trained.predictor(model), batches)
            metrics, items, name = scores.metrics(), scores.items(part.record, part.origin), self.config.metric_name
            return Measured({"loss": metrics[name], **metrics}, {"loss": items[name], **items})

        return validate

    def measure(self, part: Windows, decoding: Any = None) -> Measured:
        part = self.sized(part)
        self.fitted.check_step(part.panel)
        with evaluating(self.model):
            scores = self.score(part, self.trained.predictor())
        return Measured(scores.metrics(), scores.items(part.record, part.origin), details=scores.details())

    def items_sha256(self, part: Windows) -> str:
        part = self.sized(part)
        return items_sha256(part, self.fitted.in_order(part))

    def part_of_values(self, data: Any) -> Windows | None:
        return self.trained.windows_of(data)

    def score(
        self, part: Windows, predictor: Predictor, batches: Iterable[WindowBatch] | None = None
    ) -> ForecastScores:
        """Scores of the forecasts of a part; `batches` are its windows in order, if the caller has them already."""
        batches = self.fitted.in_order(part) if batches is None else batches
        return score_windows(part, predictor, batches, self.fitted.yardstick(part.panel, self.config.levels))

    def baselines(self, train: Windows, valid: Windows, part: Windows) -> list[Baseline]:
        return forecast_baselines(train, valid, part, self.fitted, self.config)

    def costs(self, part: Windows) -> Costs:
        """The time of one window's forecast, windows asked for one at a time."""
        part = self.spaced(part, TIMED)
        batches = WindowBatches(part, self.fitted.scaling(part.panel), size=1, shuffle=False)
        with evaluating(self.model):
            return Costs(median_ms(partial(self.trained.predictor(), batch) for batch in batches))

    def open_items(self, part: Windows, most: int) -> Iterator[OpenedInput]:
        part = self.spaced(self.sized(part), most)
        for row in range(len(part)):
            window = part.select([row])
            yield open_window(self.trained, next(iter(self.fitted.in_order(window))))

    def sized(self, part: Windows) -> Windows:
        """The windows of a part in the sizes of the model."""
        sizes = self.config.lookback, self.config.horizon
        return part if (part.lookback, part.horizon) == sizes else part.of_size(*sizes)

    def describe(self, data: WindowCorpus) -> dict[str, Any]:
        panel = data.series.panel
        return {
            "series": len(panel.records),
            "columns": list(panel.targets),
            "every": panel.grid.every,
            "season": self.fitted.season,
        }
