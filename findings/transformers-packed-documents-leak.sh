#!/usr/bin/env bash
# transformers 5.24.0: packed documents, told apart by position_ids, leak in Llama unless use_cache=False, and in GPT-OSS,
# OPT, DeepSeek-V4 and hybrids always.
#
# Two documents lie in one row, with positions 0 1 2 ... 0 1 2 ...: the mask that keeps them apart is built only where
# there is no cache (masking_utils.py), and use_cache is on by default, in train mode too. With it the second document
# attends to the first. GPT-OSS, OPT, BioGPT and XGLM do not hand position_ids to the function that makes the mask
# (modeling_gpt_oss.py, line 461; modeling_opt.py, line 363), so they leak either way. In DeepSeek-V4 the tokens of the
# second document see the compressed keys of the first (modeling_deepseek_v4.py, line 449). In models with recurrent layers
# (below LFM2 and Granite) the mask is built, but the state and the convolution run on across the border either way.
# Given seq_idx and cu_seq_lens too, which DataCollatorWithFlattening returns on request, they raise an error where the
# causal_conv1d kernels are missing.
#
# Why a good guess is wrong: restarted positions are how padding-free collators mark documents, a first forward call
# stores nothing that it would need to see, and the loss looks normal. Pass use_cache=False, give hybrids seq_idx and
# cu_seq_lens, and do not pack for the others.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
import transformers

small = dict(vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4)
small["num_key_value_heads"] = 2
layers = ["conv", "full_attention", "conv"]
granite = ["mamba", "attention", "mamba"]
mamba = dict(mamba_n_heads=8, mamba_d_head=8, mamba_d_state=8, mamba_chunk_size=8)
configs = {
    "Llama": transformers.LlamaConfig(**small),
    "GPT-OSS": transformers.GptOssConfig(**small, head_dim=8, num_local_experts=4, num_experts_per_tok=2),
    "OPT": transformers.OPTConfig(
        vocab_size=40, hidden_size=32, ffn_dim=64, num_hidden_layers=3, num_attention_heads=4, word_embed_proj_dim=32,
        dropout=0.0,
    ),
    "DeepSeek-V4": transformers.DeepseekV4Config(
        vocab_size=40, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, head_dim=16, q_lora_rank=16,
        moe_intermediate_size=32, n_routed_experts=4, num_experts_per_tok=2, sliding_window=8, o_groups=2, o_lora_rank=8,
        index_n_heads=16, index_head_dim=8, index_topk=4, partial_rotary_factor=0.5,
        layer_types=["compressed_sparse_attention"] * 3,
    ),
    "LFM2": transformers.Lfm2Config(**small, layer_types=layers),
    "Granite": transformers.GraniteMoeHybridConfig(**small, **mamba, layers_block_type=granite, num_local_experts=0),
}
documents = torch.randint(3, 40, (2, 12), generator=torch.Generator().manual_seed(1))
row = documents.reshape(1, 24)
positions = torch.arange(12).repeat(2)[None]
leak = {}
for name, config in configs.items():
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config).train()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.2)
        alone = model(documents[1:], use_cache=False).last_hidden_state
        for cached in ({}, {"use_cache": False}):
            packed = model(row, position_ids=positions, **cached).last_hidden_state[:, 12:]
            leak[name, not cached] = float((packed - alone).abs().max() / alone.abs().max())
            how = "use_cache=False" if cached else "by default"
            print(f"{name}, {how}: the second document differs from the document alone by {leak[name, not cached]:.0e}")
isolated = leak.pop(("Llama", False))
sys.exit(not (isolated < 1e-4 and min(leak.values()) > 0.05))
PY
