#!/usr/bin/env bash
# performer-pytorch 1.1.4: PerformerLM with a mask still divides by the padding, so the same text with padding is another.
#
# SelfAttention.forward sets the values of masked positions to 0, and nothing else (performer_pytorch.py:428). The features
# of their keys stay in the sum of keys that linear_attention divides by, so every output shrinks as padding is added. The
# kernel's features of keys are also taken relative to the largest over all keys, masked ones included, and have an epsilon
# added, so that even the tokens under the mask change the outputs a little.
#
# Why a good guess is wrong: the argument is called mask, values under it are zeroed, and what they contain is nearly
# irrelevant, so that a test with other tokens in the padding passes. Only another amount of padding shows it. Sort texts by
# length and run those of one length together, without a mask.
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

tokens = torch.randint(0, 40, (1, 13), generator=torch.Generator().manual_seed(0))
mask = (torch.arange(13) < 4).unsqueeze(0)
far = {}
for name, options in {"softmax kernel": {}, "generalized attention": {"generalized_attention": True}}.items():
    torch.manual_seed(0)
    model = PerformerLM(num_tokens=40, max_seq_len=64, dim=16, depth=2, heads=2, dim_head=8, **options).eval()
    with torch.no_grad():
        alone = model(tokens[:, :4])
        padded = model(tokens, mask=mask)[:, :4]
        again = model(tokens.masked_fill(~mask, 0), mask=mask)[:, :4]
    far[name] = [float((y - alone).abs().max() / alone.abs().max()) for y in (padded, again)]
    print(f"{name}: with 9 tokens of padding under the mask, outputs are off by {far[name][0]:.0%}, with others by {far[name][1]:.0%}")
sys.exit(not all(error > 0.05 for both in far.values() for error in both))
PY
