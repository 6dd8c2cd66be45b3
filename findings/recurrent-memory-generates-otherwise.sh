#!/usr/bin/env bash
# recurrent-memory-transformer-pytorch 0.7.0: generate uses memories that the loss of the same wrapper never sees.
#
# With use_xl_memories, which is on by default, the transformer returns the keys and values of a segment for the next one.
# RecurrentMemoryTransformerWrapper.generate hands them on; its forward receives them and does not (recurrent_memory_transformer.py,
# the loop over segments; memory_replay_backprop hands them on in its second pass alone). Greedy text is therefore not what
# the logits of forward say for that text, from the second segment on.
#
# Why a good guess is wrong: both are methods of one wrapper, the argument xl_memories exists in both, the first segment
# agrees, and a loss falls. Build the transformer with use_xl_memories=False, where both agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 packaging==26.4 \
    recurrent-memory-transformer-pytorch==0.7.0
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from recurrent_memory_transformer_pytorch import RecurrentMemoryTransformer, RecurrentMemoryTransformerWrapper

prompts = torch.randint(0, 40, (8, 3), generator=torch.Generator().manual_seed(1))
sizes = {"num_tokens": 40, "num_memory_tokens": 3, "dim": 16, "depth": 2, "heads": 2, "dim_head": 8, "seq_len": 4}
same = {}
for used in (True, False):
    torch.manual_seed(0)
    net = RecurrentMemoryTransformer(**sizes, use_xl_memories=used)
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.5)
        model = RecurrentMemoryTransformerWrapper(net).eval()
        new = model.generate(prompts, length=20, temperature=1e-9)
        said = model(torch.cat([prompts, new], 1))[0].argmax(-1)[:, 2:-1]
    agree = (said == new).double().mean(0)
    same[used] = float(agree[:2].mean()), float(agree[2:].mean())
    print(f"use_xl_memories={used}: greedy tokens are those of forward for {same[used][0]:.0%} of segment 1, {same[used][1]:.0%} of the others")
sys.exit(not (same[True][0] == 1 and same[True][1] < 0.9 and same[False] == (1, 1)))
PY
