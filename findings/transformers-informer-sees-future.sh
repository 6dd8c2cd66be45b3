#!/usr/bin/env bash
# transformers 5.24.0: the decoder of Informer sees the future that it is trained to forecast, and in eval mode two calls
# with the same input differ.
#
# ProbSparse attention computes weights for the most active queries alone; the others get a mean of values, in the decoder
# the sum up to their own position. Which queries are active is measured over all of them, and on keys that are drawn by
# chance, in eval mode too (modeling_informer.py, InformerProbSparseAttention). So in a decoder that is fed the true future,
# as in training and for the loss of validation, another value at the last step changes which earlier positions are
# active, and with that their predicted distributions.
#
# Why a good guess is wrong: the decoder has a causal mask, and without active queries its sums are causal too. The paper's
# decoder is fed zeros for the future, so that the choice leaks nothing; this one is fed the true values (teacher forcing).
# And eval mode leaves nothing to chance elsewhere: here it needs torch.manual_seed before each call. attention_type="full"
# has neither. Compare Informer by its forecasts, not by its loss.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 transformers==5.24.0
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PY'
import sys

import torch
from transformers import InformerConfig, InformerForPrediction

past, future = 48, 24
random = torch.Generator().manual_seed(0)
values = torch.randn(2, past + 3 + future, generator=random).cumsum(1)
time = (torch.arange(past + 3 + future) / 10).expand(2, -1)[..., None]
inputs = {
    "past_values": values[:, : past + 3],
    "past_time_features": time[:, : past + 3],
    "past_observed_mask": torch.ones(2, past + 3),
    "future_time_features": time[:, past + 3 :],
}
now = values[:, past + 3 :]
later = now.clone()
later[:, -3:-1] += 5.0  # the decoder reads each value one step later: the last one is read by none
outcome = {}
for kind in ("prob", "full"):
    torch.manual_seed(0)
    config = InformerConfig(
        prediction_length=future, context_length=past, lags_sequence=[1, 2, 3], num_time_features=1, d_model=16,
        attention_type=kind, sampling_factor=2, distil=False, encoder_layers=1, decoder_layers=2,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, scaling=None,
    )  # fmt: skip
    model = InformerForPrediction(config).eval()

    def predicted(future_values, seed):
        torch.manual_seed(seed)
        with torch.no_grad():
            return torch.stack(model(**inputs, future_values=future_values).params)[:, :, : future - 3]

    first = predicted(now, 1)
    outcome[kind] = [float((first - other).abs().max()) for other in (predicted(now, 1), predicted(later, 1), predicted(now, 2))]
    print(
        f"{kind}: parameters of the first {future - 3} steps differ by {outcome[kind][0]:.0e} in the same call, by "
        f"{outcome[kind][1]:.0e} with other values at two later steps, by {outcome[kind][2]:.0e} with another seed"
    )
right = outcome["prob"][0] == 0 and min(outcome["prob"][1:]) > 1e-4 and max(outcome["full"]) < 1e-5
sys.exit(not right)
PY
