#!/usr/bin/env bash
# memorizing-transformers-pytorch 0.4.1: after the memory was full once, or after one row was added to alone, a search
# returns other keys and values than those that it found.
#
# The keys are in an index, which numbers them from 0, and keys and values in a ring, whose place is counted on by every
# call (knn_memory.py). An index with more than max_memories entries is emptied and begins at 0, while the place in the
# ring goes on (lines 97 to 101 and 210): unless the size of the additions divides max_memories, entry 0 is no longer
# place 0. It also loses all entries and answers nothing until the next addition, though only the oldest entries are
# documented to be thrown out. In at_batch_indices, an addition to one row counts on the places of all (line 214).
#
# Why a good guess is wrong: the search itself is right, the mask says that something was found, and the vectors are
# real memories of the same text, or zeros. The sizes in the documentation, 1024 and 512, divide. In a model that
# attends to it, the memory turns to noise in the middle of a long document. Below, every key is searched for right
# after it was added, so its own key and value have to come back.
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
from memorizing_transformers_pytorch import KNNMemory

torch.manual_seed(0)


def new(rows, count=30):
    """Keys of length 1 and values that are the keys times 7, of shape (rows, count, 2, 8)."""
    keys = torch.nn.functional.normalize(torch.randn(rows, count, 8), dim=-1)
    return torch.stack((keys, 7 * keys), 2)


def memory(size, rows=1):
    return KNNMemory(dim=8, max_memories=size, num_indices=rows, memmap_filename="./memory", multiprocessing=False)


def returned(store, added):
    """For each row, the share of the keys with an answer, and the share whose own key and value came back."""
    pairs, mask = store.search(added[..., 0, :], topk=1)
    right = (pairs[..., 0, :, :] - added).abs().amax((-1, -2)) < 1e-5
    return mask[..., 0].float().mean(1).tolist(), right.float().mean(1).tolist()


full = {}
for size in (90, 100):
    store, full[size] = memory(size), []
    for _ in range(7):
        added = new(1)
        store.add(added)
        full[size].append(tuple(share[0] for share in returned(store, added)))
    answered, right = zip(*full[size])
    print(f"memory of {size}, seven additions of 30: share answered {answered}, share right {right}")
apart = {}
for scoped in (False, True):
    store = memory(1000, rows=2)
    store.add(new(2))
    if scoped:
        with store.at_batch_indices([0]):
            store.add(new(1))
    added = new(2)
    store.add(added)
    apart[scoped] = returned(store, added)[1]
    print(f"memory of 1000, two rows, one addition to row 0 alone: {scoped}; right in row 0 and 1 {apart[scoped]}")
early = all(pair == (1, 1) for rows in full.values() for pair in rows[:3])
emptied = all(rows[3] == (0, 0) for rows in full.values()) and all(pair == (1, 1) for pair in full[90][4:6])
others = all(pair == (1, 0) for pair in full[100][4:6])
sys.exit(not (early and emptied and others and apart[False] == [1, 1] and apart[True] == [1, 0]))
PY
