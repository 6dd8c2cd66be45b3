#!/usr/bin/env bash
# torch 2.13.0: a checkpoint joined into safetensors by torch.distributed.checkpoint has 0 for every tensor without axes.
#
# HuggingFaceStorageWriter with enable_consolidation joins the files of all processes into one. Tensors with axes come out
# right; the bytes of one without, such as the count of steps in Adam's state, are never written, so that the file has the
# zeros it was made with. The file of each process has the right value. Nothing is raised or logged, and the name, type and
# shape in the header are right.
#
# Why a good guess is wrong: dcp.save takes any tensor, the weights are right to the bit, and an optimizer's state of zero
# steps loads and trains on; only its bias correction begins again, with averages that are not those of a beginning. Write
# such tensors into the joined file, or store them with one axis.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile numpy==2.4.6 safetensors==0.8.0
"$folder/venv/bin/python" - "$folder/checkpoint" <<'PY'
import sys
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.distributed import checkpoint as dcp

warnings.simplefilter("ignore")
saved = {"weight": torch.arange(6.0).view(2, 3), "one": torch.tensor([30.0]), "steps": torch.tensor(30.0)}
writer = dcp.HuggingFaceStorageWriter(
    sys.argv[1], fqn_to_index_mapping=dict.fromkeys(saved, 1), save_distributed=True, enable_consolidation=True
)
dcp.save(saved, storage_writer=writer, no_dist=True)
(shard,) = map(load_file, Path(sys.argv[1], "sharded").glob("*.safetensors"))
(joined,) = map(load_file, Path(sys.argv[1]).glob("*.safetensors"))
for name, tensor in saved.items():
    print(f"{name}: saved {tensor.tolist()}, in the file of the process {shard[name].tolist()}, joined {joined[name].tolist()}")
same = {name: joined[name].equal(tensor) for name, tensor in saved.items()}
sys.exit(not (same == {"weight": True, "one": True, "steps": False} and all(shard[n].equal(saved[n]) for n in saved)))
PY
