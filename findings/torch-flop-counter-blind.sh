#!/usr/bin/env bash
# torch 2.13.0, CPU: FlopCounterMode reports 0 for scaled_dot_product_attention and for nn.LSTM, silently.
#
# On the CPU attention runs as aten::_scaled_dot_product_flash_attention_for_cpu and nn.LSTM as aten::mkldnn_rnn_layer,
# for which the counter has no formula. nn.GRU is decomposed into matrix products and counted exactly.
#
# Why a good guess is wrong: the counter knows the attention kernels of CUDA, and GRU on the same machine is right. A
# total for a Transformer on a CPU misses the attention only, and looks plausible.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

q, x = torch.randn(1, 8, 256, 64), torch.randn(4, 50, 64)
lstm, gru = torch.nn.LSTM(64, 64, batch_first=True), torch.nn.GRU(64, 64, batch_first=True)
cases = {
    "attention": (lambda: scaled_dot_product_attention(q, q, q), 2 * 2 * 8 * 256 * 256 * 64),
    "LSTM": (lambda: lstm(x), 2 * 4 * 50 * (64 + 64) * 4 * 64),
    "GRU": (lambda: gru(x), 2 * 4 * 50 * (64 + 64) * 3 * 64),
}
seen = {}
for name, (call, expected) in cases.items():
    with FlopCounterMode(display=False) as counter:
        call()
    seen[name] = counter.get_total_flops()
    print(f"{name}: counted {seen[name]:,}, matrix products alone need {expected:,}")
sys.exit(seen != {"attention": 0, "LSTM": 0, "GRU": cases["GRU"][1]})
PY
