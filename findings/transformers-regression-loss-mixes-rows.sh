#!/usr/bin/env bash
# transformers 5.24.0: with one target and loss="nll", PatchTST and PatchTSMixer compare every row with the targets of all.
#
# For one target the parameters of the distribution have the shape (batch,), since the last axis is squeezed
# (time_series_utils.py, domain_map), and target_values has the documented shape (batch, 1). log_prob broadcasts them to
# (batch, batch), and the loss is the mean of that: each prediction against the target of each row. The gradient pulls all
# predictions to the same distribution of the batch, and what the inputs say about their own target is lost.
#
# Why a good guess is wrong: with two targets, or one row, or targets of the shape (batch,), the loss is right, and so is
# loss="mse" with this shape. Distributions check shapes, but accept what can broadcast. num_targets is 1 by default in
# PatchTST. Below, the loss of a batch is compared with the mean of the losses of its rows alone, then trained on a target
# that is the mean of the input.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
from transformers import PatchTSMixerConfig, PatchTSMixerForRegression, PatchTSTConfig, PatchTSTForRegression

sizes = {"context_length": 16, "patch_length": 4, "patch_stride": 4, "d_model": 16, "scaling": None}
options = {"loss": "nll", "distribution_output": "normal"}
random = torch.Generator().manual_seed(0)
past = torch.randn(16, 1, 1, generator=random) + torch.randn(16, 16, 1, generator=random) / 10
error, learnt = {}, {}
for build, configure in ((PatchTSTForRegression, PatchTSTConfig), (PatchTSMixerForRegression, PatchTSMixerConfig)):
    for targets in (1, 2):
        torch.manual_seed(0)
        model = build(configure(**sizes, **options, num_targets=targets)).eval()
        values = past.mean(1).expand(-1, targets)
        fresh = {name: weight.clone() for name, weight in model.state_dict().items()}
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim > 1:
                    weight.normal_(0, 0.2, generator=random)
            batch = model(past, target_values=values).loss
            rows = [model(past[i : i + 1], target_values=values[i : i + 1]).loss for i in range(16)]
        alone = float(sum(rows)) / 16
        error[build.__name__, targets] = abs(float(batch) - alone) / abs(alone)
        model.load_state_dict(fresh)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        for _ in range(60):
            optimizer.zero_grad()
            model(past, target_values=values).loss.backward()
            optimizer.step()
        with torch.no_grad():
            means = model(past).regression_outputs[0].reshape(16, targets)
        learnt[build.__name__, targets] = float(means[:, 0].std() / values[:, 0].std())
        print(
            f"{build.__name__}, {targets} target(s): loss of the batch and mean of the rows differ by {error[build.__name__, targets]:.0e}; "
            f"after training, predictions spread {learnt[build.__name__, targets]:.2f} times as wide as the targets"
        )
one = [key for key in error if key[1] == 1]
two = [key for key in error if key[1] == 2]
right = max(error[k] for k in two) < 1e-5 and min(learnt[k] for k in two) > 0.7
wrong = min(error[k] for k in one) > 1e-4 and max(learnt[k] for k in one) < 0.3
sys.exit(not (right and wrong))
PY
