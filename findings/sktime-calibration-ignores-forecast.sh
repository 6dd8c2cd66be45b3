#!/usr/bin/env bash
# sktime 1.2.0, skpro 2.16.0: AUCalibration does not depend on how well a forecast is calibrated; SquaredDistrLoss of
# sktime has the logarithm of the density in place of the density and prefers distributions that are too wide.
#
# AUCalibration is to compare the sorted values F(y) with the diagonal. It replaces each F(y) by its rank among them and
# compares the ranks with the places in time (in sktime performance_metrics/forecasting/probabilistic/_classes.py, in
# skpro metrics/_aucc.py). What it measures is whether F(y) rises over time: forecasts 30 times too wide or three
# standard deviations too high have the area of the true distribution, and it is 0 for all of them if the truth rises.
# SquaredDistrLoss is to be -2 p(y) plus the integral of p^2; sktime has -2 log p(y) (_classes.py), skpro has p.
#
# Why a good guess is wrong: the formula with the order statistics stands above the code, a rank is how one gets the
# place of a value in them, and values look plausible, between 0 and 1, and differ from series to series. The loss with
# the logarithm is finite and falls as forecasts improve, until it prefers twice the true scale. Take CRPS or LogLoss,
# and sort cdf(y) yourself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile joblib==1.6.0 numpy==2.4.6 \
    packaging==26.4 pandas==3.0.6 scikit-base==1.1.1 scikit-learn==1.9.1 scipy==1.17.1 skpro==2.16.0 sktime==1.2.0
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import pandas as pd
from skpro.distributions import Normal
from skpro.metrics import AUCalibration as CalibrationOfSkpro
from skpro.metrics import SquaredDistrLoss as SquaredLossOfSkpro
from sktime.performance_metrics.forecasting.probabilistic import CRPS, AUCalibration, SquaredDistrLoss

SCALE, COUNT = 0.1, 60
random = np.random.default_rng(0)
truth = pd.DataFrame({"y": random.normal(0, SCALE, COUNT)})


def forecast(mean, scale):
    """The same normal distribution for every time."""
    column = np.full((len(truth), 1), 1.0)
    return Normal(mean * column, scale * column, index=truth.index, columns=truth.columns)


def number(score):
    return float(np.asarray(score).ravel()[0])


def area(distribution):
    """The mean distance of the sorted values F(y) from the diagonal."""
    values = np.sort(distribution.cdf(truth).to_numpy().ravel())
    return float(np.abs(values - np.arange(1, COUNT + 1) / COUNT).mean())


cases = {"the true one": (0, SCALE), "30 times too wide": (0, 30 * SCALE), "3 scales too high": (3 * SCALE, SCALE)}
areas = {}
for name, parameters in cases.items():
    distribution = forecast(*parameters)
    areas[name] = (
        number(AUCalibration()(truth, distribution)),
        number(CalibrationOfSkpro()(truth, distribution)),
        area(distribution),
        number(CRPS()(truth, distribution)),
    )
    by_sktime, by_skpro, by_hand, crps = areas[name]
    print(f"{name}: area {by_sktime:.4f} in sktime, {by_skpro:.4f} in skpro, {by_hand:.4f} by hand; CRPS {crps:.4f}")
same = len({round(value, 9) for *both, _, _ in areas.values() for value in both}) == 1
worse = all(areas[name][2] > 3 * areas["the true one"][2] for name in list(cases)[1:])

rows = np.argsort(truth["y"].to_numpy())
truth = truth.iloc[rows].reset_index(drop=True)
rising = number(AUCalibration()(truth, forecast(3 * SCALE, SCALE)))
print(f"3 scales too high, the same values in rising order: area {rising:.4f} in sktime")

losses = {}
for scale in (SCALE, 2 * SCALE):
    for name, metric in (("sktime", SquaredDistrLoss), ("skpro", SquaredLossOfSkpro)):
        np.random.seed(0)
        losses[name, scale] = number(metric()(truth, forecast(0, scale)))
    density = np.exp(-((truth["y"] / scale) ** 2) / 2) / (scale * np.sqrt(2 * np.pi))
    losses["by hand", scale] = float(-2 * density.mean() + 1 / (2 * np.sqrt(np.pi) * scale))
    row = ", ".join(f"{losses[name, scale]:.2f} {name}" for name in ("sktime", "skpro", "by hand"))
    print(f"squared loss with a scale of {scale} (truth {SCALE}): {row}")
wide = losses["sktime", 2 * SCALE] < losses["sktime", SCALE] - 0.1
narrow = all(losses[name, SCALE] < losses[name, 2 * SCALE] - 0.3 for name in ("skpro", "by hand"))
sys.exit(not (same and worse and abs(rising) < 1e-9 and wide and narrow))
PY
