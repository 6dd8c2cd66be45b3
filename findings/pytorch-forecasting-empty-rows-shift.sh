#!/usr/bin/env bash
# pytorch-forecasting 1.8.0: the forecast of a TemporalFusionTransformer for a series without a past depends on which
# series stand before it in the batch.
#
# Its LSTM and GRU give a sequence of length 0 back its initial state by masked_scatter (models/nn/rnn.py, lines 189,
# 190 and 229), which takes the elements of the source in order, not those of the same places: the first empty row gets
# the initial state of row 0, the second that of row 1, wherever they stand. The cell state of the LSTM is filled from
# the initial hidden state as well. In the TemporalFusionTransformer initial states come from the static variables, so a
# new series starts with those of another one.
#
# Why a good guess is wrong: these classes exist for sequences of length 0 and say that they propagate the initial
# state, the model declares that it can start cold, and with initial states of zero, as in DeepAR, nothing is wrong.
# Rows with a past are right. Nothing is printed. Give every series at least one past step.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile lightning==2.6.6 numpy==2.4.6 \
    pandas==3.0.6 pytorch-forecasting==1.8.0 scikit-learn==1.9.1 torch==2.13.0
"$folder/venv/bin/python" -W ignore - <<'PY'
import logging
import sys

import pandas as pd
import torch
from pytorch_forecasting import GroupNormalizer, TemporalFusionTransformer, TimeSeriesDataSet
from pytorch_forecasting.models.nn.rnn import GRU, LSTM

logging.disable()
torch.manual_seed(0)
lengths = torch.tensor([3, 0, 2, 0])
hidden, cell = torch.randn(2, 1, 4, 5).unbind()
sources = {}
for kind, initial in ((LSTM, (hidden, cell)), (GRU, hidden)):
    with torch.no_grad():
        last = kind(2, 5, batch_first=True)(torch.randn(4, 3, 2), initial, lengths=lengths, enforce_sorted=False)[1]
    for name, state in zip(("hidden", "cell"), last if kind is LSTM else (last,)):
        rows = {"hidden": hidden[0], "cell": cell[0]}
        for row in (1, 3):
            equal = [(n, i) for n, states in rows.items() for i in range(4) if torch.equal(state[0, row], states[i])]
            sources[kind.__name__, name, row] = equal
            print(f"{kind.__name__}, {name} state of empty row {row}: initial {equal[0][0]} state of row {equal[0][1]}")
in_order = all(equal == [("hidden", {1: 0, 3: 1}[row])] for (_, _, row), equal in sources.items())

steps = {"a": 6, "b": 6, "new": 2}
frame = pd.DataFrame(
    {"series": name, "time": time, "y": float(time % 3) + number}
    for number, (name, count) in enumerate(steps.items())
    for time in range(6 - count, 6)
)
dataset = TimeSeriesDataSet(
    frame,
    time_idx="time",
    target="y",
    group_ids=["series"],
    static_categoricals=["series"],
    min_encoder_length=0,
    max_encoder_length=4,
    max_prediction_length=2,
    time_varying_known_reals=["time"],
    time_varying_unknown_reals=["y"],
    target_normalizer=GroupNormalizer(groups=["series"]),
    predict_mode=True,
)
model = TemporalFusionTransformer.from_dataset(dataset, hidden_size=8, attention_head_size=2, dropout=0.0).eval()
batch = next(iter(dataset.to_dataloader(train=False, batch_size=3)))[0]


def forecasts(rows):
    """The median forecast for each series of a batch of these rows."""
    with torch.no_grad():
        chosen = {key: value[list(rows)] if torch.is_tensor(value) else value for key, value in batch.items()}
        return dict(zip(rows, model(chosen).prediction[..., 3]))


names = list(steps)
seen = {rows: forecasts(rows) for rows in ((0, 2), (1, 2), (2, 0), (2, 1))}
for rows, values in seen.items():
    shown = ", ".join(f"{names[row]} {[round(value, 3) for value in values[row].tolist()]}" for row in rows)
    print(f"forecasts of a batch of {' and '.join(names[row] for row in rows)}: {shown}")
past = all(torch.allclose(seen[row, 2][row], seen[2, row][row], atol=1e-5) for row in (0, 1))
first = torch.allclose(seen[2, 0][2], seen[2, 1][2], atol=1e-5)
depends = not torch.allclose(seen[0, 2][2], seen[1, 2][2], atol=1e-3)
sys.exit(not (in_order and past and first and depends))
PY
