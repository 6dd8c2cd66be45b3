#!/usr/bin/env bash
# memorizing-transformers-pytorch 0.4.1: with xl_max_memories, relative positions are counted from the start of the
# memory: a new token is at distance 0 from all others of its segment and too near to the memory.
#
# The bias between query and key takes both positions from 0 (memorizing_transformers_pytorch.py, lines 87 to 89), but
# with a memory of m tokens the queries begin at m. A key that seems to come later has the bucket of distance 0. So a
# token in a segment after the first does not know the order of its own segment, and a text in two segments has other
# outputs than the same in one, although the memory keeps all keys and values.
#
# Why a good guess is wrong: the causal mask beside it has the right offset, the first segment and every call without a
# memory are right, and the model trains on its wrong positions as long as the segments are equally long. x-transformers
# had this and corrected it in 2022. With a bias of 0, below, the segments agree to rounding. Both kinds of layers, with
# and without the nearest neighbours, add the bias in this way.
#
# The package asks for faiss-gpu, which has no build for current versions of Python; faiss-cpu has the same interface.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
install() { "$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile "$@"; }
install torch==2.13.0
install numpy==2.4.6 faiss-cpu==1.15.1 joblib==1.6.0 filelock==4.3.1 einops==0.8.2 einops-exts==0.0.4
install --no-deps memorizing-transformers-pytorch==0.4.1
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import torch
from memorizing_transformers_pytorch import MemorizingTransformer
from memorizing_transformers_pytorch.memorizing_transformers_pytorch import T5RelativePositionBias

buckets = T5RelativePositionBias._relative_position_bucket


def moved(distances, **options):
    """The buckets of distances (queries, keys) whose queries begin behind the memory."""
    return buckets(distances - (distances.shape[1] - distances.shape[0]), **options)


tokens = torch.randint(1, 20, (1, 16), generator=torch.Generator().manual_seed(0))
torch.manual_seed(0)
model = MemorizingTransformer(
    num_tokens=20, dim=16, dim_head=8, heads=2, depth=2, memorizing_layers=(), xl_max_memories=16
).eval()
offsets = {}
with torch.no_grad():
    for case in ("bias as it is", "queries moved by the memory", "bias of 0"):
        if case == "queries moved by the memory":
            T5RelativePositionBias._relative_position_bucket = staticmethod(moved)
        if case == "bias of 0":
            model.rel_pos_bias.relative_attention_bias.weight.zero_()
        whole, _ = model(tokens, [])
        first, memories = model(tokens[:, :8], [])
        second, _ = model(tokens[:, 8:], [], xl_memories=memories)
        T5RelativePositionBias._relative_position_bucket = staticmethod(buckets)
        offsets[case] = [float((part - rows).abs().max()) for part, rows in zip((first, second), whole.split(8, 1))]
        first_off, second_off = offsets[case]
        print(f"{case}: the first segment differs from the whole by {first_off:.0e}, the second by {second_off:.0e}")
wrong, moved, none = offsets.values()
sys.exit(not (wrong[0] < 1e-4 and wrong[1] > 0.05 and max(moved + none) < 1e-4))
PY
