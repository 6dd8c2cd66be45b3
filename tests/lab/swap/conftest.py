"""Set-up of the tests of swaps: none of them says how long a step takes, so few are timed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sightline.lab.swap import costs


@pytest.fixture(scope="package", autouse=True)
def _few_timed_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "ROUNDS", 1)
        patch.setattr(costs, "STEPS", 2)
        yield
