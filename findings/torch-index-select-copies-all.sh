#!/usr/bin/env bash
# torch 2.13.0, CPU: index_select makes the whole input contiguous before it takes rows.
#
# A key-value cache is a buffer with room to grow, so that the filled part, buffer[:, :length], has gaps between its
# rows. cache.index_select(1, index) allocates and copies all of it (8 MiB below) to return 4 KiB. cache[:, index]
# returns the same values and allocates 4 KiB.
#
# Why a good guess is wrong: index_select is the specialised function, "indexing" the general one, so index_select
# looks like the cheaper choice. Its cost grows with the cache instead of with the rows that are taken.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import torch
from torch.profiler import ProfilerActivity, profile

buffer = torch.randn(8, 8192, 64)
cache, index = buffer[:, :4096], torch.tensor([1, 2])


def allocated(call):
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        call()
    return sum(max(0, event.self_cpu_memory_usage) for event in seen.key_averages())


selected = allocated(lambda: cache.index_select(1, index))
indexed = allocated(lambda: cache[:, index])
assert torch.equal(cache.index_select(1, index), cache[:, index])
print(f"the result has {cache[:, index].nbytes:,} bytes, the slice {cache.nbytes:,}")
print(f"allocated by index_select: {selected:,} bytes; by cache[:, index]: {indexed:,} bytes")
sys.exit(not selected >= cache.nbytes > 100 * indexed)
PY
