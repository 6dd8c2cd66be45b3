#!/usr/bin/env bash
# torch 2.13.0: a package of AOTInductor reads a tensor with other strides than its example as if it had the example's.
#
# `aoti_compile_and_package` records the strides of the example inputs. A column of a matrix, a transposed or an
# expanded tensor of the right shape and dtype is then read at wrong places, without an error: numbers next to it in
# memory enter the result. The checks of sizes, dtypes and strides are in the package, but they run only where
# AOTI_RUNTIME_CHECK_INPUTS=1 is set.
#
# Why a good guess is wrong: the same program by `ExportedProgram.module()` and by `torch.compile` gives the right result
# for any strides, torch.compile by compiling again and the module by running operator for operator; exporting takes only
# shapes as `dynamic_shapes`, so strides do not look like a part of the promise. Call `.contiguous()` on every input, or
# set the variable while testing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile torch==2.13.0
TORCHINDUCTOR_CACHE_DIR="$folder/cache" "$folder/venv/bin/python" -W ignore - "$folder/model.pt2" <<'PY'
import sys

import torch
from torch._inductor import aoti_compile_and_package, aoti_load_package


class Double(torch.nn.Module):
    def forward(self, x):
        return x * 2.0


program = torch.export.export(Double(), (torch.zeros(4),))
package = aoti_load_package(aoti_compile_and_package(program, package_path=sys.argv[1]))
table = torch.arange(12.0).view(4, 3)
column = table[:, 0]  # 0, 3, 6, 9 with the stride 3
expected = [0.0, 6.0, 12.0, 18.0]
seen = {
    "eager": Double()(column).tolist(),
    "exported": program.module()(column).tolist(),
    "torch.compile": torch.compile(Double())(column).tolist(),
    "package": package(column).tolist(),
    "package, contiguous": package(column.contiguous()).tolist(),
}
for name, values in seen.items():
    print(f"{name}: {values}{'' if values == expected else ' (wrong)'}")
wrong = [name for name, values in seen.items() if values != expected]
sys.exit(wrong != ["package"])
PY
