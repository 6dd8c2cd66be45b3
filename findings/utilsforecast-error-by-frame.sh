#!/usr/bin/env bash
# utilsforecast 0.2.17: the same forecasts have another error in pandas than in polars, where a value is NaN or a truth is 0.
#
# pandas leaves NaN out of a mean and polars does not; losses.py uses the mean of whichever frame it is given. In pandas
# a model that gives NaN for its hardest step is better for it, in polars its error is NaN. MAPE turns truths of 0 into
# NaN first: in pandas an error of any size there has no weight at all, while the docstring says that errors close to 0
# weigh most.
#
# Why a good guess is wrong: both frames are documented for every loss and agree to the last digit otherwise, and
# nothing is printed. A table of models, one of which failed at some steps, ranks it first. Look for NaN before you
# score.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile pandas==2.3.3 polars==2.1.0 pyarrow==26.0.1 utilsforecast==0.2.17
"$folder/venv/bin/python" - <<'PY'
import math
import sys

import pandas as pd
import polars as pl
from utilsforecast import losses

truth = {"unique_id": "a", "ds": range(4), "y": [0.0, 0.0, 2.0, 4.0]}
forecasts = {"complete": [50.0, 1.0, 2.0, 3.0], "NaN for the first step": [math.nan, 1.0, 2.0, 3.0]}
past = pd.DataFrame({"unique_id": "a", "ds": range(8), "y": [1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0]})
metrics = {"MAE": losses.mae, "MAPE": losses.mape, "MASE": losses.mase}
seen = {}
for name, values in forecasts.items():
    frame = pd.DataFrame({**truth, "model": values})
    for metric, loss in metrics.items():
        errors = []
        for convert in (lambda table: table, lambda table: pl.from_pandas(table, nan_to_null=False)):
            arguments = (1, convert(past)) if metric == "MASE" else ()
            errors.append(loss(convert(frame), ["model"], *arguments)["model"].to_list()[0])
        seen[name, metric] = errors
        print(f"{name}, {metric}: {errors[0]:.3f} in pandas, {errors[1]:.3f} in polars")
complete = all(len(set(seen["complete", metric])) == 1 for metric in ("MAE", "MASE"))
zero = seen["complete", "MAPE"][0] < 0.2 and math.isnan(seen["complete", "MAPE"][1])
missing = all(
    pandas < seen["complete", metric][0] and math.isnan(polars)
    for metric in ("MAE", "MASE")
    for pandas, polars in [seen["NaN for the first step", metric]]
)
sys.exit(not (complete and zero and missing))
PY
