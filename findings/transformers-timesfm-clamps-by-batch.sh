#!/usr/bin/env bash
# transformers 5.24.0: whether TimesFM clamps the forecast of a series at 0 depends on the other series of the call.
#
# The smallest value is taken over all series of the call together (timesfm2_5/modeling_timesfm2_5.py, line 756), and one
# decision holds for all: a forecast for a series without negative values is clamped when it is alone, and is negative as
# soon as any other series has a negative value. TimesFM 2.5 clamps by default (infer_is_positive), TimesFM 1 and 2 with
# truncate_negative=True, whose docstring says that any non-negative context is enough. Google's package of
# TimesFM 2.5 decides for each series.
#
# Why a good guess is wrong: in eval mode rows do not depend on each other otherwise, and the configuration speaks of the
# input minimum. So sales next to a temperature get negative forecasts, and the same call without the temperature does not
# give them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
from transformers import TimesFm2_5Config, TimesFm2_5ModelForPrediction, TimesFmConfig, TimesFmModelForPrediction

sizes = {"patch_length": 8, "context_length": 32, "horizon_length": 16, "num_hidden_layers": 1, "hidden_size": 32}
sizes |= {"intermediate_size": 32, "num_attention_heads": 2, "head_dim": 16}
random = torch.Generator().manual_seed(0)
sales = torch.rand(32, generator=random) * 3
temperature = torch.randn(32, generator=random) * 10
models = {
    "TimesFM 2.5": (TimesFm2_5ModelForPrediction, TimesFm2_5Config(**sizes, num_key_value_heads=2, output_quantile_len=16), {}),
    "TimesFM 2, truncate_negative": (TimesFmModelForPrediction, TimesFmConfig(**sizes), {"truncate_negative": True}),
    "TimesFM 2": (TimesFmModelForPrediction, TimesFmConfig(**sizes), {}),
}
smallest = {}
for name, (build, config, options) in models.items():
    model = build(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.3, generator=random)
        alone = model(past_values=[sales], **options).mean_predictions[0]
        both = model(past_values=[sales, temperature], **options).mean_predictions[0]
    smallest[name] = float(alone.min()), float(both.min()), float((alone.clamp_min(0) - both.clamp_min(0)).abs().max())
    print(
        f"{name}: smallest forecast of the sales alone {smallest[name][0]:.2f}, next to the temperature {smallest[name][1]:.2f}; "
        f"above 0 they differ by {smallest[name][2]:.0e}"
    )
plain = smallest.pop("TimesFM 2")
clamped = all(alone == 0 and both < -0.1 and above < 1e-3 for alone, both, above in smallest.values())
sys.exit(not (clamped and abs(plain[0] - plain[1]) < 1e-3))
PY
