"""Every mechanism of the table with default options at width 256: time and memory by length."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sightline.core.mixer import Memory, SequenceMixer
from sightline.lab.bench.equality import trained
from sightline.lab.bench.scenario import Case, Scenario
from sightline.lab.bench.scenarios.layers import LENGTHS, WIDTH
from sightline.mixers import MIXERS

REMEMBERED = 64  # positions of the memory for mechanisms that read one
CHECKED = 48


def mechanism(name: str, size: int, device: torch.device) -> Case:
    """Forward and backward of one row, with gradients of the input and all parameters."""
    mixer = MIXERS[name]().build(WIDTH).to(device)
    wide = copy.deepcopy(mixer).double()
    x = torch.randn(1, size, WIDTH, device=device).requires_grad_()
    memory = torch.randn(1, REMEMBERED, WIDTH, device=device)
    towards = torch.randn(1, size, mixer.d_out, device=device)
    few = min(size, CHECKED)
    short, short_wide = x.detach()[:, :few].clone(), x.detach()[:, :few].double()
    pull = towards[:, :few]

    def run(module: Any, x: Tensor, towards: Tensor, steps: bool = False) -> list[Tensor]:
        x.requires_grad_()
        inputs = [p for p in [x, *module.parameters()] if p.requires_grad]
        y = _stepped(module, x, memory) if steps else _whole(module, x, memory)
        return trained(y, inputs, towards)

    check = (
        lambda: run(mixer, short, pull),
        lambda: run(wide, short_wide, pull.double(), steps=isinstance(wide, SequenceMixer)),
    )
    return Case(partial(run, mixer, x, towards), None, check)


def _whole(module: Any, x: Tensor, memory: Tensor) -> Tensor:
    if not isinstance(module, SequenceMixer):
        return module(x)
    return module(x, _begin(module, memory.to(x.dtype)))[0]


def _stepped(module: SequenceMixer, x: Tensor, memory: Tensor) -> Tensor:
    state, outputs = _begin(module, memory.to(x.dtype)), []
    for x_t in x.unbind(1):
        y, state = module.step(x_t, state)
        outputs.append(y)
    return torch.stack(outputs, 1)


def _begin(module: SequenceMixer, memory: Tensor) -> Any:
    return module.initial_state(1, Memory(memory) if module.d_memory is not None else None)


SCENARIOS = tuple(
    Scenario(
        f"mechanism_{name}", "mechanisms", "curve", f"`{name}` with default options", "nothing", LENGTHS,
        partial(mechanism, name), 70, tolerance=1e-4,
        checked=f"itself in float64 (step by step if it has a step), outputs and gradients, at {CHECKED} positions",
    )
    for name in MIXERS
)  # fmt: skip
