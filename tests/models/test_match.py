"""The width at which a model has a size: the nearest one, found in few measurements, or a refusal."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from sightline.core.errors import InputError
from sightline.models.match import match_measured


@dataclass(frozen=True)
class Widths:
    """A config whose size is a power of its width."""

    d_model: int = 256
    heads: int = 1
    power: float = 2.0

    def resized(self, d_model: int) -> Widths:
        return replace(self, d_model=d_model)

    def build(self) -> None: ...


def _matched(config: Widths, amount: float, tried: list[int] | None = None) -> int:
    def measure(sized: Widths) -> float:
        if tried is not None:
            tried.append(sized.d_model)
        return 3.0 * sized.d_model**sized.power

    return match_measured(config, amount, measure, asked="size=9", written=lambda size: f"{size:,.0f}").d_model


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("width", [16, 24, 200, 1000, 4096])
def test_a_size_that_a_width_has_finds_that_width_in_few_measurements(power: float, width: int) -> None:
    tried: list[int] = []
    assert _matched(Widths(power=power), 3.0 * width**power, tried) == width
    assert len(tried) == len(set(tried)) <= 14  # no width twice


def test_between_two_widths_the_nearer_one_is_taken() -> None:
    assert _matched(Widths(power=1), 3 * 67) == 64
    assert _matched(Widths(power=1), 3 * 69) == 72


def test_widths_are_multiples_of_twice_the_heads() -> None:
    assert _matched(Widths(heads=12, power=1), 3 * 95) == 96


def test_what_no_width_has_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(InputError, match=r"--match: size=9 cannot be met within 25%: the nearest is 192 at d_model 8"):
        _matched(Widths(), 10.0)
    message = r"the nearest are 192 at d_model 8 and 768 at d_model 16"
    with pytest.raises(InputError, match=message):
        _matched(Widths(), 400.0)
