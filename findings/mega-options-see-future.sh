#!/usr/bin/env bash
# mega-pytorch 0.1.0: two options let a causal model depend on what follows: norm_mhesa_heads and laplacian_attn_fn.
#
# norm_mhesa_heads puts a GroupNorm on the moving averages with the time as its last axis (mega_pytorch.py,
# MultiHeadedEMA), and a GroupNorm takes mean and variance over every axis behind the channels: each position is scaled by
# statistics of the whole sequence. The comment cites RetNet, which normalises the heads of each position alone.
# laplacian_attn_fn divides the scores by the length of the sequence, tokens to come included, so that a position's output
# depends on how many there are (not on which). Without both, the model is causal.
#
# Why a good guess is wrong: causal=True is the default, the attention is masked and the averages look back only. The loss
# gets better by the first; the second shows nothing at initialisation, where the scores are nearly 0, and makes the text
# that is generated token by token another than that of the training.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 mega-pytorch==0.1.0
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from mega_pytorch.mega_pytorch import Mega, OffsetScale

tokens = torch.randint(0, 50, (1, 64), generator=torch.Generator().manual_seed(0))
other = tokens.clone()
other[:, 40:] = torch.randint(0, 50, (1, 24), generator=torch.Generator().manual_seed(1))
seen = {}
for option in ("norm_mhesa_heads", "laplacian_attn_fn", None):
    torch.manual_seed(0)
    model = Mega(num_tokens=50, dim=32, depth=2, **({option: True} if option else {})).eval()
    for module in model.modules():
        if isinstance(module, OffsetScale):
            torch.nn.init.normal_(module.gamma)
    with torch.no_grad():
        outputs = model(tokens)
        size = outputs.abs().max()
        later = (model(other) - outputs)[:, :40].abs().max() / size
        alone = (model(tokens[:, :40]) - outputs[:, :40]).abs().max() / size
    seen[option] = float(later), float(alone)
    print(f"{option or 'neither'}: other tokens from 40 on change the outputs before by {later:.0e}; no tokens there by {alone:.0e}")
norm, laplacian, neither = seen.values()
sys.exit(not (min(norm) > 0.05 and laplacian[0] < 1e-4 and laplacian[1] > 0.01 and max(neither) < 1e-4))
PY
