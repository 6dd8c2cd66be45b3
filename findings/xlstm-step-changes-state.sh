#!/usr/bin/env bash
# xlstm 2.0.6: step changes the state that it is given, so a second step from the same state gives another output.
#
# The convolution's state is rolled in place (components/conv.py, conv1d_step), while that of the matrix memory is new. So
# after one step, the old state has the new convolution and the old memory. The dictionary of xLSTMBlockStack.step is
# changed as well, and a shallow copy of it does not help.
#
# Why a good guess is wrong: step returns the state next to the output, the memories in it are new tensors, and a single
# continuation is equal to the parallel form. Beam search, several samples of one prompt or a repeated step go wrong
# without a message. Keep copy.deepcopy(state).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 xlstm==2.0.6
"$folder/venv/bin/python" - <<'PY'
import copy
import sys

import torch
from xlstm import mLSTMBlockConfig, mLSTMLayerConfig, xLSTMBlockStack, xLSTMBlockStackConfig

torch.manual_seed(0)
block = mLSTMBlockConfig(mlstm=mLSTMLayerConfig(conv1d_kernel_size=4, num_heads=2))
model = xLSTMBlockStack(xLSTMBlockStackConfig(mlstm_block=block, context_length=32, num_blocks=2, embedding_dim=16)).eval()
x, other = torch.randn(2, 1, 8, 16)


def run(part, inputs):
    """The outputs of single steps and the state after them."""
    outputs, state = [], None
    for t in range(inputs.shape[1]):
        out, state = part(inputs[:, t : t + 1], state)
        outputs.append(out)
    return torch.cat(outputs, 1), state


def layer(inputs, state):
    return model.blocks[0].step(inputs, **(state or {}))


errors = {}
with torch.no_grad():
    parallel = float((run(model.step, x)[0] - model(x)).abs().max())
    print(f"steps and the parallel form differ by {parallel:.0e}")
    for name, part in {"xLSTMBlockStack": model.step, "mLSTMBlock": layer}.items():
        for kind, keep in {"given": lambda s: s, "copied": copy.copy, "deeply copied": copy.deepcopy}.items():
            state = run(part, x[:, :6])[1]
            truth = part(x[:, 6:7], copy.deepcopy(state))[0]
            part(other[:, 6:7], keep(state))  # another continuation of the same six
            again = part(x[:, 6:7], keep(state))[0]
            errors[name, kind] = float((again - truth).abs().max() / truth.abs().max())
            print(f"{name}, state {kind}: after another continuation, the step differs by {errors[name, kind]:.0%}")
deep = [errors.pop((name, "deeply copied")) for name in ("xLSTMBlockStack", "mLSTMBlock")]
sys.exit(not (parallel < 1e-4 and max(deep) == 0 and min(errors.values()) > 0.05))
PY
