#!/usr/bin/env bash
# keras 3.15.1: concatenating a masked tensor with an unmasked one marks every place as text, so padding is read from there.
#
# Concatenate gives an input without a mask one of ones, joins it with the others along the features, and takes any() of
# them (merging/concatenate.py): all places are on. Keras 2 took all(), which kept the mask. So an embedding of words with
# mask_zero=True, joined with an embedding or numbers of the same words without it, no longer tells a GRU, an attention or
# a mean over time where the text ends. Seen with PyTorch, JAX and NumPy.
#
# Why a good guess is wrong: a layer that loses a mask warns, and this one returns a mask, only of ones; the comment beside
# it says that ones are filled in; with two masked inputs it is right, and so it is in Keras 2. Add, too, drops the mask if
# one input has none, as in a sum with positions. Call the next layer with mask=.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 jax==0.10.2 keras==3.15.1
KERAS_BACKEND=numpy KERAS_HOME="$folder" "$folder/venv/bin/python" - <<'PY'
import sys
import warnings

import keras
import numpy as np
from keras import layers

warnings.simplefilter("error")
keras.utils.set_random_seed(0)
words, tags = np.array([[5, 6, 7, 8, 0, 0, 0, 0]]), np.array([[1, 2, 3, 1, 0, 0, 0, 0]])
embed_words = layers.Embedding(10, 8, mask_zero=True)
readers = {"GRU": layers.GRU(4), "mean over time": layers.GlobalAveragePooling1D()}
far = {}
for masked in (True, False):
    embed_tags = layers.Embedding(5, 8, mask_zero=masked)
    for join in (layers.Concatenate(), layers.Add()):
        for name, reader in readers.items() if isinstance(join, layers.Concatenate) else [("GRU", layers.GRU(4))]:
            reader = type(reader).from_config(reader.get_config())
            whole, alone = (
                np.asarray(reader(join([embed_words(words[:, :n]), embed_tags(tags[:, :n])]))) for n in (8, 4)
            )
            key = type(join).__name__, name, masked
            far[key] = float(np.abs(whole - alone).max() / np.abs(alone).max())
            second = "masked, too" if masked else "without a mask"
            print(f"{key[0]}, then {name}; second input {second}: 4 places of padding change {far[key]:.0%}")
right = [error for key, error in far.items() if key[-1]]
wrong = [error for key, error in far.items() if not key[-1]]
sys.exit(not (max(right) < 1e-5 and min(wrong) > 0.1))
PY
