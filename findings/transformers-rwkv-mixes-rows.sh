#!/usr/bin/env bash
# transformers 5.24.0: RwkvForCausalLM.generate mixes the rows of a batch: prompts together are continued unlike each alone.
#
# RWKV mixes each token with the one before it. For one new token with a state, modeling_rwkv.py takes the token before
# from the state as (batch, width) and adds it to the new token of (batch, 1, width): broadcasting gives (batch, batch,
# width), in which the tokens of the other rows look like time steps and run through the recurrence. generate reads the
# last one. RwkvModel returns them all: three rows with one token each come back as (3, 3, width).
#
# Why a good guess is wrong: the rows of a batch never see each other in any language model, the whole sequence in one
# call is right for every row, and generate raises nothing: its output has the right shape. Generate one prompt at a
# time, or with use_cache=False.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
from transformers import RwkvConfig, RwkvForCausalLM

torch.manual_seed(0)
config = RwkvConfig(vocab_size=40, hidden_size=32, attention_hidden_size=32, num_hidden_layers=3, eos_token_id=None)
model = RwkvForCausalLM(config).eval()
for weight in model.parameters():
    if weight.ndim == 2:
        torch.nn.init.normal_(weight, std=0.3)


def continued(rows, **options):
    return model.generate(rows, attention_mask=torch.ones_like(rows), max_new_tokens=8, do_sample=False, **options)[:, 9:]


prompts = torch.randint(3, 40, (3, 9))
together = continued(prompts)
alone = torch.cat([continued(prompts[i : i + 1]) for i in range(3)])
uncached = continued(prompts, use_cache=False)
for name, tokens in {"together": together, "one at a time": alone, "together, use_cache=False": uncached}.items():
    print(f"{name}: {tokens.tolist()}")
with torch.no_grad():
    state = model.rwkv(prompts, use_cache=True).state
    shape = tuple(model.rwkv(prompts[:, :1], state=state, use_cache=True).last_hidden_state.shape)
print(f"three rows of one token with a state: output of shape {shape}")
sys.exit(not (torch.equal(alone, uncached) and not torch.equal(together, alone) and shape == (3, 3, 32)))
PY
