#!/usr/bin/env bash
# aeon 1.6.0: ARIMA's predict(y) forecasts about twice the level with exogenous variables, and the level of the training
# series instead of that of y with d >= 1; forecast leaves the exogenous variables out.
#
# fit regresses the series on the variables and fits the ARMA terms to what is left (stats/_arima.py). predict applies
# those terms to the series itself, not to what is left, and adds the regression (lines 236 to 275); forecast returns
# the forecast of what is left (line 176). With d >= 1, predict adds the difference that it forecasts to the last values
# of the training series, not of y (lines 281 to 283). iterative_forecast adds the whole regression at every step to
# what already has it.
#
# Why a good guess is wrong: the class describes a regression with ARIMA errors, predict says "y can be independent of
# the series seen in fit" and "1 step ahead of the last value in y", and forecast is described as fit, then predict. The
# coefficients are right, and so are, with d = 0, predict without variables and the first step of iterative_forecast.
# AutoARIMA passes everything to the same code. Regress and difference the series yourself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile aeon==1.6.0 numba==0.63.1 numpy==2.3.5 \
    pandas==3.0.6 scikit-learn==1.9.1 scipy==1.17.1
NUMBA_DISABLE_JIT=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
from aeon.forecasting.stats import ARIMA, AutoARIMA

random = np.random.default_rng(0)
length, steps = 80, 3
errors = np.zeros(length + steps)
for time in range(1, length + steps):
    errors[time] = 0.9 * errors[time - 1] + random.normal(0, 0.2)
variable = 50 + 10 * np.sin(np.arange(length + steps) / 5)
series = 20 + 3 * variable + errors
exog = variable[:, None]
past, future = slice(0, length), slice(length, length + steps)
truth = series[future]
print(f"truth with a variable: {np.round(truth, 1)}")
ratios = {}
for d in (0, 1):
    model = ARIMA(p=1, d=d, q=0).fit(series[past], exog=exog[past])
    seen = {
        "predict": model.predict(series[past], exog=exog[length : length + 1]),
        "forecast": ARIMA(p=1, d=d, q=0).forecast(series[past], exog=exog[past]),
        "iterative_forecast": ARIMA(p=1, d=d, q=0).iterative_forecast(
            series[past], steps, exog=exog[past], future_exog=exog[future]
        ),
    }
    rest = series[past] - np.column_stack([np.ones(length), variable[past]]) @ model.beta_
    seen["by hand"] = ARIMA(p=1, d=d, q=0).fit(rest).predict(rest) + model.beta_ @ (1, variable[length])
    for name, values in seen.items():
        ratios[name, d] = np.atleast_1d(values) / truth[: np.size(values)]
        print(f"d = {d}, {name}: {np.round(values, 1)}, {np.round(ratios[name, d], 2)} times the truth")
right = all(abs(ratios[key][0] - 1) < 0.03 for key in (("by hand", 0), ("by hand", 1), ("iterative_forecast", 0)))
twice = all(1.6 < ratios["predict", d][0] < 2.3 for d in (0, 1))
missing = abs(ratios["forecast", 0][0]) < 0.1
rising = all((np.diff(ratios["iterative_forecast", d]) > 0.7).all() for d in (0, 1))

series = 100 + np.arange(80) + random.normal(0, 1, 80)
train = series[:60]
cases = {"the training series": train, "20 steps later": series, "a series 1000 higher": train + 1000}
models = {"ARIMA, d = 0": (2, 0), "ARIMA, d = 1": (1, 1), "ARIMA, d = 2": (1, 2)}
models = {name: ARIMA(p=p, d=d, q=0, use_constant=d < 2) for name, (p, d) in models.items()}
models["AutoARIMA"] = AutoARIMA()
off = {}
for name, model in models.items():
    model.fit(train)
    for case, y in cases.items():
        forecast = float(model.predict(y))
        off[name, case] = forecast - (y[-1] + 1)
        print(f"{name}: forecast for {case}, which ends at {y[-1]:.1f}: {forecast:.1f}")
print(f"d that AutoARIMA chose: {models['AutoARIMA'].d_}")
own, later, higher = cases
differenced = [name for name in models if name != "ARIMA, d = 0"]
ahead = all(abs(off[name, own]) < 8 for name in differenced) and abs(off["ARIMA, d = 0", later]) < 8
behind = all(abs(off[name, later] + 20) < 8 and abs(off[name, higher] + 1000) < 8 for name in differenced)
sys.exit(not (right and twice and missing and rising and ahead and behind and models["AutoARIMA"].d_ >= 1))
PY
