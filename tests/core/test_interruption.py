"""A computation ends at its next step when whoever asked for it says so."""

from __future__ import annotations

from typing import Any

import pytest

from sightline.core.interruption import interruptible, interruption_point
from sightline.decoding.engine import DecodingConfig
from sightline.inspect import influence
from tests.tasks.translation import small


class Enough(Exception):
    pass


def stops_at(call: int) -> Any:
    calls = []

    def check() -> None:
        calls.append(call)
        if len(calls) == call:
            raise Enough

    return check


@pytest.mark.parametrize("decoding", [{}, {"sample": True}, {"beam": 3}], ids=str)
def test_decoding_stops_at_a_step(decoding: dict[str, Any]) -> None:
    task = small.untrained("gru")
    with pytest.raises(Enough), interruptible(stops_at(3)):
        task.predict(["907"], DecodingConfig(**decoding))
    assert task.predict(["907"], DecodingConfig(**decoding))  # the next call is not concerned


@pytest.mark.parametrize("method", ["effect", "jacobian", "gradient"])
def test_looking_stops_between_methods_and_inside_of_long_ones(method: str) -> None:
    task = small.untrained("gru")
    with pytest.raises(Enough), interruptible(stops_at(2 if method == "gradient" else 20)):
        influence(task, "907 " * 20, [method, "effect"])


def test_a_check_holds_inside_its_block_alone() -> None:
    with pytest.raises(Enough), interruptible(stops_at(1)):
        interruption_point()
    interruption_point()
