"""Equal sizes: the width at which an architecture has a given number of parameters, or of something measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from sightline.core.errors import InputError
from sightline.models.config import SizedConfig
from sightline.models.sizes_only import sizes_only
from sightline.parts.front_ends import Source

C = TypeVar("C", bound=SizedConfig)
Number = int | float
TOLERANCE = 0.25  # relative difference to what was asked for at which a measured size is refused
GUESSES = 6  # widths that are guessed by a power law before the search bisects


def count_parameters(config: SizedConfig, *sizes: Source) -> int:
    """Trainable parameters of `config.build(*sizes)`, counted without allocating it; shared ones count once."""
    with sizes_only():
        model = config.build(*sizes)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def match_parameters(config: C, parameters: int, *sizes: Source, grain: int = 8) -> C:
    """The config at the multiple of `grain` (and of twice its heads) whose parameter count is nearest to `parameters`.

    Raises `InputError` where even the narrowest is more than 1.5 times as large: `params=1000 is too small …`.
    """
    matched, count, _ = _nearest(config, parameters, lambda sized: count_parameters(sized, *sizes), grain)
    if count > 1.5 * parameters:
        raise InputError(
            f"params={parameters} is too small for this input and output: the narrowest model "
            f"(d_model {matched.d_model}) has {count:.0f}",
            where="--match",
        )
    return matched


def match_measured(
    config: C,
    amount: Number,
    measure: Callable[[C], Number],
    *,
    asked: str,
    written: Callable[[Number], str],
) -> C:
    """The config at the multiple of 8 (and of twice its heads) at which `measure` is nearest to `amount`.

    measure: a size of the model that grows with its width
    asked, written: what was asked for, and how a size is written, for the error

    Raises:
        InputError: "--match: flops=10 cannot be met within 25%: the nearest are 5,120 at d_model 8 and …".
    """
    matched, value, others = _nearest(config, amount, measure, 8)
    if abs(value - amount) > TOLERANCE * amount:
        near = [f"{written(size)} at d_model {width}" for width, size in sorted(others.items())]
        nearest = f"the nearest {'is' if len(near) == 1 else 'are'} {' and '.join(near)}"
        raise InputError(f"{asked} cannot be met within {TOLERANCE:.0%}: {nearest}", where="--match")
    return matched


def _nearest(
    config: C, amount: Number, measure: Callable[[C], Number], grain: int
) -> tuple[C, Number, dict[int, Number]]:
    """The config nearest to the amount, its size, and the sizes of both neighbours by width."""
    grain = math.lcm(grain, 2 * getattr(config, "heads", 1))  # even heads, as rotary positions like them

    @cache
    def size(multiple: int) -> Number:
        return measure(config.resized(multiple * grain))

    low, high = 0, 0  # 0: not known yet
    guess = max(1, config.d_model // grain)
    for turn in range(10**3):
        value = size(guess)
        low, high = (guess, high) if value < amount else (low, guess)
        if high and high - low <= 1:
            break
        guess = _guess(low, high, amount, size, bisect=turn >= GUESSES)
    best = min((multiple for multiple in (low, high) if multiple), key=lambda multiple: abs(size(multiple) - amount))
    neighbours = {multiple * grain: size(multiple) for multiple in (low, high) if multiple}
    return config.resized(best * grain), size(best), neighbours


def _guess(low: int, high: int, amount: Number, size: Callable[[int], Number], *, bisect: bool) -> int:
    """The next width to measure, between what is too small and what is large enough."""
    if not high:  # a size that grows as the width, or faster, is passed by this or by doubling
        return low + max(1, min(low, round(low * (amount / max(size(low), 1.0) - 1))))
    if bisect or not low or size(low) <= 0:
        return (low + high) // 2
    share = math.log(amount / size(low)) / math.log(size(high) / size(low))
    return min(max(round(low * (high / low) ** share), low + 1), high - 1)
