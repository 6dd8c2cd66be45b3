"""Crossovers: from which length on one mechanism takes less time than another, predicted and then checked.

The time of a mechanism is fitted as c₀ + c₁ n + c₂ n², all c >= 0, by least squares of the relative errors (Lawson &
Hanson's non-negative least squares): fixed costs, work per position, and work per pair of positions. The prediction is
the largest length at which the two fits cross. It is checked at lengths around it that no fit has seen.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import torch
from scipy import optimize

from sightline.lab.bench.timing import call_seconds
from sightline.lab.growth import Timing, prepare, time_in_turns
from sightline.lab.mechanism import Mechanism
from sightline.lab.panel_results import Crossover, Phase, PhaseCost

BEYOND = 2.0  # predictions reach this many times the largest measured length
AROUND = (0.6, 0.8, 1.0, 1.25, 1.6)  # of the prediction, where it is checked
FARTHER = 3  # further checks where the crossing is not among those
GRID = 400
MISFIT = 0.2  # the largest relative error of a fit at a measured length: times are noise above it
CLEAR = 0.25  # the least difference of the exponents at a crossing: a smaller one is lost in the noise

Measure = Callable[[Mechanism, Mechanism, Phase, int], float]  # the ratio of the first's time to the second's


class Prediction(NamedTuple):
    """Beyond `length` the first mechanism is cheaper; `angle` is how fast the ratio of times falls there."""

    cheaper: str
    other: str
    phase: Phase
    length: float
    angle: float
    fitted: list[int]


def fit_time(lengths: Sequence[int], times: Sequence[float]) -> np.ndarray:
    """c₀, c₁, c₂ of the time at each length."""
    n, t = np.asarray(lengths, float), np.asarray(times, float)
    scale = n.max()  # so that the columns have about the same size
    columns = np.stack([np.ones_like(n), n / scale, (n / scale) ** 2], 1) / t[:, None]
    coefficients, _ = optimize.nnls(columns, np.ones_like(t))
    return coefficients / scale ** np.arange(3)


def predict(costs: Sequence[PhaseCost]) -> list[Prediction]:
    """Every crossing of two mechanisms in one phase up to `BEYOND` times the largest length.

    Only where the ratio of times falls clearly (`CLEAR`) and both fits describe what was measured (`MISFIT`); the
    clearest of each phase come first.
    """
    crossovers = []
    for first, second in combinations(costs, 2):
        lengths = [n for n in first.lengths if n in second.lengths]
        if first.phase != second.phase or len(lengths) < 3:
            continue
        fits = [fit_time(lengths, _medians(cost, lengths)) for cost in (first, second)]
        if max(map(_misfit, fits, (first, second), (lengths, lengths))) > MISFIT:
            continue
        grid = np.geomspace(lengths[0], BEYOND * lengths[-1], GRID)
        ratio = _log_ratio(fits, grid)
        changes = np.flatnonzero(np.sign(ratio[1:]) != np.sign(ratio[:-1]))
        if not len(changes):
            continue
        at = int(changes[-1])
        share = ratio[at] / (ratio[at] - ratio[at + 1])
        crossing = float(grid[at] * (grid[at + 1] / grid[at]) ** share)
        angle = abs(ratio[at + 1] - ratio[at]) / math.log(grid[1] / grid[0])
        if angle < CLEAR:
            continue
        cheaper, other = (first, second) if ratio[at + 1] < 0 else (second, first)
        crossovers.append(Prediction(cheaper.name, other.name, first.phase, crossing, angle, lengths))
    crossovers.sort(key=lambda one: -one.angle)
    rank: Counter[Phase] = Counter()
    places = []
    for one in crossovers:
        rank[one.phase] += 1
        places.append(rank[one.phase])
    return [one for _, one in sorted(zip(places, crossovers), key=lambda placed: placed[0])]


def check_crossover(prediction: Prediction, mechanisms: dict[str, Mechanism], measure: Measure) -> Crossover:
    """The prediction beside the crossing that is measured at lengths of which none was fitted."""
    cheaper, other = mechanisms[prediction.cheaper], mechanisms[prediction.other]

    def ratio(length: int) -> float:
        return measure(cheaper, other, prediction.phase, length)

    checked = {n: ratio(n) for n in (_unseen(prediction.length * share, prediction.fitted) for share in AROUND)}
    for _ in range(FARTHER):
        if _crossing(checked) is not None:
            break
        slower = min(checked.values()) > 1  # at all of them: the crossing is at a greater length
        n = _unseen(max(checked) * 1.5 if slower else min(checked) / 1.5, prediction.fitted)
        checked[n] = ratio(n)
    measured = _crossing(checked)
    return Crossover(
        prediction.cheaper,
        prediction.other,
        prediction.phase,
        prediction.length,
        prediction.fitted,
        sorted(checked),
        [checked[n] for n in sorted(checked)],
        measured,
        None if measured is None else abs(prediction.length - measured) / measured,
    )


def unchecked(prediction: Prediction) -> Crossover:
    """The prediction alone."""
    one = prediction
    return Crossover(one.cheaper, one.other, one.phase, one.length, one.fitted, [], [])


def measured_ratio(timing: Timing) -> Measure:
    """Measures two mechanisms in turns: the median ratio of their times."""

    def measure(first: Mechanism, second: Mechanism, phase: Phase, length: int) -> float:
        device = torch.device(timing.device)
        calls = [prepare(mechanism, phase, length, timing.batch, device) for mechanism in (first, second)]
        runs = [call.run for call in calls if call is not None]
        warm = [min(call_seconds(run, device) for _ in range(2)) for run in runs]
        ours, theirs = time_in_turns(runs, timing, warm)
        return float(np.median(np.array(ours) / np.array(theirs)))

    return measure


def _medians(cost: PhaseCost, lengths: Sequence[int]) -> list[float]:
    return [float(np.median(cost.seconds[cost.lengths.index(n)])) for n in lengths]


def _misfit(fit: np.ndarray, cost: PhaseCost, lengths: Sequence[int]) -> float:
    n = np.asarray(lengths, float)
    return float(np.abs(fit @ np.stack([np.ones_like(n), n, n**2]) / _medians(cost, lengths) - 1).max())


def _log_ratio(fits: Sequence[np.ndarray], n: np.ndarray) -> np.ndarray:
    powers = np.stack([np.ones_like(n), n, n**2])
    return np.log(fits[0] @ powers) - np.log(fits[1] @ powers)


def _unseen(length: float, fitted: Sequence[int]) -> int:
    """The nearest length that was not fitted."""
    n = max(2, round(length))
    return n + 1 if n in fitted else n


def _crossing(ratios: dict[int, float]) -> float | None:
    """Where the ratio falls through 1 for the last time, between two lengths on a log-log line."""
    lengths = sorted(ratios)
    for low, high in reversed(list(pairwise(lengths))):
        a, b = math.log(ratios[low]), math.log(ratios[high])
        if a > 0 >= b:
            return math.exp(math.log(low) + (math.log(high) - math.log(low)) * a / (a - b))
    return None
