#!/usr/bin/env bash
# transformers 5.24.0: with rope_type "dynamic" or "longrope", outputs depend on the longest text so far or in the batch.
#
# The rotary frequencies are a buffer of the module, set in each call from the largest position of the whole batch
# (modeling_rope_utils.py, dynamic_rope_update). "dynamic" grows them with the longest text so far and sets them back
# only for a text shorter than the trained length: a text beyond it is rotated by the frequencies of the longest before
# it. In a batch the longest row decides for all, with both types. And a cache keeps the keys of the frequencies of their
# time, so a text that crosses the trained length in a loop with a cache differs from the same in one call; generate
# computes the cache again for Phi-3, but not for Llama.
#
# Why a good guess is wrong: a model in eval mode gives the same for the same input, rows do not see each other, and a
# cache only saves time. "yarn", "linear" and "llama3" keep all three.
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

small = dict(vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, pad_token_id=0)
trained = {"rope_theta": 10000.0, "original_max_position_embeddings": 16}
long = {"short_factor": [1.0] * 4, "long_factor": [2.0, 3.0, 4.0, 5.0]}
configs = {
    "yarn": transformers.LlamaConfig(
        **small, max_position_embeddings=64, rope_parameters={"rope_type": "yarn", "factor": 4.0, **trained}
    ),
    "dynamic": transformers.LlamaConfig(
        **small, max_position_embeddings=16, rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 10000.0}
    ),
    "longrope": transformers.Phi3Config(
        **small, max_position_embeddings=64, rope_parameters={"rope_type": "longrope", **trained, **long},
        original_max_position_embeddings=16,
    ),
}
generator = torch.Generator().manual_seed(1)
text, longer = torch.randint(3, 40, (1, 24), generator=generator), torch.randint(3, 40, (1, 60), generator=generator)
short = text[:, :12]
batch = torch.cat([torch.cat([torch.zeros(1, 48, dtype=torch.long), short], 1), longer])
mask = (batch != 0).long()
places = (mask.cumsum(1) - 1).clamp(min=0)
seen = {}
for name, config in configs.items():
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config).eval()

    def output(tokens, **options):
        return model(tokens, **options).last_hidden_state

    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.2)
        first, alone = output(text), output(short)
        output(longer)
        again = output(text)
        output(short)
        row = output(batch, attention_mask=mask, position_ids=places)[:1, 48:]
        output(short)
        cache, steps = None, []
        for at in range(24):
            result = model(text[:, at : at + 1], cache=cache, use_cache=True)
            cache = result.cache
            steps.append(result.last_hidden_state)
    pairs = ((again, first), (row, alone), (torch.cat(steps, 1), first))
    seen[name] = [float((actual - expected).abs().max() / expected.abs().max()) for actual, expected in pairs]
    shown = "after a longer text {:.0e}, in a batch with it {:.0e}, one token at a time {:.0e}".format(*seen[name])
    print(f"{name}: the outputs differ {shown}")
wrong = [*seen["dynamic"], *seen["longrope"][1:]]
sys.exit(not (max(seen["yarn"]) < 1e-4 and seen["longrope"][0] < 1e-4 and min(wrong) > 0.01))
PY
