#!/usr/bin/env bash
# torch 2.13.0, jaxtyping 0.3.11: under torch.compile `isinstance(x, Float[Tensor, "..."])` is False for every tensor.
#
# There is no error and no graph break, even with fullgraph=True: the function takes the wrong branch. A function with
# checked annotations (@jaxtyped, with beartype) raises TypeCheckError, whose text names a shape that fits the
# annotation: "Actual value: f32[2,3](torch) Expected type: Float[Tensor, 'batch time']".
#
# Why a good guess is wrong: jaxtyping supports torch, its checks run during tracing under jax.jit, and what dynamo
# cannot trace is expected to run uncompiled. But dynamo answers isinstance of a tensor from its class alone and never
# calls the __instancecheck__ of the annotation. Put the check outside the compiled function.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.4.6 jaxtyping==0.3.11 beartype==0.23.1
cat > "$folder/check.py" <<'PY'
import logging
import sys

import torch
from beartype import beartype
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

torch._logging.set_logs(dynamo=logging.ERROR)


def branch(x):
    return x + 1 if isinstance(x, Float[Tensor, "..."]) else x - 1


@jaxtyped(typechecker=beartype)
def checked(x: Float[Tensor, "batch time"]) -> Float[Tensor, "batch time"]:
    return x + 1


x = torch.zeros(2, 3)
eager = branch(x)[0, 0].item(), checked(x)[0, 0].item()
compiled = torch.compile(branch, backend="eager", fullgraph=True)(x)[0, 0].item()
try:
    torch.compile(checked, backend="eager")(x)
    error = "no error"
except TypeCheckError as raised:
    error = " ".join(str(raised).split()[:24])
print(f"eager: isinstance gives {eager[0]}, checked gives {eager[1]}")
print(f"compiled: isinstance gives {compiled}, checked gives {error} ...")
sys.exit(not (eager == (1, 1) and compiled == -1 and error != "no error"))
PY
"$folder/venv/bin/python" "$folder/check.py"
