"""How many seeds would show a difference of a given size, from the spreads that were seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from scipy import optimize
from scipy import stats as distributions

from sightline.lab.results import Pair, Power

POWER = 0.8
MOST_SEEDS = 1000
EXPLAINED = 0.25  # of an interval, which may be wider by looks at growing numbers of seeds


@final
@dataclass(frozen=True)
class Spread:
    """The spread of a difference of two scores.

    items: standard error from the test items, which more seeds do not reduce
    seeds: root of the sum of both architectures' variances between seeds
    """

    items: float
    seeds: float

    def power(self, difference: float, seeds: int, level: float) -> float:
        """The probability that `seeds` seeds of each show a true difference, two-sided at `level`.

        Student's noncentral t; with errors from items too, its degrees of freedom are Satterthwaite's (1946).
        """
        error, freedom = self.error(seeds)
        if error == 0.0:
            return 1.0 if difference > 0 else 0.0
        if freedom > 1e6:
            return float(distributions.norm.sf(distributions.norm.isf(level / 2) - difference / error))
        critical = distributions.t.isf(level / 2, freedom)
        return float(distributions.nct.sf(critical, freedom, difference / error))

    def error(self, seeds: int) -> tuple[float, float]:
        """The standard error of the difference with `seeds` seeds of each, and its degrees of freedom."""
        of_seeds = self.seeds**2 / seeds
        error = math.sqrt(self.items**2 + of_seeds)
        return error, 2 * (seeds - 1) * (error**2 / of_seeds) ** 2 if of_seeds else math.inf

    def explains(self, interval: float | None, seeds: int) -> bool:
        """Whether half a 95 % interval of the difference is of the size that this spread gives it."""
        error, freedom = self.error(seeds)
        half = float(distributions.t.isf(0.025, freedom)) * error
        return error > 0 and (interval is None or half >= EXPLAINED * interval)

    def seeds_needed(self, difference: float, level: float) -> int | None:
        """The smallest number of seeds of each that shows a true difference with a probability of `POWER`.

        None where `MOST_SEEDS` do not suffice: the test items alone hide it.
        """
        low, high = 1, MOST_SEEDS  # one seed is never enough: the spread between seeds is then unknown
        if self.power(difference, high, level) < POWER:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.power(difference, middle, level) >= POWER else (middle, high)
        return high

    def smallest(self, seeds: int, level: float) -> float:
        """The smallest true difference that `seeds` seeds of each show with a probability of `POWER`."""
        error, _ = self.error(seeds)
        if error == 0.0:
            return 0.0
        most = error
        while self.power(most, seeds, level) < POWER:
            most *= 2
        effect: float = optimize.brentq(  # pyrefly: ignore
            lambda difference: self.power(difference, seeds, level) - POWER, 0.0, most
        )
        return effect


def power_of(pairs: Sequence[Pair], difference: float | None, *, seeds: int, level: float) -> Power | None:
    """The seeds that would show a difference between the best architecture and another one, all other things as seen.

    Of the undecided pairs with the best architecture it is the one whose difference is the least certain; where all are
    decided, the best two. `level` is that of all pairs together; each has an equal part of it. None where one seed
    leaves the spread between seeds unknown, without a difference to show, or where the spread that was seen does not
    explain the interval: near a limit, as where hardly an answer is right, chance is larger than what varied.
    """
    with_best = [pair for pair in pairs if pair.first == pairs[0].first and pair.seed_spread is not None]
    if not with_best or not difference or seeds < 2:
        return None
    level /= len(pairs)
    still_open = [pair for pair in with_best if pair.outcome == "not decided"] or with_best[:1]
    spreads = [(Spread(pair.item_error or 0.0, pair.seed_spread or 0.0), pair) for pair in still_open]
    spread, pair = max(spreads, key=lambda one: one[0].smallest(seeds, level))
    if not spread.explains(pair.difference.spread, seeds):
        return None
    needed = spread.seeds_needed(difference, level)
    return Power(pair.first, pair.second, difference, needed, seeds, spread.smallest(seeds, level))
