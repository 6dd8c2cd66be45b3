#!/usr/bin/env bash
# torch 2.13.0: a step of AdamW(fused=True) changes parameters but not their `_version`.
#
# Each in-place operation is to raise `_version`, by which autograd notices that a tensor which it saved for the backward
# pass was changed. AdamW(foreach=True) and the plain loop do raise it. After a fused step the parameter is another one and
# its `_version` is the same, so that a backward pass through a graph made before the step raises no error: it gives the
# gradient for the weights after the step, where the other two say "modified by an inplace operation".
#
# Why a good guess is wrong: `fused` is documented as a faster way to the same result, and in-place operations that are not
# counted are the reason to avoid `.data`. Whoever caches what follows from weights by `_version` keeps stale copies.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import torch

seen = {}
for name, how in (("fused", {"fused": True}), ("foreach", {"foreach": True}), ("plain", {"foreach": False})):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(4, 4))
    x = torch.randn(2, 4, requires_grad=True)
    optimizer = torch.optim.AdamW([weight], lr=0.1, **how)
    weight.grad = torch.ones(4, 4)
    y = (x @ weight).square().sum()  # saves the weight
    before, version = weight.detach().clone(), weight._version
    expected = torch.autograd.grad(y, x, retain_graph=True)[0]
    optimizer.step()
    try:
        gradient = torch.autograd.grad(y, x)[0]
        told = f"gradient off by {(gradient - expected).abs().max():.2f}, no error"
    except RuntimeError as error:
        told = "error: " + ("modified by an inplace operation" if "inplace" in str(error) else str(error))
    changed = not torch.equal(before, weight)
    seen[name] = (changed, weight._version > version, told.startswith("error"))
    print(f"{name:8} changed: {changed}, _version {version} -> {weight._version}; backward of the graph before: {told}")
assert seen == {"fused": (True, False, False), "foreach": (True, True, True), "plain": (True, True, True)}, seen
PYTHON
