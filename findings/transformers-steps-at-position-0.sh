#!/usr/bin/env bash
# transformers 5.24.0: in a loop with past_key_values, Bamba, MiniMax and a RoBERTa decoder place every new token at position 0.
#
# The whole sequence and the same tokens one at a time give other outputs, without a message. Bamba counts positions
# from 0 in every call (modeling_bamba.py). MiniMax asks its cache for its length, which is the length of layer 0; layer
# 0 is linear attention and has no keys, so the answer is always 0. RoBERTa counts right with input_ids, but not with
# inputs_embeds. With an explicit position_ids all three are exact.
#
# Why a good guess is wrong: position_ids is optional, nothing is raised, generate (which passes it) is right, and every
# other model tried (Llama, CodeGen, Jamba, Zamba2, Granite, Falcon-H1, Qwen3.5) takes the offset from the cache.
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
mamba = dict(mamba_n_heads=8, mamba_d_head=8, mamba_d_state=8, mamba_chunk_size=4)
layers = ["linear_attention", "full_attention", "linear_attention"]
configs = {
    "Llama": transformers.LlamaConfig(**small),
    "Bamba": transformers.BambaConfig(**small, **mamba, num_key_value_heads=2, attn_layer_indices=[1]),
    "MiniMax": transformers.MiniMaxConfig(**small, layer_types=layers, num_key_value_heads=2, num_local_experts=2),
    "RoBERTa": transformers.RobertaConfig(**small, is_decoder=True, pad_token_id=0),
}


def steps(model, embedded, first):
    """The outputs for one position at a time, without position_ids or with positions that count from `first`."""
    cache, outputs = None, []
    for t in range(embedded.shape[1]):
        position = {} if first is None else {"position_ids": torch.tensor([[first + t]])}
        output = model(inputs_embeds=embedded[:, t : t + 1], past_key_values=cache, use_cache=True, **position)
        cache = output.past_key_values
        outputs.append(output.last_hidden_state)
    return torch.cat(outputs, 1)


seen = {}
for name, config in configs.items():
    torch.manual_seed(0)
    config._experts_implementation = "eager"
    model = transformers.AutoModel.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.2)
        embedded = model.get_input_embeddings()(torch.randint(3, 40, (1, 12)))
        whole = model(inputs_embeds=embedded, use_cache=False).last_hidden_state
        first = 1 if name == "RoBERTa" else 0  # RoBERTa counts from pad_token_id + 1
        seen[name] = [float((steps(model, embedded, at) - whole).abs().max() / whole.abs().max()) for at in (None, first)]
    print(f"{name}: error of the steps {seen[name][0]:.0e}, with position_ids {seen[name][1]:.0e}")
exact = all(given < 1e-3 for _, given in seen.values()) and seen["Llama"][0] < 1e-3
sys.exit(not (exact and all(seen[name][0] > 0.05 for name in ("Bamba", "MiniMax", "RoBERTa"))))
PY
