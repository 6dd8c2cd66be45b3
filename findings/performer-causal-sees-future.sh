#!/usr/bin/env bash
# performer-pytorch 1.1.4: with causal=True, outputs depend a little on later tokens, by way of a maximum over the sequence.
#
# softmax_kernel takes the features of keys relative to the largest exponent of the whole sequence, later positions
# included, and then adds 1e-4 to each (performer_pytorch.py, softmax_kernel). Without the addition the maximum would cancel;
# with it, a later token that raises the maximum changes what the earlier ones weigh.
#
# Why a good guess is wrong: the sums over positions are causal, the maximum is called a stabilizer, and with random inputs
# the difference is 1e-4, which looks like rounding. It is the same in float64.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 performer-pytorch==1.1.4
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from performer_pytorch import PerformerLM

generator = torch.Generator().manual_seed(0)
tokens, other = torch.randint(0, 40, (2, 8, 13), generator=generator)
other[:, :6] = tokens[:, :6]
torch.manual_seed(0)
model = PerformerLM(num_tokens=40, max_seq_len=64, dim=16, depth=2, heads=2, dim_head=8, causal=True).double().eval()
errors = {}
for scale in (1, 3):
    with torch.no_grad():
        for layer in model.modules():
            if hasattr(layer, "to_k"):
                layer.to_k.weight.mul_(scale)
        before, after = model(tokens)[:, :6], model(other)[:, :6]
    errors[scale] = float((before - after).abs().max() / before.abs().max())
    print(f"weights of keys times {scale}: another future changes the first 6 outputs by {errors[scale]:.0e}")
sys.exit(not (errors[1] > 1e-6 and errors[3] > 1e-5))
PY
