#!/usr/bin/env bash
# neuralforecast 3.3.0: with the Tweedie distribution a model forecasts a mean of 1 for every series and never changes
# it by training; with a scaler, the means of Tweedie and of the negative binomial never go below the level of the
# window.
#
# The network's output passes a softplus before the scaler's location is joined to it (losses/pytorch.py, lines 1024 and
# 1151 to 1155): the mean is scale · softplus(x) + loc for the negative binomial and loc · exp(softplus(x)) for Tweedie.
# So it is at least loc, which is the median of the input window with the scaler of LSTM, GRU, TCN, TFT and xLSTM.
# Without a scaler, as in MLP, NHITS, DeepAR and others, loc is 0, whose logarithm is minus infinity, and the bound of
# 1e-9 that follows makes the mean exp(1e-9) for any output, with a gradient of 0.
#
# Why a good guess is wrong: the class is documented for sparse series, a series that falls is not special, the fit runs
# and reports a loss, and Normal, StudentT and Poisson have no such bound. Use those, or a negative binomial without a
# scaler.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile neuralforecast==3.3.0 numpy==2.4.6 \
    pandas==3.1.1 pytorch-lightning==2.6.6 ray==2.60.0 torch==2.13.0 utilsforecast==0.2.17
"$folder/venv/bin/python" -W ignore - <<'PY'
import logging
import sys

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import DistributionLoss
from neuralforecast.models import MLP

logging.disable()
LOSSES = {
    "Tweedie": DistributionLoss("Tweedie", rho=1.5),
    "NegativeBinomial": DistributionLoss("NegativeBinomial"),
    "Poisson": DistributionLoss("Poisson"),
}
lowest = {}
for name, loss in LOSSES.items():
    outputs = torch.zeros(1, 121, loss.outputsize_multiplier)
    outputs[0, :, 0] = torch.linspace(-30, 30, 121)
    for location, scale in ((40.0, 10.0), (0.0, 1.0)):
        loc, spread = (torch.full((1, 1, 1), value) for value in (location, scale))
        terms = loss.scale_decouple(loss.domain_map(outputs), loc=loc, scale=spread)
        means = loss.get_distribution(terms).mean
        lowest[name, location] = means.min().item(), means.max().item()
        print(f"{name}, location {location:.0f}, outputs -30 to 30: means {means.min():.3g} to {means.max():.3g}")

random = np.random.default_rng(0)
expected = {"falling": 300 * 0.98 ** np.arange(154), "level": np.full(154, 50.0)}
frame = pd.concat(
    pd.DataFrame({"unique_id": name, "ds": np.arange(150), "y": random.poisson(rates[:150]).astype(float)})
    for name, rates in expected.items()
)
medians = frame.groupby("unique_id")["y"].apply(lambda values: values.tail(24).median())
forecasts = {}
for name, scaler in (("Tweedie", "identity"), ("NegativeBinomial", "robust"), ("Poisson", "robust")):
    model = MLP(
        h=4,
        input_size=24,
        loss=LOSSES[name],
        scaler_type=scaler,
        hidden_size=32,
        max_steps=60,
        learning_rate=0.005,
        random_seed=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
    )
    tool = NeuralForecast(models=[model], freq=1)
    tool.fit(frame)
    table = tool.predict().groupby("unique_id")["MLP"].mean()
    for series, rates in expected.items():
        forecasts[name, series] = table[series]
        truth = f"expected {rates[150:].mean():.1f}, median of the window {medians[series]:.1f}"
        print(f"{name}, scaler {scaler}, {series} series: forecast {table[series]:.2f}, {truth}")
bounded = lowest["Tweedie", 40.0][0] > 39.9 and lowest["NegativeBinomial", 40.0][0] > 39.9
constant = np.allclose(lowest["Tweedie", 0.0], 1) and lowest["NegativeBinomial", 0.0][0] < 0.01
free = lowest["Poisson", 40.0][0] < 0.01
ones = all(abs(forecasts["Tweedie", series] - 1) < 0.15 for series in expected)
falling = expected["falling"][150:].mean()
above = forecasts["NegativeBinomial", "falling"] > 0.95 * medians["falling"] > 1.15 * falling
sys.exit(not (bounded and constant and free and ones and above and forecasts["Poisson", "falling"] < 1.1 * falling))
PY
