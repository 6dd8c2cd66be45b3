#!/usr/bin/env bash
# pytorch-tcn 1.2.3: reset_buffers also empties the state that get_buffers returned before, so a stream that is resumed
# starts from zeros.
#
# get_buffers returns the tensors that the layers use, not copies, and reset_buffers fills those with zeros in place
# (pad.py). A state that was saved, reset for another stream, and put back with set_buffers is one of zeros. set_buffers
# also takes the tensors out of the list that it is given, so that it cannot be used twice.
#
# Why a good guess is wrong: processing a stream replaces the tensors and leaves the saved ones alone, so saving works
# until a reset, and the documentation asks for a reset before each new sequence. get and set are there for two streams
# in turn; the resumed one has the right shapes and is wrong for as many steps as the network looks back. Copy the
# tensors when you save them, and the list when you put them back.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 pytorch-tcn==1.2.3
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import torch
from pytorch_tcn import TCN

torch.manual_seed(0)
model = TCN(2, [4, 4, 4], kernel_size=3).eval()
first, second = torch.randn(2, 1, 2, 40)
errors = {}
with torch.no_grad():
    whole = model(first)[..., 20:]
    for case in ("no other stream", "another stream after a reset", "the same with copies", "a reset alone"):
        model.reset_buffers()
        model(first[..., :20], inference=True)
        saved = model.get_buffers()
        if case == "the same with copies":
            saved = [tensor.clone() for tensor in saved]
        if case != "no other stream":
            model.reset_buffers()
        if "stream after" in case or "copies" in case:
            model(second, inference=True)
        if case != "a reset alone":
            model.set_buffers(saved)
            emptied = len(saved) == 0
        errors[case] = model(first[..., 20:], inference=True) - whole
        print(f"{case}: the rest of the stream is off by {float(errors[case].abs().max()):.0e}")
print(f"set_buffers emptied the list that it was given: {emptied}")
alone, other, copies, reset = errors.values()
right = max(float(alone.abs().max()), float(copies.abs().max())) < 1e-5
sys.exit(not (right and emptied and float(other.abs().max()) > 0.1 and torch.equal(other, reset)))
PY
