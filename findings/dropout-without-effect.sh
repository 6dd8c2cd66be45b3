#!/usr/bin/env bash
# conformer 0.3.2, reformer-pytorch 1.4.4, linear-attention-transformer 0.19.1 and memory-efficient-attention-pytorch 0.1.6:
# dropout that was asked for is not there, without an error.
#
# Conformer has attn_dropout, ff_dropout and conv_dropout and gives none of them to its blocks. ReformerLM gives its Reformer
# post_attn_dropout=0. whatever it was given. LinearAttentionTransformer builds its feedforward as FeedForward(dim), without
# ff_dropout and ff_glu (but uses both in axial and context layers). Attention of memory-efficient-attention-pytorch drops
# only with memory_efficient=True.
#
# Why a good guess is wrong: each is an argument of the constructor (the README of reformer-pytorch sets its one to 0.1), an
# unknown one would be an error, and a model without dropout trains well, only to overfit. Below, two outputs of a model in
# train mode are equal with a dropout of 0.9.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 conformer==0.3.2 reformer-pytorch==1.4.4 linear-attention-transformer==0.19.1 \
    memory-efficient-attention-pytorch==0.1.6
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from conformer import Conformer, ConformerBlock
from linear_attention_transformer import LinearAttentionTransformerLM
from memory_efficient_attention_pytorch import Attention
from reformer_pytorch import ReformerLM

tokens = torch.randint(0, 50, (2, 64), generator=torch.Generator().manual_seed(0))
vectors = torch.randn(2, 64, 32, generator=torch.Generator().manual_seed(0))
sizes = {"num_tokens": 50, "dim": 32, "depth": 2, "max_seq_len": 64, "heads": 4, "dim_head": 8}
conformer = {"dim": 32, "dim_head": 8, "heads": 4}
models = {
    "Conformer(attn_dropout)": (lambda p: Conformer(depth=2, attn_dropout=p, **conformer), vectors),
    "Conformer(ff_dropout)": (lambda p: Conformer(depth=2, ff_dropout=p, **conformer), vectors),
    "Conformer(conv_dropout)": (lambda p: Conformer(depth=2, conv_dropout=p, **conformer), vectors),
    "ReformerLM(post_attn_dropout)": (lambda p: ReformerLM(**sizes, use_full_attn=True, post_attn_dropout=p), tokens),
    "LinearAttentionTransformerLM(ff_dropout)": (lambda p: LinearAttentionTransformerLM(**sizes, ff_dropout=p), tokens),
    "Attention(dropout)": (lambda p: Attention(dim=32, dim_head=8, heads=4, dropout=p), vectors),
    "ConformerBlock(ff_dropout)": (lambda p: ConformerBlock(ff_dropout=p, **conformer), vectors),
    "ReformerLM(ff_dropout)": (lambda p: ReformerLM(**sizes, use_full_attn=True, ff_dropout=p), tokens),
    "LinearAttentionTransformerLM(attn_layer_dropout)": (
        lambda p: LinearAttentionTransformerLM(**sizes, attn_layer_dropout=p),
        tokens,
    ),
    "Attention(dropout, memory_efficient)": (
        lambda p: Attention(dim=32, dim_head=8, heads=4, dropout=p, memory_efficient=True),
        vectors,
    ),
}
change = {}
for name, (build, inputs) in models.items():
    torch.manual_seed(0)
    model = build(0.9).train()
    with torch.no_grad():
        first, second = model(inputs), model(inputs)
    change[name] = float((first - second).abs().max() / first.abs().max())
    print(f"{name} = 0.9: two outputs in train mode differ by {change[name]:.0e}")
values = list(change.values())
weights = [sum(map(torch.numel, LinearAttentionTransformerLM(**sizes, ff_glu=glu).parameters())) for glu in (False, True)]
print(f"LinearAttentionTransformerLM has {weights[0]} parameters, with ff_glu {weights[1]}")
sys.exit(not (max(values[:6]) < 1e-5 and min(values[6:]) > 0.05 and weights[0] == weights[1]))
PY
