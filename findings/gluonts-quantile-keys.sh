#!/usr/bin/env bash
# gluonts 0.16.2: a QuantileForecast with the keys "0.10", "0.50", "0.90" gives NaN for each of its own quantiles, and the
# right numbers between them.
#
# Rows are stored by the texts of the keys ("p50" becomes "0.5", "0.50" remains). A quantile is turned into a number, found
# among the keys as numbers, turned into its shortest text, and looked up by that: "0.5" is missing, and what is missing is
# a row of NaN (gluonts/model/forecast.py, lines 614 to 624). The mean, which is the median here, is NaN too, with a warning
# about something else. Only a quantile between two keys is computed from the rows.
#
# Why a good guess is wrong: quantile() takes 0.5, "0.5", "0.50" and "p50" for the same quantile, Quantile.parse documents
# "0.20" as a text that it reads, and the forecast is built without a complaint. Keys such as f"{level:.2f}" are what one
# writes. Give them as str(level).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile gluonts==0.16.2 pandas==2.3.3 numpy==2.1.3 packaging
"$folder/venv/bin/python" -W ignore - <<'PY'
import logging
import sys

import numpy as np
import pandas as pd
from gluonts.model.forecast import QuantileForecast

logging.disable()
rows = np.array([[1.0, 2.0], [4.0, 5.0], [7.0, 8.0]])
right = True
for keys in (["0.1", "0.5", "0.9"], ["0.10", "0.50", "0.90"], ["p10", "p50", "p90"]):
    forecast = QuantileForecast(forecast_arrays=rows, forecast_keys=keys, start_date=pd.Period("2024-01-01", "D"))
    own, between = [forecast.quantile(level) for level in (0.1, 0.5, 0.9)], forecast.quantile(0.3)
    print(f"keys {', '.join(keys)}: quantiles {[row.tolist() for row in own]}, mean {forecast.mean}, 0.3 {between}")
    expected = np.full_like(rows, np.nan) if keys[0] == "0.10" else rows
    right &= np.array_equal(own, expected, equal_nan=True) and np.allclose(between, [2.5, 3.5])
sys.exit(not right)
PY
