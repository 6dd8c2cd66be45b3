#!/usr/bin/env bash
# x-transformers 2.31.10: with shift_tokens or attn_data_dependent_alibi, generate writes another text with its cache.
#
# AutoregressiveWrapper.generate keeps keys and values by default, and asks the network's can_cache_kv whether it may. That
# is False for a few options only. shift_tokens moves a part of every vector to the position before; with a cache a call has
# the new position alone, and zeros are moved in (ShiftTokens in x_transformers.py). The data-dependent slopes are sums of
# forget gates over the positions of a call, so that with a cache the new one has none of those before it
# (DataDependentAlibi). Rotary, ALiBi, relative positions and a dozen other options continue alike with and without a cache.
#
# Why a good guess is wrong: the library knows that some options cannot be cached, turns the cache off there, and neither
# of these is among them; there is no message, and the text is fluent. Say cache_kv=False for models with these options.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 x-transformers==2.31.10
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from x_transformers import AutoregressiveWrapper, Decoder, TransformerWrapper

prompts = torch.randint(0, 40, (6, 9), generator=torch.Generator().manual_seed(1))
same = {}
for options in ({}, {"rotary_pos_emb": True}, {"alibi_pos_bias": True}, {"shift_tokens": 1}, {"attn_data_dependent_alibi": True}):
    torch.manual_seed(0)
    layers = Decoder(dim=64, depth=2, heads=2, attn_dim_head=32, **options)
    net = TransformerWrapper(num_tokens=40, max_seq_len=64, attn_layers=layers)
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.2)
    model = AutoregressiveWrapper(net).eval()
    texts = [model.generate(prompts, 16, temperature=0.0, cache_kv=cached) for cached in (True, False)]
    name = next(iter(options), "none")
    same[name] = int((texts[0] == texts[1]).all(1).sum())
    print(f"option {name}: {same[name]} of 6 prompts continued alike with and without a cache (can_cache_kv: {net.can_cache_kv})")
wrong = [same.pop("shift_tokens"), same.pop("attn_data_dependent_alibi")]
sys.exit(not (min(same.values()) == 6 and max(wrong) < 6))
PY
