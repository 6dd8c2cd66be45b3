#!/usr/bin/env bash
# x-transformers 2.31.10: generate(prompt_lens=...) writes another text than each prompt alone with three of its options.
#
# AutoregressiveWrapper.generate pads prompts on the left and passes seq_start_pos, which hides the padding from attention.
# With num_memory_tokens, the memory tokens stand before the padding, but the mask counts from the first of all
# (AttentionLayers.forward, x_transformers.py:3446): it hides the memory and shows as much padding. With shift_tokens, a part of the
# last padding is moved into the first token, since the shift has no mask (ShiftTokens). With attn_selective, the queries of
# the padding take part in the sum of gates (selective_attn, attend.py:103).
#
# Why a good guess is wrong: prompt_lens is documented for prompts of different lengths, plain, rotary and ALiBi models obey,
# and there is no message. Generate from prompts of one length together with these options.
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
lengths = torch.tensor([9, 7, 5, 4, 3, 2])
same = {}
for name, around, options in (
    ("plain", {}, {}),
    ("rotary_pos_emb", {}, {"rotary_pos_emb": True}),
    ("num_memory_tokens=2", {"num_memory_tokens": 2}, {}),
    ("shift_tokens=1", {}, {"shift_tokens": 1}),
    ("attn_selective", {}, {"attn_selective": True}),
):
    torch.manual_seed(0)
    layers = Decoder(dim=64, depth=2, heads=2, attn_dim_head=32, **options)
    net = TransformerWrapper(num_tokens=40, max_seq_len=64, attn_layers=layers, **around)
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.2)
    model = AutoregressiveWrapper(net).eval()
    how = {"temperature": 0.0, "cache_kv": False}
    together = model.generate(prompts, 12, prompt_lens=lengths, **how)
    alone = torch.cat([model.generate(row[None, :n], 12, **how) for row, n in zip(prompts, lengths.tolist(), strict=True)])
    same[name] = float((together == alone).double().mean())
    print(f"{name}: {same[name]:.0%} of the greedy tokens are those of the prompt alone")
exact = same["plain"] == same["rotary_pos_emb"] == 1
sys.exit(not (exact and max(same[name] for name in list(same)[2:]) < 0.9))
PY
