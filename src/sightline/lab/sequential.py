"""Looks at growing numbers of seeds: p-values and intervals that remain right whichever look is the last.

A comparison that adds seeds until it is decided looks at its results several times, and each look may err. The rounds
are planned: the first look is at `first` seeds, each later one at one seed more, the last at `last`. The levels of the
looks grow in proportion to the number of seeds: where few seeds leave the spread uncertain, little is risked,

    reject at the look at n seeds where  p_n <= c * n / last

with the c at which the probability of a rejection at any of the looks is 5 % if there is no difference. These are
group-sequential tests (Pocock 1977, "Group sequential methods in the design and analysis of clinical trials"; Wang and
Tsiatis 1987 for other shapes of the levels), and intervals of the same level are repeated confidence intervals
(Jennison and Turnbull 1989, "Interim analyses: the repeated confidence interval approach"): both remain right when the
comparison ends at any look for any reason.

Confidence sequences (Howard et al. 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences";
Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting") remain right at any of
unlimited looks. Here the looks are planned and at most a hundred, and scores of a few seeds need Student's t: in
3 to 10 seeds an always-valid test for it finds a difference of one standard deviation with a probability of .2,
these levels with .48.

The distribution of the smallest p_n * last / n under no difference is simulated, with Student's t of two architectures
whose scores vary by seed alone. That is the worst case: test items are the same at every look, and what they contribute
makes the looks more alike, which makes it less probable that any of them rejects (by Royen 2014, the proof of the
Gaussian correlation inequality: scaling up the correlations between two blocks of normal variables raises the
probability that all remain within symmetric bounds). More architectures give the spread more degrees of freedom, with
the same effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import final

import numpy as np
from scipy import special

PATHS = 100_000
_CHUNK = 10_000


@final
@dataclass(frozen=True)
class Look:
    """The look at `seeds` seeds of planned looks at `first`, `first` + 1, …, `last` seeds.

    Raises:
        ValueError: "expected 2 <= first <= seeds <= last, found 1, 3, 10".
    """

    seeds: int
    first: int
    last: int

    def __post_init__(self) -> None:
        if not 2 <= self.first <= self.seeds <= self.last:
            raise ValueError(f"expected 2 <= first <= seeds <= last, found {self.first}, {self.seeds}, {self.last}")

    def adjusted(self, p: float) -> float:
        """The probability, under no difference, that any look gives a result as extreme as `p` is at this one."""
        minima = _smallest(self.first, self.last)
        count = int(np.searchsorted(minima, p * self.last / self.seeds, side="right"))
        return min(1.0, max(p, (count + 1) / (len(minima) + 1)))

    def level(self, total: float) -> float:
        """The level of this look alone at which the probability of an error at any look is `total`."""
        minima = _smallest(self.first, self.last)
        return min(total, float(minima[int(total * len(minima)) - 1]) * self.seeds / self.last)


@cache
def _smallest(first: int, last: int) -> np.ndarray:
    """The smallest p_n * last / n of each simulated sequence of looks, ascending."""
    generator = np.random.default_rng(0)
    counts = np.arange(first, last + 1)
    minima = []
    for _ in range(PATHS // _CHUNK):
        scores = generator.standard_normal((_CHUNK, 2, last))
        sums, squares = scores.cumsum(2)[..., first - 1 :], (scores**2).cumsum(2)[..., first - 1 :]
        variance = ((squares - sums**2 / counts) / (counts - 1)).mean(1)
        t = (sums[:, 0] - sums[:, 1]) / np.sqrt(2 * variance * counts)
        p = 2 * special.stdtr(2 * (counts - 1), -np.abs(t))
        minima.append((p * last / counts).min(1))
    return np.sort(np.concatenate(minima))
