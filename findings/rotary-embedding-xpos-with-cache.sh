#!/usr/bin/env bash
# rotary-embedding-torch 0.9.1: with use_xpos, a query with cached keys has other attention scores than in the whole text.
#
# xPos scales queries by s^(position / 512) and keys by its inverse, so that only the distance counts. get_scale centres the
# positions it is given: at half the number of keys for the keys, and of queries for the queries. rotate_queries_with_cached_keys
# hands it the last positions alone, so the centres differ, and the scores are off by s^((keys - queries) / 1024), with s
# between 0.29 and 1 over the channels. As many queries as keys are right.
#
# Why a good guess is wrong: the README names the method for caching, it has a branch of its own for xPos since issue 27
# asked for one, the angles are right, and short texts differ little: the more keys, the smaller the scores. Rotate all
# queries and take the last ones.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 rotary-embedding-torch==0.9.1
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from rotary_embedding_torch import RotaryEmbedding

generator = torch.Generator().manual_seed(0)
queries, keys = torch.randn(2, 1, 4, 1024, 32, generator=generator).double()
dim, position = 32, torch.arange(1024).double()
angles = (position[:, None] * 10000.0 ** (-torch.arange(0, dim, 2) / dim)).repeat_interleave(2, 1)
scale = (((torch.arange(0, dim, 2) + 0.4 * dim) / (1.4 * dim)) ** (position[:, None] / 512)).repeat_interleave(2, 1)


def rotate(x, scale):
    """xPos as published."""
    turned = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
    return (x * angles.cos() + turned * angles.sin()) * scale


errors = {}
for length in (16, 128, 512, 1024):
    exact = (rotate(queries, scale) @ rotate(keys, 1 / scale).mT)[..., length - 1 : length, :length]
    q, k = queries[..., :length, :].float(), keys[..., :length, :].float()
    rotary = RotaryEmbedding(dim, use_xpos=True)
    whole = torch.matmul(*(part if i == 0 else part.mT for i, part in enumerate(rotary.rotate_queries_and_keys(q, k))))
    rotary = RotaryEmbedding(dim, use_xpos=True)
    last, rotated = rotary.rotate_queries_with_cached_keys(q[..., -1:, :], k)
    errors[length] = [float((s - exact).abs().max() / exact.abs().max()) for s in (whole[..., -1:, :], last @ rotated.mT)]
    print(f"{length} keys: scores of the last query off by {errors[length][0]:.0e} in the whole text, by {errors[length][1]:.0%} alone")
sys.exit(not (max(first for first, _ in errors.values()) < 1e-3 and errors[512][1] > 0.1 and errors[1024][1] > 0.2))
PY
