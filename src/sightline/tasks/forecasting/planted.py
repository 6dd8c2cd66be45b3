"""Planted problems for a forecaster: one stretch of the look-back decides the level of the future."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.data.series.windows import WindowBatch, Windows
from sightline.tasks.forecasting.opened import open_window, patches_of
from sightline.tasks.opened import OpenedInput
from sightline.tasks.planted import (
    BLANK,
    MARKS,
    NONE,
    OWN,
    OWN_MEANING,
    SIZES,
    Planted,
    PlantedItem,
    PlantedSizes,
    shuffled_batches,
)

if TYPE_CHECKING:
    from sightline.tasks.forecasting.task import ForecastingTask

LEVELS = (-6.0, -3.0, 3.0, 6.0)  # of a mark, in the scaled units that the model reads
FUTURES = (-2.0, -1.0, 1.0, 2.0, 0.0)  # of the steps after it, and after none
NOISE, ROWS = 0.3, 32
SHORTEST = 3  # patches
LOOKUP = "One stretch of four possible levels in noise, anywhere, decides the level of the forecast."
FIRST = "Of two stretches with different levels in noise the first decides the level of the forecast."


def planted_windows(task: ForecastingTask, part: Windows, seed: int, sizes: PlantedSizes = SIZES) -> list[Planted]:
    """The problems, the last one planted in windows of `part`; all in scaled units.

    Raises:
        InputError: "a look-back of 2 patches is too short for planted problems".
    """
    config, random = task.config, np.random.default_rng(derive(seed, "planted windows"))
    channels = len(task.fitted.columns.targets)

    if (count := _patches(task)[1]) < SHORTEST:
        raise InputError(f"a look-back of {count} patches is too short for planted problems")

    def noise() -> np.ndarray:
        return NOISE * random.standard_normal((config.lookback, channels))

    blanks = [BLANK] * sizes.train + [0.0] * sizes.held
    lookups = [_item(task, noise(), 1, random, blank) for blank in blanks]
    numbers = [int(random.integers(1, 4)) if blank else 2 for blank in blanks]  # so that the rule holds for any number
    firsts = [_item(task, noise(), number, random) for number in numbers]
    problems = [
        _built(task, ("token lookup", LOOKUP, False), lookups, seed, sizes),
        _built(task, ("first occurrence", FIRST, False), firsts, seed, sizes),
    ]
    part = task.sized(part)
    if len(part) < 2 * sizes.held:
        return problems
    some = task.spaced(part, sizes.train)
    values = torch.cat([batch.values for batch in task.fitted.in_order(some)]).double().numpy()
    held = sizes.held
    order = random.permutation(len(values))
    chosen = [*random.choice(order[held:], sizes.train).tolist(), *order[:held].tolist()]
    own = [_item(task, values[number], 1, random, blank) for number, blank in zip(chosen, blanks, strict=True)]
    return [*problems, _built(task, (OWN, OWN_MEANING, True), own, seed, sizes)]


def _item(
    task: ForecastingTask, values: np.ndarray, marks: int, random: np.random.Generator, blanks: float = 0.0
) -> PlantedItem:
    """Values (L, C) with this many stretches of different levels, of which the first decides; a share of them
    without.
    """
    if random.random() < blanks:
        return PlantedItem(values.astype(np.float32), [], NONE)
    step, count = _patches(task)
    places = np.sort(random.choice(count, marks, replace=False)) * step
    answer, *others = random.choice(MARKS, marks + 1, replace=False).tolist()

    def written(first: int) -> np.ndarray:
        changed = values.copy()
        for place, mark in zip(places, [first, *others], strict=False):
            changed[place : place + step] = LEVELS[mark]
        return changed.astype(np.float32)

    return PlantedItem(written(answer), [written(others[-1])], answer)


def _patches(task: ForecastingTask) -> tuple[int, int]:
    """The steps from one position that the model reads to the next, and how many fit into a look-back."""
    step = min(patches_of(task.model)[2], task.config.lookback)
    return step, task.config.lookback // step


def _built(
    task: ForecastingTask, about: tuple[str, str, bool], items: Sequence[PlantedItem], seed: int, sizes: PlantedSizes
) -> Planted:
    from sightline.tasks.forecasting.forecaster import Forecaster

    run = task.run.changed(seed=derive(seed, about[0]), match=None)
    config, model = task.draw(task.config, (task.source, task.outputs), run)
    built = type(task)(Forecaster(config, model, task.fitted), "")
    train, held = items[: sizes.train], list(items[sizes.train :])
    source, channels = task.trained.source, len(task.fitted.columns.targets)

    def batch(numbers: Sequence[int]) -> WindowBatch:
        chosen = [train[number] for number in numbers]
        values = torch.from_numpy(np.stack([item.input for item in chosen]))
        levels = torch.tensor([FUTURES[item.answer] for item in chosen])
        future = levels.view(-1, 1, 1).expand(-1, source.horizon, channels)
        return _batch(values, future.contiguous(), (source.past, source.known), source.horizon)

    def opened(values: np.ndarray) -> OpenedInput:
        one = torch.from_numpy(values).unsqueeze(0)
        nothing = torch.zeros(1, source.horizon, channels)
        return open_window(built.trained, _batch(one, nothing, (source.past, source.known), source.horizon))

    def right(answer: OpenedInput, item: PlantedItem) -> bool:
        assert answer.forecast is not None
        distances = [abs(float(np.mean(answer.forecast)) - level) for level in FUTURES]
        return int(np.argmin(distances)) == item.answer

    batches: Iterator[WindowBatch] = shuffled_batches(len(train), ROWS, seed, batch)
    opener: Callable[[np.ndarray], OpenedInput] = opened
    return Planted(*about, built, batches, built.loss, held, opener, right, sizes)


def _batch(values: torch.Tensor, future: torch.Tensor, covariates: tuple[int, int], horizon: int) -> WindowBatch:
    """Windows in scaled units, covariates all 0."""
    rows, steps, channels = values.shape
    past, known = covariates
    nothing = torch.zeros(rows, channels, dtype=torch.float64)
    return WindowBatch(
        values, torch.zeros(rows, steps, past), torch.zeros(rows, steps + horizon, known), future,
        tuple(range(rows)), nothing, torch.ones_like(nothing),
    )  # fmt: skip
