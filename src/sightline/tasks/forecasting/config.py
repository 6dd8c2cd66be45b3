"""What a user chooses about a forecaster and its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from sightline.core.errors import InputError
from sightline.data.series.corpus import SeriesColumns, SeriesData, load_series
from sightline.data.series.panel import Evenness, Fill, Resample
from sightline.models import FORECASTERS, SizedConfig
from sightline.tasks.run import RunConfig, part_of
from sightline.training.optim import OptimConfig

Objective = Literal["mse", "mae", "quantile"]
PUBLISHED_BATCH = 32


@dataclass(frozen=True)
class SeriesConfig:
    """Which series to train on, and how to read and divide them.

    time_column … time_format: see `SeriesColumns`; every, resample, fill: see `Evenness`
    split: shares of the times for training, validation and test, or numbers of steps
    limit: only the first so many windows of each part
    """

    data: str = ""
    time_column: str | None = None
    series_column: str | None = None
    targets: tuple[str, ...] = ()
    past_covariates: tuple[str, ...] = ()
    known_covariates: tuple[str, ...] = ()
    time_format: str | None = None
    every: str | None = None
    resample: Resample | None = None
    fill: Fill | None = None
    split: tuple[float, float, float] = (0.7, 0.1, 0.2)
    limit: int | None = None

    @property
    def columns(self) -> SeriesColumns:
        """What the table's columns are."""
        return SeriesColumns(
            self.time_column,
            self.series_column,
            self.targets,
            self.past_covariates,
            self.known_covariates,
            self.time_format,
        )

    @property
    def rules(self) -> Evenness:
        """How uneven tables are made even."""
        return Evenness(self.every, self.resample, self.fill)

    def load(self) -> SeriesData:
        """The series; raises what `load_series` raises, and `InputError` where no data is named."""
        if not self.data:
            raise InputError("no data named: give a .csv, .tsv or .parquet table, or builtin:seasonal", where="--data")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"must be at least 1, found {self.limit}", where="limit")
        return load_series(self.data, self.columns, self.rules, split=self.split)


@dataclass(frozen=True)
class ForecastingConfig:
    """What is trained on windows of series: architecture and sizes, what it reads and says, loss and batches.

    lookback, horizon: steps read, and steps forecast after them
    loss: "mse", "mae", or "quantile" for a forecast of all `quantiles` by the pinball loss; the middle one is the point
    season: steps of a season, of mase and the seasonal naive forecast; None = found in training (`find_season`)
    scale: what values are divided by before anything else: the training part's standard deviation, or nothing
    protocol: "every" measures on every window; "published" leaves out the last ones that fill no batch of 32, as the
        loaders of Informer, Autoformer and LTSF-Linear do at that batch size
    batch_size: windows of a training batch
    validation_windows: how many windows, evenly spaced, a validation forecasts
    """

    arch: str = "transformer"
    model: SizedConfig = FORECASTERS["transformer"]
    lookback: int = 96
    horizon: int = 24
    loss: Objective = "mse"
    quantiles: tuple[float, ...] = (0.1, 0.5, 0.9)
    season: int | None = None
    scale: Literal["standard", "none"] = "standard"
    protocol: Literal["every", "published"] = "every"
    batch_size: int = 64
    validation_windows: int = 2000

    def __post_init__(self) -> None:
        if self.arch in FORECASTERS and type(self.model) is not type(FORECASTERS[self.arch]):
            raise InputError(f"{type(self.model).__name__} is not the config of {self.arch!r}", where="model")
        for name in ("lookback", "horizon", "batch_size", "validation_windows", "season"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"must be at least 1, found {value}", where=name)
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
        """The quantiles that the model says; empty where it says one number."""
        return self.quantiles if self.loss == "quantile" else ()

    @property
    def outputs(self) -> int:
        """Numbers for every step and column."""
        return max(1, len(self.levels))

    @property
    def metric_name(self) -> str:
        """What a comparison decides by: the metric that is trained for."""
        return "pinball" if self.loss == "quantile" else self.loss


def optim_preset(arch: str) -> OptimConfig:
    """The optimizer's settings where nothing else is said.

    Of the linear maps Adam without decay at the rate of the authors' later scripts; the others' rates were not
    searched.
    """
    if arch in ("dlinear", "nlinear"):
        return OptimConfig(lr=5e-3, beta2=0.999, weight_decay=0.0, warmup_steps=0, clip_norm=None)
    return OptimConfig(lr=1e-3)


def preset_values(arch: str) -> dict[str, Any]:
    """The keys of `ForecastingConfig` that depend on the architecture."""
    linear = arch in ("dlinear", "nlinear")
    return {"arch": arch, "model": FORECASTERS[arch], "batch_size": 32 if linear else 64}


@dataclass(frozen=True)
class ForecastingRun(RunConfig, ForecastingConfig, SeriesConfig):
    """All of a forecaster's training."""

    Data: ClassVar[type] = SeriesConfig

    task: str = "forecasting"

    def __post_init__(self) -> None:
        RunConfig.__post_init__(self)
        ForecastingConfig.__post_init__(self)

    @property
    def series(self) -> SeriesConfig:
        """Which series."""
        return part_of(SeriesConfig, self)

    @property
    def settings(self) -> ForecastingConfig:
        """Which model, and what it reads and says."""
        return part_of(ForecastingConfig, self)
