#!/usr/bin/env bash
# sktime 1.2.0: MAE, MAPE and other forecasting errors do not divide by the sum of the weights, MASE weighs twice, and
# the geometric mean of the errors is over all variables together.
#
# Where a metric class has code of its own, the errors are multiplied by sample_weight and then averaged by their number
# (_get_weighted_df in performance_metrics/forecasting/_base.py): weights of 2 double MeanAbsoluteError and its like.
# MeanAbsoluteScaledError does it twice and gets four times the error (_mase.py). The classes that call their function,
# such as MeanSquaredScaledError, divide by the sum. GeometricMeanAbsoluteError puts all variables into one array before
# the mean (_gmae.py), so multioutput="raw_values" returns one number for each of them. In the function of the weighted
# median_absolute_percentage_error, the truth and the forecast have changed places (_functions.py).
#
# Why a good guess is wrong: the documentation says "weighted by sample_weight", scikit-learn, which has the same name
# for it, normalises, and so do the functions, where the weights are horizon_weight. Weights that sum to their number
# hide it in all but MASE, and there the order of two models can turn. Normalise the weights, and call the functions of
# MASE and of the geometric mean.
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
from sktime.performance_metrics import forecasting

random = np.random.default_rng(0)
train = pd.Series(10 + random.normal(size=30).cumsum())
truth = pd.Series(20.0 + np.arange(6))
forecast = truth + [1, -1, 2, 2, -3, 3]
NAMES = {
    "MeanAbsoluteError": "mean_absolute_error",
    "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
    "MeanAbsoluteScaledError": "mean_absolute_scaled_error",
    "MeanSquaredScaledError": "mean_squared_scaled_error",
    "MedianAbsoluteError": "median_absolute_error",
}
weights = {"1 for all": np.ones(6), "2 for all": np.full(6, 2.0), "sum 6": np.array([0.25, 0.25, 0.5, 1, 2, 2])}
ratios = {}
for kind, function in NAMES.items():
    for name, weight in weights.items():
        by_class = getattr(forecasting, kind)()(truth, forecast, y_train=train, sample_weight=weight)
        by_function = getattr(forecasting, function)(
            truth.to_numpy(), forecast.to_numpy(), y_train=train.to_numpy(), horizon_weight=weight
        )
        ratios[kind, name] = float(by_class / by_function)
    row = ", ".join(f"{ratios[kind, name]:.3f} with {name}" for name in weights)
    print(f"{kind}, class divided by function: {row}")
own = ["MeanAbsoluteError", "MeanAbsolutePercentageError"]
once = all(abs(ratios[kind, "2 for all"] - 2) < 1e-9 and abs(ratios[kind, "sum 6"] - 1) < 1e-9 for kind in own)
scaled = "MeanAbsoluteScaledError"
twice = abs(ratios[scaled, "2 for all"] - 4) < 1e-9 and ratios[scaled, "sum 6"] > 1.2
called = ["MeanSquaredScaledError", "MedianAbsoluteError"]
normalised = all(abs(ratios[kind, name] - 1) < 1e-9 for kind in called for name in weights)
plain = all(abs(ratios[kind, "1 for all"] - 1) < 1e-9 for kind in NAMES)

# Two forecasts that are off at other times: the weighted error says A, the weights twice say B.
weight = np.array([0.5, 0.5, 0.5, 0.5, 2, 2])
pair = {"A": truth + [1, 1, 1, 1, 2, 2], "B": truth + [6, 6, 6, 6, 1, 1]}
orders = {}
for name, values in pair.items():
    by_class = forecasting.MeanAbsoluteScaledError()(truth, values, y_train=train, sample_weight=weight)
    by_function = forecasting.mean_absolute_scaled_error(
        truth.to_numpy(), values.to_numpy(), y_train=train.to_numpy(), horizon_weight=weight
    )
    orders[name] = float(by_class), float(by_function)
    print(f"forecast {name}: weighted MASE by the class {by_class:.3f}, by the function {by_function:.3f}")
turned = orders["A"][0] > orders["B"][0] and orders["A"][1] < orders["B"][1]

frame = pd.DataFrame({"load": truth, "price": truth})
off = pd.DataFrame({"load": truth + 100, "price": truth + 1})
geometric = np.asarray(forecasting.GeometricMeanAbsoluteError(multioutput="raw_values")(frame, off))
by_variable = forecasting.geometric_mean_absolute_error(frame.to_numpy(), off.to_numpy(), multioutput="raw_values")
row = f"by the class {geometric.round(3)}, by the function {by_variable.round(3)}"
print(f"geometric mean of errors of 100 and of 1: {row}")
together = np.allclose(geometric, 10) and np.allclose(by_variable, [100, 1])

twos, ones = np.array([2.0, 2, 2]), np.array([1.0, 1, 1])
median_error = forecasting.median_absolute_percentage_error
medians = [float(median_error(twos, ones, horizon_weight=weight)) for weight in (None, np.ones(3))]
print(f"median percentage error of 1 for 2: {medians[0]}, with weights of 1: {medians[1]}")
sys.exit(not (plain and once and twice and normalised and turned and together and medians == [0.5, 1.0]))
PY
