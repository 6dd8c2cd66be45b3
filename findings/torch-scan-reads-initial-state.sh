#!/usr/bin/env bash
# torch 2.13.0, CPU: in an exported program, a body of scan that also reads the initial state reads the carried one.
#
# `torch._higher_order_ops.scan.scan(step, h, x)` whose step computes c / 2 + h, where h is the tensor that the loop
# begins with, gives 1.5, 1.75, 1.875, … when it is called, and 1.5, 1.5, 1.5, … in what `torch.export.export` records of
# it: c / 2 + c. There is no error. With `h.clone()` as the initial state both agree.
#
# Why a good guess is wrong: the tensors that a body reads from around it become inputs of the loop, and the example of
# a program decides nothing about which tensors are the same. But the trace tells its inputs apart by the identity of
# tensors, and takes the second input for the first. A recurrence that returns to its first state at a document's start
# is such a loop.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from torch._higher_order_ops.scan import scan


class Loop(torch.nn.Module):
    def __init__(self, copied):
        super().__init__()
        self.copied = copied

    def forward(self, h, x):
        def step(c, x_t):
            c = 0.5 * c + h + x_t
            return c, c.clone()

        return scan(step, h.clone() if self.copied else h, x)[1].flatten()


h, x = torch.ones(1), torch.zeros(4, 1)
seen = {}
with torch.no_grad():
    for copied in (False, True):
        module = Loop(copied)
        program = torch.export.export(module, (h, x))
        seen[copied] = module(h, x).tolist(), program.module()(h, x).tolist()
        print("a copy first:" if copied else "as it is:    ", "called", seen[copied][0], "exported", seen[copied][1])
right = [1.5, 1.75, 1.875, 1.9375]
sys.exit(not (seen[True] == (right, right) and seen[False] == (right, [1.5] * 4)))
PY
