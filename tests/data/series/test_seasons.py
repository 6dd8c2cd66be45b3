"""Seasons: found where there is one, and only there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sightline.data.series.grid import Grid
from sightline.data.series.seasons import find_season
from sightline.data.series.times import DAY


def wave(season: float, length: int = 600, noise: float = 0.3, slope: float = 0.0, seed: int = 0) -> np.ndarray:
    t = np.arange(length)
    y = np.sin(2 * np.pi * t / season) + 0.4 * np.cos(4 * np.pi * t / season) + slope * t
    return (y + noise * np.random.default_rng(seed).standard_normal(length))[:, None]


@pytest.mark.parametrize("season", [3, 7, 12, 24, 96])
@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_a_season_is_found_through_noise_and_slope(season: int, slope: float) -> None:
    assert find_season([wave(season, slope=slope)]) == season


@pytest.mark.parametrize("seed", range(5))
def test_a_yearly_curve_with_noise_has_the_season_of_the_year_or_none(seed: int) -> None:
    """As long as three years are not seen there is none: ripples of noise on a slow curve are not a season."""
    t, random = np.arange(1500), np.random.default_rng(seed)
    days = (10 * np.cos(2 * np.pi * t / 365.25) + 3 * random.standard_normal(1500))[:, None]
    assert find_season([days], usual=7) == pytest.approx(365, abs=15)
    assert find_season([days[:800]], usual=7) == 1


@pytest.mark.parametrize("seed", range(5))
def test_a_week_is_found_on_a_yearly_curve(seed: int) -> None:
    t, random = np.arange(1000), np.random.default_rng(seed)
    days = 10 * np.cos(2 * np.pi * t / 365.25) + 4 * np.cos(2 * np.pi * t / 7) + 2 * random.standard_normal(1000)
    assert find_season([days[:, None]], usual=7) == 7


def test_several_series_are_heard_together() -> None:
    assert find_season([wave(12, noise=1.0, seed=seed) for seed in range(8)]) == 12


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_none(seed: int) -> None:
    random = np.random.default_rng(seed)
    assert find_season([random.standard_normal((500, 2))]) == 1


@pytest.mark.parametrize("length", [30, 60, 120, 240])
def test_short_noise_seldom_has_one(length: int) -> None:
    random = np.random.default_rng(0)
    seasons = [find_season([random.standard_normal((length, 1))]) for _ in range(100)]
    assert sum(season > 1 for season in seasons) <= 10
    assert find_season([wave(12, length, noise=0.5)] if length > 30 else [wave(5, length, noise=0.1)]) in (5, 12)


def test_the_season_that_the_calendar_suggests_may_be_weaker() -> None:
    months = wave(12, 84, noise=1.1, seed=13)
    assert find_season([months]) == 1
    assert find_season([months], usual=12) == 12
    assert find_season([wave(7, 84)], usual=12) == 7


@pytest.mark.parametrize(
    ("kind", "step", "season"),
    [("month", 1, 12), ("month", 3, 4), ("month", 12, 1), ("business", 1, 5), ("time", DAY, 7), ("time", DAY // 24, 24),
     ("time", 7 * DAY, 1), ("number", 1, 1)],
)  # fmt: skip
def test_the_calendar_suggests_a_season(kind: Any, step: int, season: int) -> None:
    assert Grid(kind, 0, step).season == season


def test_too_little_to_tell() -> None:
    assert find_season([]) == 1
    assert find_season([np.zeros((4, 1))]) == 1
    assert find_season([np.ones((100, 1))]) == 1
    assert find_season([np.linspace(0, 1, 200)[:, None]]) == 1


def test_markers_of_missing_values_do_not_make_a_season() -> None:
    t = np.arange(24 * 40)
    values = 20 + 5 * np.sin(2 * np.pi * t / 24)
    values[::17] = -9999
    assert find_season([values[:, None]]) == 24


def test_days_on_which_nothing_is_sold_are_a_season() -> None:
    values = np.random.default_rng(0).normal(900, 20, 7 * 60)
    values[::7] = 0
    assert find_season([values[:, None]]) == 7
