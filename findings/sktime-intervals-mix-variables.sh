#!/usr/bin/env bash
# sktime 1.2.0: with several variables and coverages, coverage and constraint violation compare the intervals of one
# variable with the truth of another; all scores do where the columns of the truth are not in alphabetical order.
#
# EmpiricalCoverage and ConstraintViolation repeat the truth as a, b, a, b, once per coverage, but the bounds are sorted
# by variable first: a, a, b, b (performance_metrics/forecasting/probabilistic/_classes.py, np.tile). Before that, the
# columns of the forecast are sorted by name and those of the truth are not, so with truth columns b, a, the pinball
# loss, too, compares a with b. The coverage that the constructor of the three interval scores takes is not used: all
# coverages of the forecast are scored.
#
# Why a good guess is wrong: with one variable, or one coverage and columns in order, everything is right, forecasters
# return just such frames with several of both, columns carry the names of their variables, shapes agree, and alpha of
# PinballLoss works. The metrics of skpro came from the same code. Score each variable and each coverage alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile joblib==1.6.0 numpy==2.4.6 \
    packaging==26.4 pandas==3.0.6 scikit-base==1.1.1 scikit-learn==1.9.1 scipy==1.17.1 sktime==1.2.0
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import pandas as pd
from sktime.performance_metrics.forecasting.probabilistic import (
    ConstraintViolation,
    EmpiricalCoverage,
    IntervalWidth,
    PinballLoss,
)

LEVELS = {"load": 1000.0, "price": 50.0}
random = np.random.default_rng(0)
truth = pd.DataFrame({name: level + random.uniform(-1, 1, 40) for name, level in LEVELS.items()})
# Each interval is level ± half: half 2 has all of the truth, half 0.5 about half of it.
intervals = pd.DataFrame(
    {
        (name, coverage, side): np.full(len(truth), level + sign * half)
        for name, level in LEVELS.items()
        for coverage, half in ((0.5, 0.5), (0.9, 2.0))
        for side, sign in (("lower", -1), ("upper", 1))
    }
)
quantiles = pd.DataFrame({(name, 0.5): np.full(len(truth), level) for name, level in LEVELS.items()})


def score(metric, actual, forecast, **options):
    """The score of each variable and coverage, as a dictionary."""
    values = metric(multioutput="raw_values", score_average=False, **options)(actual, forecast)
    return {tuple(key): round(float(value), 3) for key, value in values.items()}


seen, alone = {}, {}
for metric in (EmpiricalCoverage, ConstraintViolation):
    seen[metric] = score(metric, truth, intervals)
    alone[metric] = {}
    for name in LEVELS:
        alone[metric] |= score(metric, truth[[name]], intervals[[name]])
    print(f"{metric.__name__}, both variables at once: {seen[metric]}")
    print(f"{metric.__name__}, each variable alone:    {alone[metric]}")
covered, violated = seen[EmpiricalCoverage], seen[ConstraintViolation]
# The cells in the middle are the ones that meet the other variable.
crossed = [("load", 0.9), ("price", 0.5)]
mixed = all(covered[cell] == 0 and violated[cell] > 900 for cell in crossed)
single = alone[EmpiricalCoverage]
kept = all(covered[cell] == single[cell] for cell in covered if cell not in crossed)
right = all(single[name, 0.9] == 1 and 0.3 < single[name, 0.5] < 0.7 for name in LEVELS)

by_order = {}
narrow = intervals.loc[:, intervals.columns.get_level_values(1) == 0.9]
for names in (["load", "price"], ["price", "load"]):
    by_order[tuple(names)] = (
        PinballLoss()(truth[names], quantiles[names]),
        EmpiricalCoverage()(truth[names], narrow[names]),
    )
    loss, coverage = by_order[tuple(names)]
    print(f"columns {', '.join(names)} in truth and forecast: pinball loss {loss:.3f}, coverage {coverage:.3f}")
sorted_columns, other_columns = by_order.values()
depends = sorted_columns[0] < 1 < 100 < other_columns[0] and (sorted_columns[1], other_columns[1]) == (1, 0)

widths = {value: float(IntervalWidth(coverage=value)(truth[["load"]], intervals[["load"]])) for value in (0.5, 0.9)}
print(f"mean width by the coverage that was asked for (1 and 4 in the forecast): {widths}")
sys.exit(not (mixed and kept and right and depends and abs(widths[0.5] - 2.5) < 1e-9 and abs(widths[0.9] - 2.5) < 1e-9))
PY
