"""Settings of a forecaster and its data."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, final

import numpy as np

from sightline.core.errors import InputError
from sightline.core.settings import flat, key
from sightline.data.series.corpus import SOURCES, SeriesColumns, SeriesData, load_panel, load_series
from sightline.data.series.describe import survey_series
from sightline.data.series.panel import Evenness, Fill, Resample
from sightline.data.series.windows import WindowCorpus, Windows, all_windows, make_windows
from sightline.data.survey import Survey
from sightline.models import FORECASTERS, SizedConfig
from sightline.models.linear_forecasters import READS
from sightline.parts.front_end_choice import encode_choice
from sightline.parts.series_patches import SeriesWindows
from sightline.tasks.run import DataConfig, RunConfig, TaskConfig, log_notes
from sightline.training.optim import OptimConfig

ForecastLoss = Literal["mse", "mae", "quantile"]
PUBLISHED_BATCH = 32
LINEAR = "dlinear", "nlinear"


@final
@dataclass(frozen=True)
class SeriesDataConfig(DataConfig):
    """The series to train on, and the options for reading and dividing them."""

    time_column: str | None = key(None, "Column of the times; null: found by its name.")
    series_column: str | None = key(None, "Column that names each row's series; null: one series.")
    targets: tuple[str, ...] = key((), "Columns to forecast; none named: all columns of numbers.")
    past_covariates: tuple[str, ...] = key((), "Columns that are known only in the past.")
    known_covariates: tuple[str, ...] = key((), "Columns that are known in advance, over the horizon too.")
    time_format: str | None = key(None, "Format of the times for strptime, or number; null: derived from the values.")
    time_zone: str | None = key(
        None, "Zone of the times, such as Europe/Berlin; needed where offsets change; null: the one that they name."
    )
    missing: tuple[float, ...] = key((), "Numbers that mark a missing value, such as -9999.")
    every: str | None = key(None, "Step between times, such as 1h or 1d; null: derived from the times.")
    calendar: Literal["full", "business"] = key(
        "full", "Days that steps are counted in: all, or Monday to Friday (the same as a step of 1b)."
    )
    resample: Resample | None = key(None, "How several times within a step become one; null: refuse them.")
    fill: Fill | None = key(None, "How missing steps are filled; null: refuse them.")
    split: tuple[float, float, float] = key(
        (0.7, 0.1, 0.2), "Shares of the times for training, validation and test, or their numbers of steps."
    )

    @property
    def columns(self) -> SeriesColumns:
        """The roles of the table's columns."""
        return SeriesColumns(
            self.time_column,
            self.series_column,
            self.targets,
            self.past_covariates,
            self.known_covariates,
            self.time_format,
            self.time_zone,
            self.missing,
        )

    @property
    def rules(self) -> Evenness:
        """The rule for gaps and uneven steps."""
        business = self.calendar == "business"
        if business and self.every is not None and not self.every.endswith("b"):
            raise InputError(f"counts in business days: write --every 1b, not {self.every!r}", where="--calendar")
        return Evenness(self.every or ("1b" if business else None), self.resample, self.fill)

    def load(self, *, short: bool = False) -> SeriesData:
        """The series; raises what `load_series` raises, and `InputError` where no data is named."""
        data = self.named(SOURCES)
        return load_series(data, self.columns, self.rules, split=self.split, short=short)


