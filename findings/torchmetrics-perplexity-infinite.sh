#!/usr/bin/env bash
# torchmetrics 1.9.0: Perplexity of float16 logits is inf as soon as one token is 18 below the highest.
#
# It takes the softmax in the type of the logits and the logarithm of that (functional/text/perplexity.py). The smallest
# number of float16 is 6e-8 = exp(-16.6), so a less probable token counts as impossible and the perplexity of the whole set
# is infinite. In float32 the same happens 104 below. cross_entropy, and log_softmax in general, is exact in every type.
#
# Why a good guess is wrong: the argument is called logits, one expects log_softmax inside, float16 is accepted, and a gap
# of 18 is usual for a trained model. With small models all is right. Convert to float32 first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 torchmetrics==1.9.0
"$folder/venv/bin/python" - <<'PY'
import math
import sys

import torch
from torchmetrics.text import Perplexity

generator = torch.Generator().manual_seed(0)
seen = {}
for gap in (10, 18, 110):
    logits = torch.randn(4, 64, 100, generator=generator)
    targets = torch.randint(0, 100, (4, 64), generator=generator)
    logits[0, 0] = 0
    logits[0, 0, 0], targets[0, 0] = gap, 1
    for kind in (torch.float16, torch.bfloat16, torch.float32):
        metric = Perplexity()
        metric.update(logits.to(kind), targets)
        exact = torch.nn.functional.cross_entropy(logits.to(kind).double().flatten(0, 1), targets.flatten()).exp()
        own = torch.nn.functional.cross_entropy(logits.to(kind).flatten(0, 1), targets.flatten()).exp()
        seen[gap, kind] = metric.compute().item(), own.item() / exact.item()
        print(f"{gap} below in {kind}: Perplexity {seen[gap, kind][0]:.2f}, exact {exact:.2f}, exp(cross_entropy) {own:.2f}")
infinite = {key for key, (value, _) in seen.items() if math.isinf(value)}
expected = {(18, torch.float16), (110, torch.float16), (110, torch.bfloat16), (110, torch.float32)}
sys.exit(not (infinite == expected and all(abs(ratio - 1) < 0.02 for _, ratio in seen.values())))
PY
