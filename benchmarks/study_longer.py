"""What a training three times as long adds, as the study shows it: the numbers of `lab.longer_training`.

A chain is three trainings of one data set, configuration and seed with budgets next to each other, such as 20, 60 and
180 s. The first two say at which pace the validation metric grew; the third says what became of it on the test items.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import minimize

from sightline.core.metrics import find_metric
from sightline.lab.longer_training import RULE, LongerRule, is_share, item_noise, scaled
from study_factors import ITEMS
from study_results import Line

START = (RULE.kept, *(math.log(max(value, 0.01)) for value in RULE[1:]))  # a floor may be 0


@dataclass(frozen=True)
class Chain:
    """Three trainings: the pace of the first two, continued to the length of the third, and what that one gained."""

    data: str
    budgets_s: tuple[int, ...]
    pace: float
    gained: float
    share: bool = True
    noise: float = 0.0  # of the test items

    def is_within(self, rule: LongerRule) -> bool:
        """Whether it gained what the interval of the rule has."""
        low, high = rule.gain(self.pace, share=self.share, noise=self.noise).ends
        return low <= self.gained <= high


def chains_of(runs: Sequence[Line]) -> list[Chain]:
    """All chains of the runs, in the order of their data sets."""
    by_budget: dict[tuple[str, str, int], dict[int, Line]] = defaultdict(dict)
    for line in runs:
        if line["valid"] is not None and line["test"] is not None:
            by_budget[line["data"], line["configuration"], line["seed"]][line["budget_s"]] = line
    chains = []
    for (data, *_), lines in sorted(by_budget.items()):
        budgets = sorted(lines)
        for (first, second), (_, third) in pairwise(pairwise(budgets)):
            metric = find_metric(lines[first]["metric"])
            pace = scaled(metric, lines[second]["valid"]) - scaled(metric, lines[first]["valid"])
            gained = scaled(metric, lines[third]["test"]) - scaled(metric, lines[second]["test"])
            times = math.log(third / second) / math.log(second / first)
            items = min(lines[second]["sizes"]["test"], ITEMS["test"])
            noise = item_noise(metric, lines[second]["test"], items)
            chains.append(Chain(data, (first, second, third), pace * times, gained, is_share(metric), noise))
    return chains


def fitted(chains: Sequence[Chain]) -> LongerRule:
    """The rule that makes the chains most likely, where every data set has the same weight."""
    counts = Counter(chain.data for chain in chains)
    weights = np.array([1 / counts[chain.data] for chain in chains])
    paces, gained = np.array([(chain.pace, chain.gained) for chain in chains]).T
    shares, noises = (
        np.array(values) for values in zip(*((chain.share, chain.noise) for chain in chains), strict=True)
    )

    def rule(numbers: np.ndarray) -> LongerRule:
        return LongerRule(float(numbers[0]), *map(float, np.exp(numbers[1:])))

    def cost(numbers: np.ndarray) -> float:
        kept, share_floor, error_floor, spread = rule(numbers)
        deviations = np.sqrt(np.where(shares, share_floor, error_floor) ** 2 + (spread * paces) ** 2 + noises**2)
        return float((weights * (np.log(deviations) + ((gained - kept * paces) / deviations) ** 2 / 2)).sum())

    return rule(minimize(cost, START, method="Nelder-Mead", options={"maxiter": 8000, "maxfev": 8000}).x)


def held_out_coverage(chains: Sequence[Chain]) -> dict[str, list[bool]]:
    """By data set, for each chain whether the interval contains its gain that the other data sets give."""
    names = dict.fromkeys(chain.data for chain in chains)
    rules = {name: fitted([chain for chain in chains if chain.data != name]) for name in names}
    return {name: [chain.is_within(rules[name]) for chain in chains if chain.data == name] for name in names}
