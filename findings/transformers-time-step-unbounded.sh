#!/usr/bin/env bash
# transformers 5.24.0: Zamba2 and Nemotron-H bound the time step of their recurrence for several tokens, but not for one.
#
# Both configurations have time_step_min=0.001, and for a sequence the time step of every head is raised to it. For a
# single new token with a cache, modeling_zamba2.py and modeling_nemotron_h.py call the update of the state without the
# bound. A head that learned a smaller step (0.0001 below) remembers ten times longer in generate than in training and
# in a whole call.
#
# Why a good guess is wrong: the single step is the same formula, computed sooner, and Mamba2, Bamba and others agree to
# rounding: their default bounds are 0 and infinity. The error is too small to notice with new weights, whose steps
# start at 0.001 or more, and nothing is raised.
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
configs = {
    "Mamba2": transformers.Mamba2Config(
        vocab_size=40, hidden_size=32, num_hidden_layers=3, num_heads=8, head_dim=8, state_size=8, n_groups=1, chunk_size=8
    ),
    "Zamba2": transformers.Zamba2Config(
        **small, layers_block_type=["mamba", "hybrid", "mamba"], n_mamba_heads=8, mamba_d_state=8, mamba_ngroups=1, chunk_size=8
    ),
    "Nemotron-H": transformers.NemotronHConfig(
        **small, layers_block_type=["mamba", "attention", "mamba"], mamba_num_heads=8, mamba_head_dim=8, ssm_state_size=8,
        n_groups=1, chunk_size=8, head_dim=8, num_key_value_heads=2,
    ),
}
tokens = torch.randint(3, 40, (1, 64), generator=torch.Generator().manual_seed(1))
errors = {}
for name, config in configs.items():
    for step in (0.01, 0.0001):
        torch.manual_seed(0)
        model = transformers.AutoModel.from_config(config).eval()
        with torch.no_grad():
            for key, weight in model.named_parameters():
                if weight.ndim > 1:
                    weight.normal_(0, 0.2)
                if key.endswith("dt_bias"):
                    weight.fill_(torch.tensor(step).expm1().log())
            for module in model.modules():
                if hasattr(module, "dt_bias"):  # the time step comes from the bias alone
                    module.in_proj.weight[-8:] = 0
            whole = model(tokens, use_cache=False).last_hidden_state
            cache, outputs = None, []
            cached = "cache_params" if name == "Mamba2" else "past_key_values"
            for t in range(64):
                output = model(tokens[:, t : t + 1], use_cache=True, **{cached: cache})
                cache = output[cached]
                outputs.append(output.last_hidden_state)
        errors[name, step] = float((torch.cat(outputs, 1) - whole).norm() / whole.norm())
        print(f"{name}, time step {step}: error of single tokens against the whole {errors[name, step]:.0e}")
small_errors = [error for key, error in errors.items() if key[0] == "Mamba2" or key[1] == 0.01]
large_errors = [error for key, error in errors.items() if key[0] != "Mamba2" and key[1] == 0.0001]
sys.exit(not (max(small_errors) < 1e-4 and min(large_errors) > 1e-3))
PY
