#!/usr/bin/env bash
# keras 3.15.1: MultiHeadAttention takes the mask off the tensors it reads, so the next layer that reads them sees padding.
#
# In Keras, the mask of a padded text travels with the tensor: Embedding(mask_zero=True) attaches it, and layers read it.
# MultiHeadAttention.call also removes it from query, value and key (multi_head_attention.py:629), which are the caller's
# tensors. In a decoder of two layers, the first attends to the encoder's output under its mask and the second to its
# padding as well. A GRU on the same tensor after the attention reads the padding, one before it does not. In a graph, the
# order of calls does not even tell which of the layers it is. Seen with PyTorch, JAX and NumPy.
#
# Why a good guess is wrong: the guide says that masks are passed on automatically, layers that lose a mask warn, and there
# is no warning here; the attention itself is right, its output has a mask, and a model of one layer passes any test. Pass
# value_mask and mask to each layer yourself.
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

warnings.simplefilter("error")
keras.utils.set_random_seed(0)
alone = np.array([[5, 6, 7, 8]])
padded = np.array([[5, 6, 7, 8, 0, 0, 0, 0]])
query = np.random.default_rng(0).normal(size=(1, 3, 8)).astype("float32")
embed = keras.layers.Embedding(10, 8, mask_zero=True)
first, second = keras.layers.MultiHeadAttention(2, 4), keras.layers.MultiHeadAttention(2, 4)
gru = keras.layers.GRU(4)


def attention_first(tokens):
    memory = embed(tokens)
    return first(query, memory), second(query, memory), gru(memory)


def gru_first(tokens):
    memory = embed(tokens)
    after = gru(memory)
    return first(query, memory), second(query, memory), after


def explicit(tokens):
    memory, mask = embed(tokens), tokens != 0
    return first(query, memory, value_mask=mask), second(query, memory, value_mask=mask), gru(memory, mask=mask)


inputs = keras.Input((None,), dtype="int32"), keras.Input((3, 8))
memory = embed(inputs[0])
graph = keras.Model(inputs, [first(inputs[1], memory), second(inputs[1], memory), gru(memory)])
far = {}
for name, model in {
    "attentions, then GRU": attention_first,
    "GRU, then attentions": gru_first,
    "the same in a graph": lambda tokens: graph([tokens, query]),
    "with explicit masks": explicit,
}.items():
    pairs = zip(model(padded), model(alone))
    far[name] = [float(np.abs(y - truth).max() / np.abs(truth).max()) for y, truth in pairs]
    shown = ", ".join(f"{part} {error:.0%}" for part, error in zip(("first attention", "second", "GRU"), far[name]))
    print(f"{name}: 4 places of padding change {shown}")
right = [far["attentions, then GRU"][0], far["GRU, then attentions"][0], far["GRU, then attentions"][2]]
wrong = [*far["attentions, then GRU"][1:], far["GRU, then attentions"][1], max(far["the same in a graph"])]
sys.exit(not (max(right + far["with explicit masks"]) < 1e-5 and min(wrong) > 0.1))
PY
