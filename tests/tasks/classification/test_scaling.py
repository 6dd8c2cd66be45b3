"""Series are scaled by the deviation of each channel, in whatever unit they are; constant channels keep their size."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.tasks.classification.inputs import Scaling


def series(channel: np.ndarray) -> list[np.ndarray]:
    """A channel as ten series of one channel, as they are read."""
    return [part.astype(np.float32)[:, None] for part in np.array_split(channel, 10)]


@pytest.mark.parametrize("unit", [1e-15, 1e-13, 1e-6, 1.0, 1e9, 1e30])
@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_the_unit_of_a_series_does_not_matter(unit: float, mean: float) -> None:
    """A recording in tesla (1e-13) is scaled as the same one in other units."""
    values = mean + np.random.default_rng(0).normal(size=1000)
    scaled = np.concatenate([Scaling.fit(series(unit * values))(one) for one in series(unit * values)])
    assert scaled.mean() == pytest.approx(0.0, abs=1e-3)
    assert scaled.std() == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e-13, 101325.0, 1e30])
def test_a_constant_channel_keeps_its_size(value: float) -> None:
    scaling = Scaling.fit(series(np.full(10_000, value)))
    assert scaling.deviation == (1.0,)
    assert scaling.mean == pytest.approx((value,))


@pytest.mark.parametrize("value", [0.1, 1.0, -7.0, 1e-13, 101325.0])
def test_a_channel_that_changes_by_rounding_alone_keeps_its_size(value: float) -> None:
    """A constant that was computed has neighbouring values of float32."""
    neighbour = np.nextafter(np.float32(value), np.float32(np.inf))
    assert Scaling.fit(series(np.tile([np.float32(value), neighbour], 500))).deviation == (1.0,)


def test_small_changes_of_a_large_value_are_scaled() -> None:
    """The pressure of the air in pascal with changes by a tenth: a dozen values of float32."""
    values = 101325 + 0.1 * np.random.default_rng(0).normal(size=1000)
    assert Scaling.fit(series(values)).deviation == pytest.approx((0.1,), rel=0.1)
