"""How far the outputs of an export are from the model's."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.export.equality import difference

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([0.5, 0.0], [0.0, 0.0], 0.5),
        ([100.0, 0.0], [100.0, 1.0], 0.01),
        ([-INF, 0.0], [-INF, 0.25], 0.25),
        ([INF, -INF], [INF, -INF], 0.0),
        ([1.0], [NAN], INF),
        ([NAN], [1.0], INF),
        ([NAN, 1.0], [NAN, 1.0], INF),
        ([1.0], [INF], INF),
        ([-INF], [1.0], INF),
        ([INF], [-INF], INF),
        ([1.0], [1.0, 1.0], INF),
        ([], [], 0.0),
        ([3, 4], [3, 5], 0.25),
        ([True], [True], 0.0),
    ],
)
def test_the_largest_difference(ours: list[float], theirs: list[float], expected: float) -> None:
    assert difference(np.array(ours), np.array(theirs)) == expected
    if all(map(np.isfinite, (*ours, *theirs))):
        narrow = difference(np.array(ours, np.float32), np.array(theirs, np.float32))
        assert narrow == pytest.approx(expected)
