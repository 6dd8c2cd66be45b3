#!/usr/bin/env bash
# reservoirpy 0.4.2: partial_fit hands a node its feedback and its input in the other order than run, step and fit do,
# so that a model is trained online on another reservoir than the one that predicts.
#
# A node that follows another one and gets feedback reads both as one vector. step, run and fit put the output of the
# node before first and the feedback last, partial_fit the feedback first (model.py, lines 262 and 438). The sum of the
# sizes is the same, so nothing fails: the reservoir's input weights are applied to the feedback and those of the
# feedback to the input. Without Input() in front, the reservoir reads the data directly, and the order is the same.
#
# Why a good guess is wrong: Input() is a node that does nothing, the error that partial_fit reports while it learns is
# small, the weights of the readout fit the states that it saw, and no shape differs. Only the prediction afterwards is
# bad, which looks like a feedback loop that is unstable. Below, a model with exchanged columns of its input weights
# predicts what partial_fit computed. Connect the data to the reservoir without Input().
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile reservoirpy==0.4.2 numpy==2.4.6 \
    scipy==1.17.1 joblib==1.6.0 cloudpickle==3.1.3
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
from reservoirpy.nodes import LMS, RLS, Input, Reservoir

random = np.random.default_rng(0)
inputs = random.uniform(-1, 1, (1000, 1))
targets = np.zeros((1000, 1))
for time in range(1, 1000):
    targets[time] = 0.9 * targets[time - 1] + 0.3 * inputs[time]
past, future = slice(0, 800), slice(800, 1000)


def build(kind, readout):
    reservoir = Reservoir(40, lr=0.5, sr=0.9, input_connectivity=1.0, seed=1)
    model = (Input() >> reservoir if "Input" in kind else reservoir) >> readout
    return reservoir, model & (reservoir << readout) if "feedback" in kind else model


seen = {}
for kind in ("Input", "feedback", "Input and feedback"):
    reservoir, model = build(kind, LMS(learning_rate=0.0, Wout=np.full((40, 1), 0.2)))
    online = model.partial_fit(inputs[:20], targets[:20])
    model.reset()
    difference = float(np.abs(np.stack([model.step(values) for values in inputs[:20]]) - online).max())
    exchanged = 0.0
    if kind == "Input and feedback":
        model.reset()
        reservoir.Win = reservoir.Win[:, ::-1]
        exchanged = float(np.abs(np.stack([model.step(values) for values in inputs[:20]]) - online).max())
        print(f"{kind}: with the two columns of Win exchanged, step and partial_fit differ by {exchanged:.0e}")
    _, model = build(kind, RLS(alpha=1e-2))
    learning = np.abs(model.partial_fit(inputs[past], targets[past]) - targets[past])[600:].mean()
    size = np.abs(targets[future]).mean()
    predicting = np.abs(np.stack([model.step(values) for values in inputs[future]]) - targets[future]).mean()
    seen[kind] = difference, float(learning), float(predicting), exchanged
    print(
        f"{kind}: without learning, step and partial_fit differ by {difference:.0e}; with RLS, mean error "
        f"{learning:.3f} while it learns, {predicting:.3f} when it predicts (targets {size:.2f})"
    )
*same, (difference, learning, predicting, exchanged) = seen.values()
right = all(row[0] < 1e-9 and row[2] < 2 * row[1] for row in same)
sys.exit(not (right and difference > 0.01 and exchanged < 1e-9 and predicting > 3 * learning))
PY
