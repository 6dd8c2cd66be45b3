#!/usr/bin/env bash
# onnx 1.23.2: the reference evaluator ignores sequence_lens, clip and the activations of LSTM and GRU, without an error.
#
# op_lstm.py, op_gru.py and op_rnn.py in onnx/reference/ops receive sequence_lens, clip, input_forget and activations and
# do not use them (only RNN looks at its activation). So a batch with padding runs through its padding: the last state of a
# short row is that of its padding, and Y is not 0 after its end. onnxruntime 1.32 does what the operators' specification
# says; below, a loop in NumPy agrees with it.
#
# Why a good guess is wrong: ReferenceEvaluator is there to say what the standard means, raises an error for what it lacks
# elsewhere, and agrees to the last digit without these options. Compare exports with onnxruntime.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

random = np.random.default_rng(0)
length, batch, inputs, size = 5, 3, 4, 2
gates = {"LSTM": 4, "GRU": 3}
x = random.normal(size=(length, batch, inputs)).astype(np.float32)
weights = {
    kind: [random.normal(size=(1, count * size, width)).astype(np.float32) * 2 for width in (inputs, size)]
    for kind, count in gates.items()
}


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def loop(kind, lengths, clip, gate):
    """Y and Y_h by the formulas of the specification, without biases."""
    w, r = (part[0].astype(float) for part in weights[kind])
    y, last = np.zeros((length, 1, batch, size)), np.zeros((1, batch, size))
    for row in range(batch):
        h = c = np.zeros(size)
        for t in range(lengths[row]):
            if kind == "LSTM":
                i, o, f, g = np.clip(w @ x[t, row] + r @ h, -clip, clip).reshape(4, size)
                c = gate(f) * c + gate(i) * np.tanh(g)
                h = gate(o) * np.tanh(np.clip(c, -clip, clip))
            else:
                z, reset = gate(np.clip((w @ x[t, row] + r @ h)[: 2 * size], -clip, clip)).reshape(2, size)
                g = np.tanh(np.clip(w[2 * size :] @ x[t, row] + r[2 * size :] @ (reset * h), -clip, clip))
                h = (1 - z) * g + z * h
            y[t, 0, row] = h
        last[0, row] = h
    return y, last


full = [length] * batch
cases = {
    "no option": (full, np.inf, sigmoid, {}),
    "sequence_lens": ([5, 3, 1], np.inf, sigmoid, {}),
    "clip": (full, 0.5, sigmoid, {"clip": 0.5}),
    "activations": (full, np.inf, lambda v: np.clip(0.2 * v + 0.5, 0, 1), {"activations": ["HardSigmoid", "Tanh", "Tanh"]}),
}
right = []
for kind in gates:
    for name, (lengths, clip, gate, options) in cases.items():
        feeds = {"X": x, "W": weights[kind][0], "R": weights[kind][1], "lengths": np.array(lengths, np.int32)}
        if kind == "GRU" and "activations" in options:
            options = {"activations": options["activations"][:2]}
        node = helper.make_node(kind, ["X", "W", "R", "", "lengths"], ["Y", "Y_h"], hidden_size=size, **options)
        types = [TensorProto.INT32 if key == "lengths" else TensorProto.FLOAT for key in feeds]
        ins = [helper.make_tensor_value_info(key, kind_, feeds[key].shape) for key, kind_ in zip(feeds, types)]
        outs = [helper.make_tensor_value_info(key, TensorProto.FLOAT, None) for key in ("Y", "Y_h")]
        graph = helper.make_graph([node], "graph", ins, outs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        truth = loop(kind, lengths, clip, gate)
        runtime = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        errors = [
            max(float(np.abs(got - exact).max()) for got, exact in zip(run(None, feeds), truth))
            for run in (ReferenceEvaluator(model).run, runtime.run)
        ]
        print(f"{kind}, {name}: off by {errors[0]:.0e} in the reference evaluator, {errors[1]:.0e} in onnxruntime")
        right.append(errors[1] < 1e-5 and ((errors[0] < 1e-5) if name == "no option" else errors[0] > 0.01))
sys.exit(not all(right))
PY
