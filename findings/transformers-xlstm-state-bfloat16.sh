#!/usr/bin/env bash
# transformers 5.24.0: without a cache, xLSTM rounds its states to bfloat16 after every max_inference_chunksize tokens.
#
# In eval mode a longer sequence is computed in parts, and the states go from part to part in an xLSTMCache. With
# use_cache=False the model makes that cache itself and gives it no dtype (modeling_xlstm.py, line 1454), whose default
# is bfloat16, whatever the model computes in. The parts also run under no_grad, so in eval mode no gradient reaches the
# blocks.
#
# Why a good guess is wrong: use_cache=True, which makes the cache with the model's dtype, and a larger
# max_inference_chunksize agree to rounding in float32; the setting is documented as a limit for memory. By default the
# parts have 16384 tokens. Pass use_cache=True, or a max_inference_chunksize as long as the sequence.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
from transformers import xLSTMConfig, xLSTMModel

tokens = torch.randint(3, 40, (1, 64), generator=torch.Generator().manual_seed(1))
outputs = {}
for part in (64, 16):
    torch.manual_seed(0)
    config = xLSTMConfig(
        vocab_size=40, hidden_size=64, num_hidden_layers=2, num_heads=4, qk_dim_factor=1.0, chunk_size=8,
        max_inference_chunksize=part,
    )
    model = xLSTMModel(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.2)
        for cached in (True, False):
            outputs[part, cached] = model(tokens, use_cache=cached).last_hidden_state
whole, error = outputs[64, True], {}
for (part, cached), output in outputs.items():
    error[part, cached] = float((output - whole).abs().max() / whole.abs().max())
    print(f"parts of {part}, use_cache={cached}: error {error[part, cached]:.0e}")
model(tokens, use_cache=False).last_hidden_state.square().sum().backward()
reached = sum(int(weight.grad is not None) for weight in model.blocks.parameters())
print(f"parts of 16, gradients enabled: weights of the blocks with a gradient: {reached}")
rounded = error.pop((16, False))
sys.exit(not (rounded > 1e-3 and max(error.values()) < 1e-4 and not reached))
PY
