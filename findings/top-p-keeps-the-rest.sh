#!/usr/bin/env bash
# reformer-pytorch 1.4.4, linear-attention-transformer 0.19.1 and performer-pytorch 1.1.4: top_p with 0.9 keeps a tenth.
#
# top_p(logits, thres) keeps the likeliest tokens until their probabilities sum to 1 - thres, so that 0.9, the default
# filter_thres of generate, samples from a nucleus of 0.1: mostly the likeliest token alone. transformers' TopPLogitsWarper
# keeps 0.9. x-transformers had the same line until issue 184 (2023) and has thres there now.
#
# Why a good guess is wrong: the p of top-p is the kept mass wherever it has been described, and the default of 0.9 is the
# usual value of it. Text seems to be sampled, but is nearly greedy. Pass 0.1 for a nucleus of 0.9.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 reformer-pytorch==1.4.4 linear-attention-transformer==0.19.1 \
    performer-pytorch==1.1.4 x-transformers==2.31.10 transformers==5.24.0
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from linear_attention_transformer.autoregressive_wrapper import top_p as linear_top_p
from performer_pytorch.autoregressive_wrapper import top_p as performer_top_p
from reformer_pytorch.generative_tools import top_p as reformer_top_p
from transformers import TopPLogitsWarper
from x_transformers.autoregressive_wrapper import top_p as x_top_p

logits = torch.randn(200, 50, generator=torch.Generator().manual_seed(0)) * 2
probabilities = logits.softmax(-1)
filters = {
    "reformer": lambda scores: reformer_top_p(scores, thres=0.9),
    "linear attention": lambda scores: linear_top_p(scores, thres=0.9),
    "performer": lambda scores: performer_top_p(scores, thres=0.9),
    "x-transformers": lambda scores: x_top_p(scores, thres=0.9),
    "transformers": lambda scores: TopPLogitsWarper(0.9)(None, scores),
}
mass, single = {}, {}
for name, keep in filters.items():
    kept = keep(logits.clone()).isfinite()
    mass[name] = float((probabilities * kept).sum(1).mean())
    single[name] = float((kept.sum(1) == 1).double().mean())
    print(f"{name}, 0.9: kept probability {mass[name]:.2f} on average, one token alone in {single[name]:.0%}")
names = list(filters)
sys.exit(not (all(mass[name] < 0.5 and single[name] > 0.8 for name in names[:3]) and all(mass[name] >= 0.9 for name in names[3:])))
PY
