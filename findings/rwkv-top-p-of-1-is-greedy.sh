#!/usr/bin/env bash
# rwkv 0.8.32: sampling with top_p=1, which is to keep all tokens, takes the most probable one in most contexts.
#
# sample_logits looks for the first place where the cumulative sum of the sorted probabilities is at least top_p
# (utils.py, lines 67 and 81). They are float32, and the sum of RWKV's 65,536 mostly ends a little below 1. Then no
# place is there, numpy's argmax of nothing but False is 0, and the probability at 0, the highest, becomes the least
# that a token must have. The temperature comes afterwards, so that 2.0 changes nothing.
#
# Why a good guess is wrong: 1 is the value of top_p that means "off", 0.9999 is right, and in contexts where the sum is
# rounded up so is 1. The text does not look broken, only dull, and repeats itself. Use 0.9999.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --no-deps rwkv==0.8.32
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
import torch
from rwkv.utils import PIPELINE

CONTEXTS, DRAWS = 30, 8
pipeline = PIPELINE(None, "rwkv_vocab_v20230424")
torch.manual_seed(0)
np.random.seed(0)
greedy, below = {}, {}
for vocabulary in (1000, 65536):
    logits = 2 * torch.randn(CONTEXTS, vocabulary)
    probabilities = logits.softmax(dim=-1)
    ordered = np.sort(probabilities.numpy(), axis=-1)[:, ::-1]
    below[vocabulary] = np.cumsum(ordered, axis=-1).max(axis=-1) < 1
    print(f"{vocabulary} tokens: the sum is below 1 in {below[vocabulary].sum()} of {CONTEXTS} contexts")
    print(f"  the highest probability of a token in any of them is {probabilities.max():.3f}")
    for top_p, temperature in ((1.0, 1.0), (1.0, 2.0), (0.9999, 1.0)):
        drawn = [
            [pipeline.sample_logits(row, temperature=temperature, top_p=top_p) for _ in range(DRAWS)] for row in logits
        ]
        best = logits.argmax(dim=-1, keepdim=True)
        greedy[vocabulary, top_p, temperature] = (torch.tensor(drawn) == best).all(dim=-1).numpy()
        count = greedy[vocabulary, top_p, temperature].sum()
        print(f"  top_p {top_p}, temperature {temperature}: the best token in all {DRAWS} draws of {count} contexts")
ones = [key for key in greedy if key[1] == 1]
same = all((greedy[key] == below[key[0]]).all() for key in ones)
often = all(greedy[key].sum() > CONTEXTS // 2 for key in ones if key[0] == 65536)
never = not any(greedy[key].any() for key in greedy if key[1] < 1)
sys.exit(not (same and often and never))
PY
