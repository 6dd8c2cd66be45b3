#!/usr/bin/env bash
# pytorch-tcn 1.2.3: kernel_initializer has no effect on the convolutions of a TCN with weight norm, the default norm.
#
# TemporalBlock first puts weight norm on its two convolutions (tcn.py, lines 295 and 296) and then initialises their
# .weight (lines 343 to 351). Since weight norm is a parametrization, each access to .weight computes a new tensor from
# length and direction; that tensor is filled and thrown away. All choices give the same weights, those of nn.Conv1d,
# which are 2.4 times smaller than Xavier's, the documented default, between layers of one size. With batch_norm,
# layer_norm or None, and in the 1 x 1 convolutions beside the blocks, the choice has its effect.
#
# Why a good guess is wrong: the argument is checked, an unknown name is an error, the weights differ with every other
# norm, and filling .weight is how one initialises a layer in torch. So a comparison of initialisations finds no
# difference but that of the seeds. Assign a tensor to .weight instead, which sets length and direction, as below.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 pytorch-tcn==1.2.3
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import torch
from pytorch_tcn import TCN

CHOICES = ("xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "normal", "uniform")
same = {}
with torch.no_grad():
    for norm in ("weight_norm", "batch_norm", "layer_norm", None):
        weights = {}
        for choice in CHOICES:
            torch.manual_seed(0)
            model = TCN(16, [16] * 4, use_norm=norm, kernel_initializer=choice)
            weights[choice] = torch.stack([layer.conv2.weight for layer in model.network])
        same[norm] = len({tuple(tensor.flatten().tolist()) for tensor in weights.values()}) == 1
        deviations = ", ".join(f"{choice} {float(tensor.std()):.3f}" for choice, tensor in weights.items())
        print(f"use_norm={norm}: one set of weights for all choices: {same[norm]}; standard deviations: {deviations}")
        if norm == "weight_norm":
            actual = weights["xavier_uniform"].std()
    model = TCN(16, [16] * 4)
    for layer in model.network:
        for convolution in (layer.conv1, layer.conv2):
            convolution.weight = torch.nn.init.xavier_uniform_(convolution.weight.clone(), gain=2**0.5)
    assigned = torch.stack([layer.conv2.weight for layer in model.network]).std()
    print(f"after an assignment of Xavier's: {float(assigned):.3f}")
    factor = float(weights["xavier_uniform"].std() / actual)
    print(f"without weight norm, Xavier's weights are {factor:.2f} times as large")
sys.exit(not (same.pop("weight_norm") and not any(same.values()) and min(factor, float(assigned / actual)) > 2))
PY
