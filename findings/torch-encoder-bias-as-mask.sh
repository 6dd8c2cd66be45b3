#!/usr/bin/env bash
# torch 2.13.0: in eval mode without gradients, TransformerEncoder reads an additive float mask as blocked where it is not 0.
#
# In train mode, and in eval mode with gradients, the mask is added to the scores, as documented. Where the fast path
# applies, merge_masks (nn/modules/activation.py) and the native layer read it as True where it is not 0: a bias of -1
# for other positions leaves each position alone with itself, exactly like a boolean mask, and a bias without zeros
# (relative positions, ALiBi) gives NaN. The causal mask of 0 and -inf is right by chance.
#
# Why a good guess is wrong: the documentation allows additive float masks and calls the fast path the same computation,
# sooner. The validation loss, computed without gradients, is wrong, and the training loss right. Turn the fast path off
# with torch.backends.mha.set_fastpath_enabled(False).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from torch import nn

torch.manual_seed(0)
layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
encoder = nn.TransformerEncoder(layer, 2).eval()
x = torch.randn(2, 6, 16)
distance = -(torch.arange(6)[:, None] - torch.arange(6)).abs().float()
masks = {
    "causal, 0 and -inf": nn.Transformer.generate_square_subsequent_mask(6),
    "-1 beside the diagonal": torch.eye(6) - 1,
    "0.5 for distance, -0.5 at 0": distance.bool().float() - 0.5,
}


def both(mask):
    """The outputs in eval mode with gradients and without."""
    slow = encoder(x, mask=mask).detach()
    with torch.no_grad():
        return slow, encoder(x, mask=mask)


errors, alike = {}, {}
for name, mask in masks.items():
    slow, fast = both(mask)
    with torch.no_grad():
        boolean = encoder(x, mask=mask != 0)
    errors[name] = (slow - fast).abs().max().item()
    alike[name] = torch.equal(fast.nan_to_num(), boolean.nan_to_num())
    print(f"{name}: with and without gradients differ by {errors[name]:.1e}; without like the mask `!= 0`: {alike[name]}")
torch.backends.mha.set_fastpath_enabled(False)
off = max((slow - fast).abs().max().item() for slow, fast in map(both, masks.values()))
print(f"fast path off: differ by {off:.0e}")
causal, beside, everywhere = errors.values()
sys.exit(not (causal < 1e-4 and off < 1e-4 and beside > 0.1 and everywhere != everywhere and all(alike.values())))
PY
