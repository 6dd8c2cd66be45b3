"""Every mechanism of the table with default options at width 256: time and memory by length."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sightline.core.mixer import Memory, SequenceMixer
from sightline.lab.bench.equality import training
from sightline.lab.bench.scenario import Case, Computation, Scenario
from sightline.lab.bench.scenarios.layers import LENGTHS, WIDTH
from sightline.mixers import MIXERS
from sightline.testing.subject import steps

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

    def run(module: Any, x: Tensor, towards: Tensor, by_steps: bool = False) -> Computation:
        x.requires_grad_()
        call = partial(_outputs, module, x, memory.to(x.dtype), by_steps)
        return training(call, [p for p in [x, *module.parameters()] if p.requires_grad], towards)

    check = (run(mixer, short, pull), run(wide, short_wide, pull.double(), by_steps=True))
    return Case(run(mixer, x, towards), None, check)


def _outputs(module: Any, x: Tensor, memory: Tensor, by_steps: bool) -> Tensor:
    """All outputs in one call, or of a mixer step by step."""
    if not isinstance(module, SequenceMixer):
        return module(x)
    state = module.initial_state(1, Memory(memory) if module.d_memory is not None else None)
    return (steps(module, x, state) if by_steps else module(x, state))[0]


def plugin_mechanism(plugin: str, name: str, size: int, device: torch.device) -> Case:
    """`mechanism` of a plugin, which a process of its own has to load first."""
    from sightline.models.plugins import load_plugin

    load_plugin(plugin)
    return mechanism(name, size, device)


def scenario(name: str, plugin: str | None = None) -> Scenario:
    """The scenario of a mechanism, of the table or of a plugin as `PluginSource.again` names it."""
    build = partial(mechanism, name) if plugin is None else partial(plugin_mechanism, plugin, name)
    return Scenario(
        f"mechanism_{name}", "mechanisms", "curve", f"`{name}` with default options", "nothing", LENGTHS,
        build, 70, tolerance=1e-4,
        checked=f"itself in float64 (step by step if it has a step), outputs and gradients, at {CHECKED} positions",
    )  # fmt: skip


SCENARIOS = tuple(map(scenario, MIXERS))
