#!/usr/bin/env bash
# ncps 1.0.1: CfC with timespans of shape (batch, time) scales by the time of other rows where batch and units are equal.
#
# forward takes timespans[:, t].squeeze() (torch/cfc.py), one number per row, and the cell multiplies it with (batch, units),
# where it counts as one number per unit. With other sizes this is an error; with as many rows as units, the time of row i is
# used for unit i of all rows, without a message. A single row is right. LTC has the same line. Reported: issues 81 to 83.
#
# Why a good guess is wrong: the shape is that of the docstring's input without channels, tests with one row pass, and equal
# sizes, such as 32 and 32, are usual. Loop over rows, or make the batch size differ from the units to be told.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 ncps==1.0.1
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from ncps.torch import CfC

generator = torch.Generator().manual_seed(0)
x, times = torch.randn(3, 5, 4, generator=generator), torch.rand(3, 5, generator=generator) + 0.5
torch.manual_seed(0)
model = CfC(4, 3)
with torch.no_grad():
    together = model(x, timespans=times)[0]
    alone = torch.cat([model(x[row : row + 1], timespans=times[row : row + 1])[0] for row in range(3)])
    uniform = torch.full_like(times, 0.7)
    right = torch.cat([model(x[row : row + 1], timespans=uniform[row : row + 1])[0] for row in range(3)])
    equal = float((model(x, timespans=uniform)[0] - right).abs().max())
error = float((together - alone).abs().max() / alone.abs().max())
print(f"3 rows and 3 units: outputs are off by {error:.1%} of those of each row alone; with equal times by {equal:.0e}")
sys.exit(not (error > 0.01 and equal < 1e-5))
PY
