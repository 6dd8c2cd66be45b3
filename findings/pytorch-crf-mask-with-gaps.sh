#!/usr/bin/env bash
# pytorch-crf 0.7.2: a mask with a gap, as subwords need it, lets the masked tag change the loss and decodes other tags.
#
# The score of a sequence takes the transition from the tag one place before, also where that place is masked, while the
# sum over all sequences skips it (torchcrf/__init__.py), so the loss is no longer a negative log probability. The last
# tag of the score, and the place from which decode traces back, is that at the number of unmasked places, not the last
# unmasked one. A mask that only cuts the end is right.
#
# Why a good guess is wrong: the documentation sets one condition on the mask, that the first place is on, and checks
# it; tagging words whose later pieces are masked is the usual use with subword models; the number of tags that decode
# returns is right. Select the unmasked places before the CRF.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 pytorch-crf==0.7.2
"$folder/venv/bin/python" - <<'PY'
import sys
import warnings

import torch
from torchcrf import CRF

warnings.simplefilter("ignore")
torch.manual_seed(0)
crf = CRF(3, batch_first=True)
with torch.no_grad():
    crf.transitions.normal_(0, 2)
emissions = torch.randn(1, 8, 3)
tags = torch.randint(0, 3, (1, 8))


def losses(mask):
    """The loss for each tag at place 3, and that of the unmasked places alone."""
    all_tags = tags.repeat(3, 1)
    all_tags[:, 3] = torch.arange(3)
    masked = [-crf(emissions, row[None], mask).item() for row in all_tags]
    alone = -crf(emissions[:, mask[0]], tags[:, mask[0]]).item()
    return masked, alone, crf.decode(emissions, mask)[0], crf.decode(emissions[:, mask[0]])[0]


results = []
for name, mask in {"end": [1, 1, 1, 0, 0, 0, 0, 0], "gap": [1, 1, 1, 0, 1, 0, 1, 1]}.items():
    masked, alone, decoded, decoded_alone = losses(torch.tensor([mask], dtype=torch.bool))
    shown = ", ".join(f"{loss:.3f}" for loss in masked)
    print(f"{name}: loss for the tags 0, 1, 2 at a masked place {shown}; of the unmasked places alone {alone:.3f}")
    print(f"{name}: decoded {decoded}, unmasked places alone {decoded_alone}")
    same = all(abs(loss - alone) < 1e-4 for loss in masked) and decoded == decoded_alone
    spread = max(masked) - min(masked)
    results.append(same if name == "end" else spread > 0.1 and decoded != decoded_alone)
sys.exit(not all(results))
PY
