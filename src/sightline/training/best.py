"""The choice of the model that a training keeps as `best/`.

The best of several validations owes its lead to the items by chance in part, and is early where a model only becomes
too sure of itself. The one kept is the latest that is within a standard error of the best, after the rule of Breiman et
al. (1984, "Classification and Regression Trees", § 3.4.3), whose standard error is here that of the paired difference.
"""

from __future__ import annotations

import math

import numpy as np

from sightline.core.errors import InputError
from sightline.core.metrics import Metric, find_metric
from sightline.training.measured import Measured
from sightline.training.state import State

RESAMPLES = 200  # a standard error of 5 %
MOST_DRAWN = 1 << 22  # items of resamples in memory at a time


def is_kept(state: State, measured: Measured, name: str, within: float) -> bool:
    """Record a validation, and return whether its model is kept: it is the best one so far by metric `name`, or by at
    most `within` standard errors worse.

    Raises:
        InputError: "validation has no value 'bleu', only loss".
    """
    if name not in measured.metrics:
        raise InputError(f"validation has no value {name!r}, only {', '.join(measured.metrics)}", where="metric")
    metric, value = find_metric(name), measured.metrics[name]
    state.metric = value if math.isfinite(value) else None
    if state.metric is None:
        state.without_better += 1
        return False
    if state.top_metric is None:  # a state of a version that kept the best alone, or the first validation
        state.top_metric = state.best_metric
    behind = 0.0 if state.top_metric is None else state.top_metric - value
    behind *= 1.0 if metric.higher_is_better else -1.0
    rows = _rows(measured, name)
    if state.top_metric is None or behind < 0:
        state.top_metric, state.top_rows, state.without_better = value, rows.tolist(), 0
    else:
        state.without_better += 1
        if behind > within * standard_error(metric, np.array(state.top_rows), rows):
            return False
    state.best_metric, state.best_step = value, state.spent.steps
    return True


def forget_best(state: State) -> None:
    """Forget the best validation, where the next ones score other items: the values of two sets of items say little of
    which model is better, and the model of the next one is kept.
    """
    state.best_metric, state.top_metric, state.top_rows = None, None, []


def _rows(measured: Measured, name: str) -> np.ndarray:
    """The rows (N, K) of a metric's items; none (0, 1) where they are unknown or not all finite, as a checkpoint needs
    them.
    """
    rows = np.asarray(measured.items.get(name, ()), float)
    return rows if rows.ndim == 2 and np.isfinite(rows).all() else np.empty((0, 1))


def standard_error(metric: Metric, before: np.ndarray, after: np.ndarray) -> float:
    """The standard error of the difference between a metric of the same items' rows (N, K) twice, by a paired
    bootstrap; 0 where the rows are unknown or not of the same items.
    """
    if before.shape != after.shape or len(after) < 2 or not (np.isfinite(before).all() and np.isfinite(after).all()):
        return 0.0
    generator, pair, shares = np.random.default_rng(0), np.stack([before, after]), np.full(len(after), 1 / len(after))
    at_once = max(1, MOST_DRAWN // len(after))
    values = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for begin in range(0, RESAMPLES, at_once):
            draws = generator.multinomial(len(after), shares, min(at_once, RESAMPLES - begin))
            values.append(metric.value(pair, draws.astype(float)))
    was, now = np.concatenate(values, 1)  # (RESAMPLES,) each
    differences = (now - was)[np.isfinite(now - was)]
    return float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
