#!/usr/bin/env bash
# rotary-embedding-torch 0.9.1: for bfloat16 queries, positions are counted in bfloat16, so from 256 on neighbours share one.
#
# rotate_queries_or_keys makes the positions with the type of the queries (get_seq_pos(..., dtype = dtype)) and only then
# converts them to float32. bfloat16 has 8 bits for them: 257 is counted as 256, and 998 to 1002 are all 1000. float16
# does so from 2048 on. The angles are kept in a cache for every later call: after a call in bfloat16, float32 is wrong,
# too, and after one in float32 that was as long, bfloat16 is right.
#
# Why a good guess is wrong: the module is in float32, turns autocast off for the rotation and returns the type it was
# given, all as one does against exactly this loss; the first 256 positions are right, and mixed precision gives it
# bfloat16. Call it once in float32 with the longest length, before the first step.
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

same = torch.randn(32, generator=torch.Generator().manual_seed(0)).bfloat16().float().expand(1, 1, 1024, 32)
frequencies = 10000.0 ** (-torch.arange(0, 32, 2).double() / 32)
angles = (torch.arange(1024).double()[:, None] * frequencies).repeat_interleave(2, 1)
turned = torch.stack([-same[..., 1::2], same[..., ::2]], -1).flatten(-2)
truth = same * angles.cos() + turned * angles.sin()


def error(rotated, beginning, end):
    """The largest error at these positions, relative to the largest value."""
    return float((rotated - truth)[..., beginning:end, :].abs().max() / truth.abs().max())


rotated = {"float32": RotaryEmbedding(32).rotate_queries_or_keys(same)}
rotary = RotaryEmbedding(32)
rotated["bfloat16"] = rotary.rotate_queries_or_keys(same.bfloat16())
rotated["float32 after bfloat16"] = rotary.rotate_queries_or_keys(same)
rotary = RotaryEmbedding(32)
rotary.rotate_queries_or_keys(same)
rotated["bfloat16 after float32"] = rotary.rotate_queries_or_keys(same.bfloat16())
errors = {}
for name, values in rotated.items():
    errors[name] = error(values, 0, 256), error(values, 256, 1024)
    shared = len(values[0, 0, 998:1003].unique(dim=0))
    print(f"{name}: error {errors[name][0]:.1%} before position 256, {errors[name][1]:.0%} after; 998 to 1002: {shared} rotations")
wrong = [errors.pop(name)[1] for name in ("bfloat16", "float32 after bfloat16")]
early = len(rotated["bfloat16"][0, 0, 998:1003].unique(dim=0))
sys.exit(not (min(wrong) > 0.5 and early == 1 and max(max(pair) for pair in errors.values()) < 0.02))
PY
