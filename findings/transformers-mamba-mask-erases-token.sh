#!/usr/bin/env bash
# transformers 5.24.0: MambaModel and FalconMambaModel, given the mask of a left-padded batch, ignore every new token.
#
# A call with a cache and the attention_mask of all tokens so far (as Llama and the cached hybrids need it) multiplies
# the one new token by the whole mask. Broadcasting turns one position into many, of which the first is used: the mask
# of the first pad, 0. So the new token counts as padding, in every padded row and at every step; rows without padding
# stay right. generate does not show it, as its Mamba models drop the mask after the prompt.
#
# Why a good guess is wrong: nothing is raised, the output has one position, and Mamba2, Falcon-H1, Qwen3.5 and the
# others cut the mask to the new tokens themselves. Pass no mask after the prompt.
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

small = dict(vocab_size=40, hidden_size=32, num_hidden_layers=2, state_size=8)
configs = {
    "Mamba": transformers.MambaConfig(**small),
    "FalconMamba": transformers.FalconMambaConfig(**small),
    "Mamba2": transformers.Mamba2Config(**small, num_heads=8, head_dim=8, n_groups=1, chunk_size=8),
}
tokens = torch.randint(3, 40, (2, 12), generator=torch.Generator().manual_seed(1))
mask = torch.ones_like(tokens)
mask[1, :4] = 0
results = []
for name, config in configs.items():
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.2)
        alone = model(tokens[1:, 4:], use_cache=False).last_hidden_state[:, -1]

        def last(row, final, **masked):
            """The output for the last token of the batch, after a padded prompt, with another last token in row 1."""
            cache = model(tokens[:, :-1], attention_mask=mask[:, :-1], use_cache=True).cache_params
            new = torch.stack([tokens[0, -1:], torch.tensor([final])])
            return model(new, cache_params=cache, use_cache=True, **masked).last_hidden_state[row]

        final = tokens[1, -1].item()
        error = float((last(1, final, attention_mask=mask) - alone).abs().max() / alone.abs().max())
        without = float((last(1, final) - alone).abs().max() / alone.abs().max())
    print(f"{name}: error of the padded row's new token {error:.0e}, without a mask {without:.0e}")
    results.append(without < 1e-4 and (error < 1e-4) == (name == "Mamba2"))
sys.exit(not all(results))
PY