@final
@dataclass(frozen=True)
class ForecastingConfig(TaskConfig):
    """Settings of a forecaster: architecture and sizes, look-back and horizon, loss and batches.

    loss: "quantile" forecasts all `quantiles` by the pinball loss; the middle one is the point forecast
    protocol: "published" leaves out the last windows that fill no batch of 32, as the loaders of Informer, Autoformer
        and LTSF-Linear do at that batch size
    """

    form = "forecaster"

    arch: str = key("transformer", "Architecture.")
    model: SizedConfig = key(FORECASTERS["transformer"], "Sizes of the model.")
    lookback: int = key(0, "Steps that the model reads; 0: by season and length, often four seasons.", at_least=0)
    horizon: int = key(
        0, "Steps that the model forecasts after them; 0: by season and length, often one season.", at_least=0
    )
    loss: ForecastLoss = key("mse", "Loss of the forecasts.")
    quantiles: tuple[float, ...] = key((0.1, 0.5, 0.9), "Levels of a quantile forecast, 0.5 in the middle.")
    season: int | None = key(None, "Steps of a season, for MASE and seasonal baselines; null: estimated.", at_least=1)
    scale: Literal["standard", "none"] = key("standard", "Divide values by the training part's standard deviation.")
    protocol: Literal["every", "published"] = key("every", "Windows to measure on: all, or whole batches of 32.")
    batch_size: int = key(64, "Windows of a training batch.", at_least=1)
    validation_windows: int = key(2000, "Windows that a validation forecasts.", at_least=1)

    reads = ("series",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.arch in LINEAR and encode_choice(self.front_end):
            raise InputError(f"{READS}: leave it out", where="front_end")
        patch = getattr(self.model, "patch", 1)
        if getattr(self.model, "decoding", "") == "autoregressive" and self.lookback % patch:
            raise InputError(
                f"must be a multiple of the patch of {patch} steps for autoregressive decoding, found {self.lookback}",
                where="lookback",
            )
        levels = self.quantiles
        if (
            sorted(set(levels)) != list(levels)
            or not all(0 < level < 1 for level in levels)
            or len(levels) % 2 == 0
            or levels[len(levels) // 2] != 0.5
        ):
            raise InputError(
                f"expected rising levels between 0 and 1 with 0.5 in the middle, such as 0.1,0.5,0.9, found {levels}",
                where="quantiles",
            )

    @property
    def levels(self) -> tuple[float, ...]:
        """The quantiles that the model predicts; empty for a point forecast."""
        return self.quantiles if self.loss == "quantile" else ()

    def fitted(self, train: Windows) -> ForecastingConfig:
        """The same with the look-back and the horizon of these windows, where it has none.

        Raises:
            InputError: "arch: dlinear does not read covariates; leave them out, or choose another architecture".
        """
        self.check_covariates(train.panel.past, train.panel.known)
        return replace(self, lookback=self.lookback or train.lookback, horizon=self.horizon or train.horizon)

    def check_covariates(self, past: Collection[str], known: Collection[str]) -> None:
        """Raises what `fitted` raises, for columns of these names."""
        if self.arch in LINEAR and (past or known):
            raise InputError(
                f"{self.arch} does not read covariates; leave them out, or choose another architecture", where="arch"
            )

    def windows(self, channels: int, past: int, known: int) -> SeriesWindows:
        """The input of the model: its windows with columns of these kinds, and the front end that embeds them."""
        return SeriesWindows(self.lookback, self.horizon, channels, past, known, encode_choice(self.front_end))

    @property
    def outputs(self) -> int:
        """Numbers for every step and column."""
        return max(1, len(self.levels))

    @property
    def metric_name(self) -> str:
        """The metric that decides a comparison: the one that is trained for."""
        return "pinball" if self.loss == "quantile" else self.loss

    @classmethod
    def own(cls, arch: str) -> dict[str, Any]:
        return {"batch_size": 32} if arch in LINEAR else {}

    @classmethod
    def optimizer(cls, arch: str) -> OptimConfig:
        """Of the linear maps Adam without decay at the rate of the authors' later scripts; others were not searched."""
        if arch in LINEAR:
            return OptimConfig(lr=5e-3, beta2=0.999, weight_decay=0.0, warmup_steps=0, clip_norm=None)
        return OptimConfig(lr=1e-3)


@final
@dataclass(frozen=True)
class ForecastingRun(RunConfig):
    """The configuration of a forecaster's training."""

    corpus: SeriesDataConfig = flat(SeriesDataConfig())
    settings: ForecastingConfig = flat(ForecastingConfig())
    task: str = "forecasting"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.settings.check_covariates(self.corpus.past_covariates, self.corpus.known_covariates)

    def load(self) -> WindowCorpus:
        """The windows of the series; raises what `load_series` and `make_windows` raise."""
        data = self._windows(self.corpus.load())
        if self.settings.protocol == "every":
            return data
        whole = len(data.test) // PUBLISHED_BATCH * PUBLISHED_BATCH
        if not whole:
            raise InputError(f"needs {PUBLISHED_BATCH} windows of test, found {len(data.test)}", where="protocol")
        return replace(data, test=data.test.select(np.arange(whole)))

    def read(self) -> Windows:
        """All windows of the data as one part; logs notes."""
        panel = load_panel(self.corpus.data, self.corpus.columns, self.corpus.rules)
        log_notes(self.corpus.data, panel.notes)
        return all_windows(panel, self.settings.lookback, self.settings.horizon)

    def survey(self) -> Survey:
        """A summary of series of any length; whether windows fit is a note."""
        series = self.corpus.load(short=True)
        try:
            notes = self._windows(series).notes
        except InputError as error:
            divided = all(series.sizes.values())  # where not, a note says why already
            notes = (*series.notes, *([f"nothing can be trained on this: {error}"] if divided else []))
        return survey_series(replace(series, notes=notes), self.settings.season)

    def _windows(self, series: SeriesData) -> WindowCorpus:
        config = self.settings
        fed_back = getattr(config.model, "decoding", "") == "autoregressive"
        multiple = getattr(config.model, "patch", 1) if fed_back else 1
        return make_windows(
            series, config.lookback, config.horizon, limit=self.corpus.limit, season=config.season, multiple=multiple
        )
