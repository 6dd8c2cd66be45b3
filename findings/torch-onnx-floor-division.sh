#!/usr/bin/env bash
# torch 2.13.0, onnx 1.23.2, onnxscript 0.7.2, onnxruntime 1.32.0: torch.onnx.export writes floor division of a size that
# may change as ONNX's Div, which truncates: -(-n // 3), the usual way to round up, rounds down in the graph.
#
# The graph below gives 2 blocks of three for 7 elements, where the module gives 3. There is no message at export or at run
# time, and `verify=True` compares one example only, which may be a multiple.
#
# Why a good guess is wrong: `//` of Python, of torch's SymInt and of tensors rounds down, and the same export keeps that
# for tensors. (n + 2) // 3 is right in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0 onnxscript==0.7.2
cd "$folder"
"$folder/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import sys

import numpy
import onnxruntime
import torch


class Blocks(torch.nn.Module):
    """One zero for each block of three elements."""

    def forward(self, x):
        return x.new_zeros(-(-x.shape[0] // 3))


size = ({0: torch.export.Dim.DYNAMIC},)
program = torch.onnx.export(Blocks(), (torch.zeros(6),), dynamic_shapes=size, dynamo=True, verbose=False)
program.save("blocks.onnx")
session = onnxruntime.InferenceSession("blocks.onnx")
counts = []
for length in (6, 7, 8):
    (theirs,) = session.run(None, {session.get_inputs()[0].name: numpy.zeros(length, "float32")})
    counts.append((len(Blocks()(torch.zeros(length))), len(theirs)))
    print(f"{length} elements: {counts[-1][0]} blocks in torch, {counts[-1][1]} in ONNX Runtime")
sys.exit(not any(ours != theirs for ours, theirs in counts))
PY
