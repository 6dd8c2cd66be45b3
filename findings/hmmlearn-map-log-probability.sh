#!/usr/bin/env bash
# hmmlearn 0.3.3: with algorithm="map", decode returns a positive number as the log probability of the state sequence.
#
# The number is the sum of the posterior probabilities of the states (base.py), between 0 and the length. The docstring
# calls it the log probability of the produced state sequence, and Viterbi returns that one, together with the
# observations. So of two decodings of the same sequence the one by "map" seems more probable by far, and a longer
# sequence always does.
#
# Why a good guess is wrong: the two algorithms differ in the states they choose, which the documentation explains, and
# the sequence chosen by Viterbi has the greatest joint probability by definition. GaussianHMM has densities, so that a
# positive value does not look wrong; below the emissions are categorical and the truth is negative.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 hmmlearn==0.3.3
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
from hmmlearn.hmm import CategoricalHMM

model = CategoricalHMM(2)
model.startprob_ = np.array([0.5, 0.5])
model.transmat_ = np.array([[0.8, 0.2], [0.3, 0.7]])
model.emissionprob_ = np.array([[0.6, 0.3, 0.1], [0.1, 0.3, 0.6]])
results = []
for length in (10, 20):
    observed = np.random.default_rng(0).integers(0, 3, (length, 1))
    posterior = model.predict_proba(observed).max(1).sum()
    for algorithm in ("viterbi", "map"):
        value, states = model.decode(observed, algorithm=algorithm)
        joint = np.log(model.startprob_[states[0]]) + np.log(model.transmat_[states[:-1], states[1:]]).sum()
        joint += np.log(model.emissionprob_[states, observed[:, 0]]).sum()
        print(f"{length} observations, {algorithm}: decode returns {value:.2f}, log probability of the states {joint:.2f}")
        results.append(np.isclose(value, joint) if algorithm == "viterbi" else value > 0 > joint and np.isclose(value, posterior))
sys.exit(not all(results))
PY
