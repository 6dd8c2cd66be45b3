#!/usr/bin/env bash
# transformers 5.24.0: with distribution_output="negative_binomial", PatchTSMixer multiplies its samples by the scale twice.
#
# NegativeBinomialOutput.distribution adds the logarithm of the scale to the logits in place (time_series_utils.py, last
# lines), so it changes the parameters that it was given. PatchTSMixerForPrediction builds a distribution in forward and
# another one from the same parameters in generate: the samples for a series a hundred times as large are ten thousand times
# as large. In PatchTST and TimeSeriesTransformer samples have the right scale, but the parameters of an output with
# future_values have the scale in them, and a distribution built from them, loc and scale has it twice.
# All of them leave out loc: with scaling="std", the default of PatchTST and PatchTSMixer, the past comes in without its
# mean, and a series plus 1000 has exactly the same forecast as the series.
#
# Why a good guess is wrong: the loss and its gradients are right, so that training looks well, samples of the other two
# distributions are right, and the outputs of a model in eval mode should not depend on whether labels come along.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
from transformers import PatchTSMixerConfig, PatchTSMixerForPrediction, PatchTSTConfig, PatchTSTForPrediction

sizes = {"context_length": 32, "patch_length": 8, "patch_stride": 8, "d_model": 16, "prediction_length": 4}
random = torch.Generator().manual_seed(0)
past = torch.randint(0, 11, (1, 32, 1), generator=random).float()
future = torch.full((1, 4, 1), 5.0)
growth, level, change = {}, {}, {}
for build, configure in ((PatchTSTForPrediction, PatchTSTConfig), (PatchTSMixerForPrediction, PatchTSMixerConfig)):
    for output in ("normal", "negative_binomial"):
        config = configure(**sizes, loss="nll", distribution_output=output, num_parallel_samples=1000)
        model = build(config).eval()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim > 1:
                    weight.normal_(0, 0.05, generator=random)

        def mean(series):
            torch.manual_seed(0)
            return float(model.generate(series).sequences.mean())

        key = build.__name__, output
        growth[key] = mean(past * 100) / mean(past)
        level[key] = mean(past + 1000) - mean(past)
        with torch.no_grad():
            bare, labelled = model(past).prediction_outputs, model(past, future_values=future).prediction_outputs
        change[key] = max(float((x - y).abs().max()) for x, y in zip(bare, labelled))
        print(
            f"{build.__name__}, {output}: mean forecast of the series times 100 is {growth[key]:.0f} times as large, of the "
            f"series plus 1000 larger by {level[key]:.0f}; labels change the parameters by {change[key]:.2f}"
        )
tst, mixer = PatchTSTForPrediction.__name__, PatchTSMixerForPrediction.__name__
normal = all(abs(growth[k, "normal"] - 100) < 1 and abs(level[k, "normal"] - 1000) < 1 for k in (tst, mixer))
counts = [level[k, "negative_binomial"] for k in (tst, mixer)]
sys.exit(
    not (
        normal
        and 80 < growth[tst, "negative_binomial"] < 120
        and growth[mixer, "negative_binomial"] > 5000
        and max(map(abs, counts)) < 5
        and change[tst, "negative_binomial"] > 0.5 > change[tst, "normal"]
    )
)
PY
