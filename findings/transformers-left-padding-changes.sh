#!/usr/bin/env bash
# transformers 5.24.0: for DeepSeek-V4, RecurrentGemma, xLSTM, MiniMax and causal XLM, left-padded prompts are continued
# unlike the same without padding.
#
# All five take attention_mask without a message. In modeling_deepseek_v4.py the compressed keys are made of every four
# positions of the row, padding among them (lines 419 and 649), and which of them a token may see is counted without the
# padding (line 449). In modeling_recurrent_gemma.py only the attention layers see the mask, not the convolution and the
# recurrence; in modeling_xlstm.py it disappears in **kwargs; in modeling_minimax.py the prompt is right, but the cache
# reports length 0 (that of layer 0, which has no keys), so the mask made for each new token covers one position instead
# of all. XLM with causal=True makes the causal mask in place of the padding mask (modeling_xlm.py, line 71), so the
# tokens attend to the padding; its logits are compared in one call below.
#
# Why a good guess is wrong: padding a batch of prompts on the left is what generate asks for, and Mamba, Mamba2, Jamba,
# Bamba, Zamba2, Falcon-H1, Granite, LFM2, Nemotron-H, Qwen3.5 and OLMo-hybrid continue it like the prompt alone.
# Generate prompts of one length together.
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

small = dict(vocab_size=40, hidden_size=64, num_hidden_layers=4, pad_token_id=0, eos_token_id=None)
attention = dict(intermediate_size=64, num_attention_heads=4)
configs = {
    "Mamba2": transformers.Mamba2Config(**small, num_heads=16, head_dim=8, state_size=8, n_groups=1, chunk_size=8),
    "Qwen3.5": transformers.Qwen3_5TextConfig(
        **small, **attention, num_key_value_heads=2, head_dim=8, linear_key_head_dim=8, linear_value_head_dim=8,
        linear_num_key_heads=2, linear_num_value_heads=4,
    ),
    "DeepSeek-V4": transformers.DeepseekV4Config(
        **small, num_attention_heads=4, head_dim=16, q_lora_rank=16, moe_intermediate_size=32, n_routed_experts=4,
        num_experts_per_tok=2, sliding_window=8, o_groups=2, o_lora_rank=8, index_n_heads=16, index_head_dim=8, index_topk=4,
        partial_rotary_factor=0.5, layer_types=["compressed_sparse_attention"] * 4,
    ),
    "RecurrentGemma": transformers.RecurrentGemmaConfig(
        **small, **attention, lru_width=64, attention_window_size=64, tie_word_embeddings=False
    ),
    "xLSTM": transformers.xLSTMConfig(**small, num_heads=4, qk_dim_factor=1.0, chunk_size=8),
    "MiniMax": transformers.MiniMaxConfig(
        **small, **attention, layer_types=["linear_attention", "full_attention"] * 2, num_local_experts=2,
        num_key_value_heads=2,
    ),
}
prompts = torch.randint(3, 40, (6, 9), generator=torch.Generator().manual_seed(1))
padded = torch.cat([torch.zeros(6, 5, dtype=torch.long), prompts], 1)
mask = (torch.arange(14) >= 5).long().expand(6, 14)
same = {}
for name, config in configs.items():
    torch.manual_seed(0)
    config._experts_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.2)
    options = dict(max_new_tokens=8, do_sample=False)
    alone = model.generate(prompts, attention_mask=torch.ones_like(prompts), **options)[:, 9:]
    batch = model.generate(padded, attention_mask=mask, **options)[:, 14:]
    same[name] = int((alone == batch).all(1).sum())
    print(f"{name}: {same[name]} of 6 padded prompts continued like the prompt alone")
torch.manual_seed(0)
config = transformers.XLMConfig(vocab_size=40, emb_dim=64, n_layers=4, n_heads=4, pad_index=0, causal=True)
model = transformers.XLMWithLMHeadModel(config).eval()
with torch.no_grad():
    for weight in model.parameters():
        if weight.ndim > 1 and weight.requires_grad:
            weight.normal_(0, 0.2)
    alone = model(prompts, attention_mask=torch.ones_like(prompts)).logits
    places = (mask.cumsum(1) - 1).clamp(min=0)
    batch = model(padded, attention_mask=mask, position_ids=places).logits[:, 5:]
xlm = float((batch - alone).abs().max() / alone.abs().max())
print(f"XLM, causal: the logits of padded prompts differ from those of the prompt alone by {xlm:.0e}")
right = same.pop("Mamba2") == same.pop("Qwen3.5") == 6
sys.exit(not (right and max(same.values()) < 6 and xlm > 0.01))
PY
