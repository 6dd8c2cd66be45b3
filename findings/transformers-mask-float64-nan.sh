#!/usr/bin/env bash
# transformers 5.24.0: in float64 and with eager attention, every token of a row with padding on the left is NaN.
#
# The mask hides a place with the least number of the model's type, and the softmax of eager attention computes in
# float32 whatever the type, where the least float64 is -inf (eager_attention_forward in modeling_llama.py and its
# copies). The first pad sees nothing but itself, all its scores are -inf, and the softmax gives NaN; from the second
# layer on, NaN times a weight of 0 reaches the real tokens. BLOOM, MPT and Gemma 2 have no other attention on the CPU by
# default. In LED and Longformer the outputs are right, and the gradients of nearly all weights are NaN.
#
# Why a good guess is wrong: more precision never hurts, and float64 is what one takes to check a model against a
# reference. Llama with its default attention (sdpa) gives the same numbers in both, and rows without padding are right.
# Take sdpa or float32.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
import transformers

small = dict(vocab_size=40, pad_token_id=0)
layers = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)
models = {
    "Llama, sdpa": (transformers.LlamaConfig(**small, **layers), "sdpa"),
    "Llama, eager": (transformers.LlamaConfig(**small, **layers), "eager"),
    "Gemma 2": (transformers.Gemma2Config(**small, **layers, num_key_value_heads=2, head_dim=8), None),
    "BLOOM": (transformers.BloomConfig(**small, hidden_size=32, n_layer=2, n_head=4), None),
    "MPT": (transformers.MptConfig(**small, d_model=32, n_layers=2, n_heads=4, max_seq_len=64), None),
}
tokens = torch.randint(3, 40, (2, 9), generator=torch.Generator().manual_seed(0))
mask = torch.ones_like(tokens)
mask[1, :3] = 0
missing = {}
for name, (config, attention) in models.items():
    torch.manual_seed(0)
    options = {} if attention is None else {"attn_implementation": attention}
    model = transformers.AutoModel.from_config(config, **options).eval()
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        with torch.no_grad():
            output = model.to(dtype)(tokens, attention_mask=mask).last_hidden_state
        missing[name, dtype] = int(output[0].isnan().any(-1).sum()), int(output[1, 3:].isnan().any(-1).sum())
        whole, padded = missing[name, dtype]
        print(f"{name}, {dtype}: NaN for {whole} of 9 tokens without padding, {padded} of 6 with")
config = transformers.LongformerConfig(**small, **layers, attention_window=[4, 4], max_position_embeddings=64)
gradients = {}
for dtype in (torch.float32, torch.float64):
    torch.manual_seed(0)
    model = transformers.LongformerModel(config).to(dtype).eval()
    output = model(tokens[:, :8], attention_mask=mask[:, :8].flip(1)).last_hidden_state
    output[1, :5].square().sum().backward()
    nans = sum(int(weight.grad.isnan().any()) for weight in model.parameters() if weight.grad is not None)
    gradients[dtype] = bool(output.isfinite().all()), nans
    print(f"Longformer, {dtype}: all outputs finite: {gradients[dtype][0]}, weights with a NaN gradient: {nans}")
double = [missing.pop((name, torch.float64)) for name in ("Llama, eager", "Gemma 2", "BLOOM", "MPT")]
right = double == [(0, 6)] * 4 and set(missing.values()) == {(0, 0)}
sys.exit(not (right and gradients[torch.float32] == (True, 0) and gradients[torch.float64][0] and gradients[torch.float64][1]))
PY
