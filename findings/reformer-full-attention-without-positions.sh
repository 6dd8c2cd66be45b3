#!/usr/bin/env bash
# reformer-pytorch 1.4.4: with full attention, ReformerLM does not know where a token stands.
#
# Positions are rotary by default and handed to the attention as pos_emb. LSHAttention rotates by them, FullQKAttention
# takes them as one of **kwargs and does not. So with use_full_attn=True, or for every text no longer than full_attn_thres,
# permuted tokens have the permuted outputs, as if there were no order. absolute_position_emb, axial_position_emb and
# fixed_position_emb are added to the tokens and do work.
#
# Why a good guess is wrong: the README offers use_full_attn to compare with hashing, and full_attn_thres for short texts,
# so both look like the same model without its approximation; the loss falls. Choose one of the other positions.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 reformer-pytorch==1.4.4
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from reformer_pytorch import ReformerLM

sizes = {"num_tokens": 50, "dim": 32, "depth": 2, "max_seq_len": 64, "heads": 4, "dim_head": 16, "bucket_size": 8, "ff_chunks": 1}
tokens = torch.randint(0, 50, (1, 64), generator=torch.Generator().manual_seed(0))
order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
cases = {
    "use_full_attn": {"use_full_attn": True},
    "full_attn_thres=64": {"full_attn_thres": 64},
    "use_full_attn, absolute positions": {"use_full_attn": True, "absolute_position_emb": True},
    "hashing": {},
}
moved = {}
for name, options in cases.items():
    torch.manual_seed(0)
    model = ReformerLM(**sizes, **options).eval()
    with torch.no_grad():
        torch.manual_seed(2)  # the hashes
        straight = model(tokens)
        torch.manual_seed(2)
        permuted = model(tokens[:, order])
    moved[name] = float((permuted - straight[:, order]).abs().max() / straight.abs().max())
    print(f"{name}: outputs of permuted tokens differ from the permuted outputs by {moved[name]:.0e}")
full = [moved.pop(name) for name in ("use_full_attn", "full_attn_thres=64")]
sys.exit(not (max(full) < 1e-5 and min(moved.values()) > 1e-3))
PY
