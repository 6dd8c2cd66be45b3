#!/usr/bin/env bash
# river 0.26.1: the additive HoltWinters, the default, begins with ratios as its seasonal differences, so that it
# forecasts almost no season for many periods.
#
# The components start from the first period of the data. The seasonal ones are y / level in both variants
# (time_series/holt_winters.py, learn_one), numbers around 1, and the additive variant adds them to the level: a series
# around 1000 with a season of 500 up and down is forecast as 1001. The season then has to come in through gamma, once
# per period, so that with a gamma of 0.1 half of it is still missing after eight periods.
#
# Why a good guess is wrong: the multiplicative variant has the season after the first period, the updates of both are
# right, and with enough data both arrive. The documentation has one formula for both, a division by the number of
# values, which neither does. So an additive model seems to be the wrong one for a series that is exactly additive. Fill
# season with the differences after the first period, as below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile river==0.26.1 \
    numpy==2.4.6 scipy==1.17.1 narwhals==2.29.0
"$folder/venv/bin/python" -W ignore - <<'PY'
import math
import sys

from river.time_series import HoltWinters

PERIOD = 12
# Each period ends where it begins, so that the trend, which starts from the first and the last value, is 0.
series = [1000 + 500 * math.cos(2 * math.pi * (time + 0.5) / PERIOD) for time in range(30 * PERIOD)]
errors = {}
for case in ("additive", "multiplicative", "additive, differences filled in"):
    model = HoltWinters(alpha=0.1, beta=0.01, gamma=0.1, seasonality=PERIOD, multiplicative=case == "multiplicative")
    errors[case] = []
    for time, value in enumerate(series):
        model.learn_one(value)
        if case == "additive, differences filled in" and time == PERIOD - 1:
            model.season.clear()
            model.season.extend(first - model.level[-1] for first in series[:PERIOD])
        if time % PERIOD == PERIOD - 1 and time + PERIOD < len(series):
            truth = series[time + 1 : time + 1 + PERIOD]
            forecast = model.forecast(PERIOD)
            errors[case].append(sum(abs(a - b) for a, b in zip(truth, forecast)) / PERIOD)
            if time == PERIOD - 1:
                print(f"{case}: forecast of the second period {[round(number) for number in forecast]}")
                print(f"  seasonal parts {[round(part, 2) for part in model.season]}")
    print(f"  mean error after 1, 2, 4, 8, 16 periods {[round(errors[case][n - 1], 1) for n in (1, 2, 4, 8, 16)]}")
additive, multiplicative, filled = errors.values()
flat = sum(abs(value - 1000) for value in series[:PERIOD]) / PERIOD
print(f"mean error of the forecast 1000: {flat:.1f}")
late = additive[0] > 0.95 * flat and additive[3] > 0.4 * flat and additive[27] < 0.2 * flat
sys.exit(not (late and max(multiplicative[0], filled[0]) < 0.1 * flat))
PY
