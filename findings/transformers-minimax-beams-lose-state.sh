#!/usr/bin/env bash
# transformers 5.24.0: beam search on MiniMax keeps the linear-attention states where they are when it reorders the beams.
#
# After each token, beam search lets beams be replaced by copies of others and calls reorder_cache. MiniMaxCache
# (modeling_minimax.py) overrides the functions that repeat and select rows, but not this one, so only keys and values
# move: a beam continues with its own keys and the state of another beam. The sequences found are worse than without a
# cache, and the returned sequences_scores are not the log probabilities of the returned tokens.
#
# Why a good guess is wrong: use_cache only saves time. Greedy search and sampling are right, and Jamba, Mamba and other
# models with a state move it. Nothing is raised. Pass use_cache=False to beam search.
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

small = dict(vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4)
small |= dict(num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=None)
configs = {
    "Llama": transformers.LlamaConfig(**small),
    "Jamba": transformers.JambaConfig(
        **small, use_mamba_kernels=False, attn_layer_period=2, attn_layer_offset=1, num_experts=2, mamba_d_state=8
    ),
    "MiniMax": transformers.MiniMaxConfig(
        **small, layer_types=["linear_attention", "full_attention"] * 2, num_local_experts=2
    ),
}
prompts = torch.randint(3, 40, (8, 9), generator=torch.Generator().manual_seed(1))
options = dict(num_beams=4, do_sample=False, max_new_tokens=6, length_penalty=0.0, return_dict_in_generate=True)
options |= dict(output_scores=True, attention_mask=torch.ones_like(prompts))
wrong, lost = {}, {}
for name, config in configs.items():
    torch.manual_seed(0)
    config._experts_implementation = "eager"
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.2)

    def score(sequences):
        """The log probability of the six new tokens, from one call with the whole sequence."""
        with torch.no_grad():
            logits = model(sequences, use_cache=False).logits[:, 8:-1]
        return logits.log_softmax(-1).gather(-1, sequences[:, 9:, None]).sum((1, 2))

    cached = model.generate(prompts, use_cache=True, **options)
    uncached = model.generate(prompts, use_cache=False, **options)
    wrong[name] = (cached.sequences_scores - score(cached.sequences)).abs().max().item()
    lost[name] = (score(uncached.sequences) - score(cached.sequences)).mean().item()
    print(f"{name}: reported scores wrong by up to {wrong[name]:.2f}, mean log probability lost by the cache {lost[name]:.2f}")
sys.exit(not (max(wrong["Llama"], wrong["Jamba"]) < 1e-2 and wrong["MiniMax"] > 0.2))
PY
