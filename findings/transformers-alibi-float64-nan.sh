#!/usr/bin/env bash
# transformers 5.23.0: in float64, BLOOM and MPT return NaN for every token of a row that has padding on the left.
#
# The mask hides a place with the least number of the model's type. Both models convert the masked scores to float32
# before the softmax (modeling_bloom.py, modeling_mpt.py), where the least float64 is -inf. The first pad sees nothing
# but itself, all its scores are -inf, and the softmax gives NaN; from the second layer on, NaN times a weight of 0
# reaches the real tokens. In float32, float16 and bfloat16 the least number is finite, and the padding changes nothing.
#
# Why a good guess is wrong: more precision never hurts, and float64 is what one takes to check a model against a
# reference. Llama, GPT-2 and Falcon give the same numbers in both, and rows without padding are right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.23.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
import transformers

small = dict(vocab_size=40, pad_token_id=0)
configs = {
    "GPT-2": transformers.GPT2Config(**small, n_embd=32, n_layer=2, n_head=4),
    "BLOOM": transformers.BloomConfig(**small, hidden_size=32, n_layer=2, n_head=4),
    "MPT": transformers.MptConfig(**small, d_model=32, n_layers=2, n_heads=4, max_seq_len=64),
}
tokens = torch.randint(3, 40, (2, 9), generator=torch.Generator().manual_seed(0))
mask = torch.ones_like(tokens)
mask[1, :3] = 0
missing = {}
for name, config in configs.items():
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config).eval()
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        with torch.no_grad():
            output = model.to(dtype)(tokens, attention_mask=mask).last_hidden_state
        missing[name, dtype] = int(output[0].isnan().any(-1).sum()), int(output[1, 3:].isnan().any(-1).sum())
        whole, padded = missing[name, dtype]
        print(f"{name}, {dtype}: NaN for {whole} of 9 tokens without padding, {padded} of 6 with")
double = [missing.pop((name, torch.float64)) for name in ("BLOOM", "MPT")]
sys.exit(not (double == [(0, 6)] * 2 and set(missing.values()) == {(0, 0)}))
PY
