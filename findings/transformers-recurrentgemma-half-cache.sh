#!/usr/bin/env bash
# transformers 5.24.0: RecurrentGemmaModel keeps half of its cache in the module: two sequences in turn continue each other.
#
# past_key_values has the keys and values of the attention layers only. The states of the recurrence and the convolution
# are attributes of the layers (modeling_recurrent_gemma.py), overwritten by whichever call comes next. A copy of the
# cache, a second sequence, and beam search, which reorders only past_key_values, all use the wrong state without a
# message.
#
# Why a good guess is wrong: past_key_values is the whole state of every other model tried; one sequence after the other
# is right, so a test with one prompt passes. After any other call, compute the prompt again; search beams with
# use_cache=False.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import copy
import sys

import torch
from transformers import DynamicCache, RecurrentGemmaConfig, RecurrentGemmaForCausalLM

torch.manual_seed(0)
small = dict(vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4)
config = RecurrentGemmaConfig(**small, lru_width=32, attention_window_size=64, eos_token_id=None, tie_word_embeddings=False)
model = RecurrentGemmaForCausalLM(config).eval()
with torch.no_grad():
    for weight in model.parameters():
        if weight.ndim > 1:
            weight.normal_(0, 0.2)
a, b = torch.randint(3, 40, (2, 1, 12), generator=torch.Generator().manual_seed(1))


def prompt(tokens):
    cache = DynamicCache(config=config)
    model(tokens[:, :8], past_key_values=cache, use_cache=True)
    return cache


def error(cache):
    """How far the next token of `a` is from its output in the whole sequence."""
    output = model(a[:, 8:9], past_key_values=cache, use_cache=True).logits[:, -1]
    return float((output - whole).abs().max() / whole.abs().max())


with torch.no_grad():
    whole = model(a[:, :9], use_cache=False).logits[:, -1]
    one = error(prompt(a))
    cache = prompt(a)
    prompt(b)
    in_turn = error(cache)
    cache = prompt(a)
    saved = copy.deepcopy(cache)
    model(b[:, 8:9], past_key_values=cache, use_cache=True)
    copied = error(saved)
    prompts = torch.randint(3, 40, (8, 9), generator=torch.Generator().manual_seed(2))
    options = dict(num_beams=4, do_sample=False, max_new_tokens=8, length_penalty=0.0, attention_mask=torch.ones_like(prompts))

    def score(**cached):
        sequences = model.generate(prompts, **options, **cached)
        logits = model(sequences, use_cache=False).logits[:, 8:-1]
        return logits.log_softmax(-1).gather(-1, sequences[:, 9:, None]).sum((1, 2)).mean().item()

    scores = score(use_cache=True), score(use_cache=False)
print(f"error of the next token: one sequence {one:.0e}, after another sequence {in_turn:.0e}, from a copied cache {copied:.0e}")
print(f"beam search: mean log probability {scores[0]:.2f} with a cache, {scores[1]:.2f} without")
sys.exit(not (one < 1e-3 and min(in_turn, copied) > 0.02 and scores[1] - scores[0] > 0.1))
PY
