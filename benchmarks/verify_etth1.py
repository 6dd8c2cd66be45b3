"""ETTh1: comparison with published numbers, and results of attention and recurrence.

    python benchmarks/verify_etth1.py --archs dlinear,transformer,lstm --horizons 96,192,336,720

Reads `ett/ETTh1.csv` under $SIGHTLINE_VERIFY_DATA (default ../shared/data): 8,640 hours for training, 2,880 for
validation, 2,880 for test; every column is scaled by its training part; look-back 336. "Repeat the last value" is
evaluated on every window and under the published protocol, whose loader drops the last windows that do not fill a
batch of 32. Then each architecture is trained for each horizon with the settings below, which were chosen beforehand
or on the validation part, and evaluated under both protocols. Writes the results to
benchmarks/results/etth1-<arch>.json and resumes interrupted runs. Exit status 5 if repeat differs from the published
numbers by more than .001, or DLinear by more than .01.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from record import measured, write
from sightline.core.config import encode
from sightline.models import DLinearConfig, ForecasterConfig, NLinearConfig, SizedConfig
from sightline.tasks.fit import train_task
from sightline.tasks.forecasting import baselines as forecast_baselines
from sightline.tasks.forecasting.config import PUBLISHED_BATCH, ForecastingRun
from sightline.tasks.forecasting.task import ForecastingTask
from sightline.training.optim import OptimConfig
from sightline.training.progress import reporting

RESULTS = Path(__file__).parent / "results"
HORIZONS = (96, 192, 336, 720)
LOOKBACK = 336
# Mean squared and mean absolute error by horizon. Repeat and DLinear: Zeng et al. 2023 (arXiv:2205.13504), table 2.
REPEAT = {96: (1.295, 0.713), 192: (1.325, 0.733), 336: (1.323, 0.744), 720: (1.339, 0.756)}
DLINEAR = {96: (0.375, 0.399), 192: (0.405, 0.416), 336: (0.439, 0.443), 720: (0.472, 0.490)}
PATCHTST = {96: (0.375, 0.399), 192: (0.414, 0.421), 336: (0.431, 0.436), 720: (0.449, 0.466)}  # table 3, PatchTST/42


@dataclass(frozen=True)
class Setting:
    """The training settings of one architecture."""

    model: SizedConfig
    optim: OptimConfig
    batch_size: int
    epochs: int
    patience: int
    published: dict[int, tuple[float, float]] = field(default_factory=dict)


def linear(model: SizedConfig, published: dict[int, tuple[float, float]] | None = None) -> Setting:
    """Adam at 1e-4, batches of 8, at most 10 epochs, patience 3, as in the authors' first script for ETTh1.

    One deviation: a cosine schedule over the 10 epochs instead of halving the rate after each epoch.
    """
    optim = OptimConfig(lr=1e-4, beta2=0.999, weight_decay=0.0, warmup_steps=0, clip_norm=None)
    return Setting(model, optim, 8, 10, 3, published or {})


def patches(mixer: str) -> Setting:
    """Two layers of width 32 over the 14 days of the look-back, each column separately; at most 5 epochs, patience 2.

    One core trains this size in a minute or two. PatchTST's published numbers, listed for comparison with the
    Transformer, are from a larger model: 3 layers, 42 patches of 16 hours, 100 epochs.
    """
    model = ForecasterConfig(
        (mixer,), d_model=32, layers=2, heads=4, d_feed_forward=64, dropout=0.2, patch=24, stride=24,
        instance_norm="standard",
    )  # fmt: skip
    optim = OptimConfig(lr=1e-3, weight_decay=0.0)
    return Setting(model, optim, 32, 5, 2, PATCHTST if mixer == "softmax" else {})


SETTINGS = {
    "dlinear": linear(DLinearConfig(), DLINEAR),
    "nlinear": linear(NLinearConfig()),
    "transformer": patches("softmax"),
    "lstm": patches("lstm"),
    "gru": patches("gru"),
}


@dataclass(frozen=True)
class Outcome:
    """Errors of one architecture, or of repeating, at one horizon under both protocols."""

    arch: str
    horizon: int
    windows: int
    published_windows: int
    mse: float
    mae: float
    mse_published_protocol: float
    mae_published_protocol: float
    mase: float
    published: tuple[float, float] | None = None
    parameters: int = 0
    steps: int = 0
    best_step: int | None = None
    validation_mse: float | None = None
    train_s: float = 0.0


def run_of(arch: str, horizon: int, data: str, seed: int) -> ForecastingRun:
    """The configuration of one training."""
    setting = SETTINGS[arch]
    run = ForecastingTask.preset(arch).changed(
        data=data, split=(8640.0, 2880.0, 2880.0), lookback=LOOKBACK, horizon=horizon,
        season=24, model=setting.model, optim=setting.optim, batch_size=setting.batch_size, seed=seed,
        patience=setting.patience, validation_windows=10_000, checkpoint_every_s=120.0, device="cpu", dtype="float32",
    )  # fmt: skip
    epoch_steps = -(-(8640 - LOOKBACK - horizon + 1) // setting.batch_size)
    return run.changed(budget=f"{setting.epochs * epoch_steps}steps", validate_every=epoch_steps)


def errors(task: ForecastingTask, windows: Any, predictor: Any) -> dict[str, float]:
    """Errors and numbers of windows under both protocols."""
    whole = windows.select(np.arange(len(windows) // PUBLISHED_BATCH * PUBLISHED_BATCH))
    every, published = (task.score(part, predictor).metrics() for part in (windows, whole))
    return {
        "windows": len(windows), "published_windows": len(whole), "mse": every["mse"], "mae": every["mae"],
        "mse_published_protocol": published["mse"], "mae_published_protocol": published["mae"], "mase": every["mase"],
    }  # fmt: skip


def repeat(horizon: int, data: str) -> Outcome:
    """The baseline that repeats the last value."""
    run = run_of("nlinear", horizon, data, 0)
    dataset = ForecastingTask.load_data(run)
    task = ForecastingTask.build(dataset, run)
    scores: Any = errors(task, dataset.test, forecast_baselines.repeat(horizon))
    return Outcome("repeat", horizon, **scores, published=REPEAT[horizon])


def verify(arch: str, horizon: int, data: str, runs: Path, seed: int) -> Outcome:
    """Train one architecture for one horizon, or resume its run, and evaluate it on the test part."""
    run = run_of(arch, horizon, data, seed)
    dataset = ForecastingTask.load_data(run)
    place = runs / f"etth1-{arch}-{horizon}-{seed}"
    with reporting(run.training.metric) as on_progress:
        trained = train_task(
            ForecastingTask.build(dataset, run), dataset, place, run.training,
            resume=(place / "checkpoints").exists(), on_progress=on_progress,
        )  # fmt: skip
    task, training = trained.task, trained.training
    scores: Any = errors(task, dataset.test, task.trained.predictor())
    return Outcome(
        arch,
        horizon,
        **scores,
        published=SETTINGS[arch].published.get(horizon),
        parameters=task.parameters,
        steps=training.steps,
        best_step=training.best_step,
        validation_mse=training.best_metric,
        train_s=round(training.seconds, 1),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", default="dlinear,transformer,lstm")
    parser.add_argument("--horizons", default=",".join(map(str, HORIZONS)))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    data = str(Path(os.environ.get("SIGHTLINE_VERIFY_DATA", "../shared/data")) / "ett" / "ETTh1.csv")
    horizons = [int(horizon) for horizon in chosen.horizons.split(",")]
    good = True
    for arch in ("repeat", *chosen.archs.split(",")):
        outcomes = []
        for horizon in horizons:
            one = repeat(horizon, data) if arch == "repeat" else verify(arch, horizon, data, chosen.runs, chosen.seed)
            good &= passes(one)
            outcomes.append(one)
        facts = {
            "look_back": LOOKBACK, "seed": chosen.seed, "threads": torch.get_num_threads(),
            "setting": encode(SETTINGS[arch]) if arch in SETTINGS else None,
            "outcomes": [asdict(outcome) for outcome in outcomes],
            "environment": measured(),
        }  # fmt: skip
        write(RESULTS / f"etth1-{arch}.json", facts)
    raise SystemExit(0 if good else 5)


def passes(one: Outcome) -> bool:
    """Whether the outcome is close to the published numbers (repeat: .001, DLinear: .01); prints the result."""
    reached = (one.mse_published_protocol, one.mae_published_protocol)
    tolerance = {"repeat": 0.001, "dlinear": 0.01}.get(one.arch)
    text = f"{one.arch} {one.horizon}: MSE {one.mse:.4f}, MAE {one.mae:.4f} on {one.windows:,} windows"
    text += f"; published protocol {reached[0]:.4f} and {reached[1]:.4f}"
    if one.published is not None:
        text += f", published {one.published[0]:.3f} and {one.published[1]:.3f}"
    if tolerance is None or one.published is None:
        print(text, flush=True)
        return True
    # Published numbers have three decimals.
    good = all(abs(a - b) <= tolerance + 0.0005 for a, b in zip(reached, one.published, strict=True))
    print(f"{text}, tolerance {tolerance}: {'passed' if good else 'failed'}", flush=True)
    return good


if __name__ == "__main__":
    main()
