#!/usr/bin/env bash
# transformers 5.24.0: in eval mode, the forecast of Autoformer for a series depends on the other series of its batch.
#
# Each row finds its own delays and their weights. The values have their heads joined to the batch, head by head within a
# row; the delays and weights are repeated row by row within a head (modeling_autoformer.py, lines 565 to 573). So with two
# heads, the heads of the first row take the delays of the first and of the second row. In train mode the batch shares its
# delays, but the weights are mixed up in the same way.
#
# Why a good guess is wrong: the model has no batch norm and no randomness in eval mode, rows that are repeated for
# parallel samples are equal, so that a forecast for one series alone is right, and with one head all is. The default is
# two. The authors' code keeps batch and heads apart. Forecast one series at a time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
from transformers import AutoformerConfig, AutoformerForPrediction

past, future = 40, 12
random = torch.Generator().manual_seed(0)
values = torch.randn(3, past + 3, generator=random).cumsum(1)
time = (torch.arange(past + 3 + future) / 10).expand(3, -1)[..., None]
inputs = {
    "past_values": values,
    "past_time_features": time[:, : past + 3],
    "past_observed_mask": torch.ones_like(values),
    "future_values": torch.zeros(3, future),
    "future_time_features": time[:, past + 3 :],
}
error = {}
for heads in (1, 2, 4):
    config = AutoformerConfig(
        prediction_length=future, context_length=past, lags_sequence=[1, 2, 3], num_time_features=1, moving_average=5,
        d_model=16, encoder_attention_heads=heads, decoder_attention_heads=heads,
    )  # fmt: skip
    model = AutoformerForPrediction(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.3, generator=random)
        together = model(**inputs).params[1]
        again = model(**inputs).params[1]
        alone = torch.cat([model(**{k: v[i : i + 1] for k, v in inputs.items()}).params[1] for i in range(3)])
    error[heads] = float((together - alone).abs().max() / alone.abs().max())
    same = bool((together == again).all())
    print(f"{heads} head(s): means in a batch of three and alone differ by {error[heads]:.0e}, in two calls by 0: {same}")
sys.exit(not (error[1] < 1e-4 and error[2] > 0.01 and error[4] > 0.01))
PY
