#!/usr/bin/env bash
# torch 2.13.0, CPU: `F.pad` of int64 with the largest int64 as the value pads with the smallest one.
#
# `F.pad(torch.tensor([1]), (0, 1), value=2**63 - 1)` is [1, -2**63], without an error or a warning. The value passes
# through a float, which rounds it to 2**63. Other large values are rounded too: 2**53 + 1 becomes 2**53.
#
# Why a good guess is wrong: `torch.full`, `masked_fill` and `new_full` take the same value as it is, and the largest
# integer is the usual filling for a rank or an index behind all others: padded with it, it comes first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from torch.nn import functional as F

most, odd = 2**63 - 1, 2**53 + 1
x = torch.tensor([1])
padded = [F.pad(x, (0, 1), value=value)[1].item() for value in (most, odd)]
filled = [torch.full((1,), value).item() for value in (most, odd)]
print(f"F.pad: {padded}, torch.full: {filled}")
sys.exit(not (filled == [most, odd] and padded == [-(2**63), 2**53]))
PY
