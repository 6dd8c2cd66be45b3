#!/usr/bin/env bash
# transformers 5.24.0: PatchTST and PatchTSMixer read the values of missing steps; the mask reaches their scaler alone.
#
# past_observed_mask (PatchTST) and observed_mask (PatchTSMixer) mark missing values, which their documentation replaces
# by zeros. Location and scale leave those steps out. The patches do not: with scaling="std" the zero of a missing step is
# moved and divided like a measured one, and a series around 100 with deviation 1 gets a value 100 deviations below its
# mean, which every output depends on. PatchTSMixerForTimeSeriesClassification and PatchTSMixerForRegression take the
# argument observed_mask without an error and never use it, not even for the scale.
#
# Why a good guess is wrong: attention masks of the same package hide what they mark, the mask is documented for each
# call, and in a series around 0 its neglect can hardly be seen. The mean of what was observed is the value to put there,
# not the zero of the documentation. Below, two fillings of the same missing steps are compared, with the same mask.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
from transformers import (
    PatchTSMixerConfig,
    PatchTSMixerForPrediction,
    PatchTSMixerForRegression,
    PatchTSMixerForTimeSeriesClassification,
    PatchTSMixerModel,
    PatchTSTConfig,
    PatchTSTForPrediction,
    PatchTSTModel,
)

random = torch.Generator().manual_seed(0)
past = 100 + torch.randn(4, 32, 1, generator=random)
observed = torch.ones_like(past)
observed[:, 5:8] = 0
zeros, means = (torch.where(observed > 0, past, value) for value in (0.0, 100.0))
sizes = {"context_length": 32, "patch_length": 4, "patch_stride": 4, "d_model": 16, "scaling": "std"}
masks = {PatchTSTConfig: "past_observed_mask", PatchTSMixerConfig: "observed_mask"}


def build(kind, configure):
    torch.manual_seed(0)
    return kind(configure(**sizes, prediction_length=4)).eval()


lowest, change = {}, {}
with torch.no_grad():
    for model, head, configure in (
        (PatchTSTModel, PatchTSTForPrediction, PatchTSTConfig),
        (PatchTSMixerModel, PatchTSMixerForPrediction, PatchTSMixerConfig),
    ):
        mask = {masks[configure]: observed}
        lowest[head.__name__] = float(build(model, configure)(zeros, **mask).patch_input.min())
        forecaster = build(head, configure)
        spread = float(forecaster(means, **mask).prediction_outputs.std())
        apart = forecaster(zeros, **mask).prediction_outputs - forecaster(means, **mask).prediction_outputs
        change[head.__name__] = float(apart.abs().max()) / spread
        print(
            f"{head.__name__}: a missing step enters as {lowest[head.__name__]:.0f} deviations; zeros and means there, "
            f"with the same mask, change forecasts by {change[head.__name__]:.2g} of their spread"
        )
    ignored = {}
    for head in (PatchTSMixerForTimeSeriesClassification, PatchTSMixerForRegression):
        estimator = build(head, PatchTSMixerConfig)
        outputs = [next(v for v in estimator(zeros, **more).values() if v.ndim == 2) for more in ({}, {"observed_mask": observed})]
        ignored[head.__name__] = torch.equal(*outputs)
        print(f"{head.__name__}: outputs with and without observed_mask are equal: {ignored[head.__name__]}")
ok = max(lowest.values()) < -50 and min(change.values()) > 0.1 and all(ignored.values())
sys.exit(0 if ok else "the mask of missing steps is used otherwise now")
PY
