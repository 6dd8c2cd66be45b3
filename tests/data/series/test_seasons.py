"""Seasons: found where there is one, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.data.series.seasons import find_season


def wave(season: float, length: int = 600, noise: float = 0.3, slope: float = 0.0, seed: int = 0) -> np.ndarray:
    t = np.arange(length)
    y = np.sin(2 * np.pi * t / season) + 0.4 * np.cos(4 * np.pi * t / season) + slope * t
    return (y + noise * np.random.default_rng(seed).standard_normal(length))[:, None]


@pytest.mark.parametrize("season", [3, 7, 12, 24, 96])
@pytest.mark.parametrize("slope", [0.0, 0.01])
def test_a_season_is_found_through_noise_and_slope(season: int, slope: float) -> None:
    assert find_season([wave(season, slope=slope)]) == season


def test_several_series_are_heard_together() -> None:
    assert find_season([wave(12, noise=1.0, seed=seed) for seed in range(8)]) == 12


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_none(seed: int) -> None:
    random = np.random.default_rng(seed)
    assert find_season([random.standard_normal((500, 2))]) == 1


def test_too_little_to_tell() -> None:
    assert find_season([]) == 1
    assert find_season([np.zeros((4, 1))]) == 1
    assert find_season([np.ones((100, 1))]) == 1
    assert find_season([np.linspace(0, 1, 200)[:, None]]) == 1
