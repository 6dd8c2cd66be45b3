"""An untrained mechanism under measurement: its module, and the inputs that it reads."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.mixer import Memory, SequenceMixer
from sightline.core.probe import Probe
from sightline.core.seeds import derive
from sightline.core.suggest import unknown
from sightline.lab.panel_results import ChainAlong, Phase
from sightline.mixers import MIXERS


@final
@dataclass(frozen=True)
class BuiltModule:
    """A config of a module that exists; every build is a copy of it."""

    module: nn.Module

    def build(self, d_model: int) -> nn.Module:
        return copy.deepcopy(self.module)


OnStop = Callable[[Phase, int, str], object]  # a phase, a length that cannot be read, and the reason


def not_stopped(phase: Phase, length: int, reason: str) -> None:
    """Raise `ValueError` with the reason: no length is left out in silence."""
    raise ValueError(reason)


class Inputs(NamedTuple):
    """What a call reads: x (B, T, D), and a memory of as many positions where the mechanism reads one."""

    x: Tensor
    memory: Memory | None


SHORT = 8  # positions of the side that does not grow
WEIGHTS = "+weights"  # ends the name of a mechanism that forms its attention weights


@final
@dataclass(frozen=True)
class Mechanism:
    """`config.build(d_model)` by a name; with `materialised` its attention weights are formed, as for a listener.

    A config with a method `build_for(length)` gives a module of its own for each length.

    along: what grows with the length where the mechanism reads a memory: both sides, or one beside `SHORT` positions
    """

    name: str
    config: Any
    d_model: int
    materialised: bool = False
    along: ChainAlong = "all"

    def build(self, seed: int = 0, dtype: torch.dtype = torch.float32, length: int = 1) -> Any:
        """The module with weights drawn from the seed, in evaluation mode."""
        build_for = getattr(self.config, "build_for", None)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "initialisation", self.name))
            module = self.config.build(self.d_model) if build_for is None else build_for(length)
            module = module.eval().to(dtype)
        if self.materialised:
            for probe in _probes(module):
                probe.register_forward_hook(lambda _module, _inputs, _weights: None)
        return module

    def inputs(self, module: Any, batch: int, length: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Inputs:
        """Standard normal inputs of the module, the same for every mechanism."""
        generator = torch.Generator().manual_seed(derive(seed, "inputs"))
        read = SHORT if self.along == "target" else length
        length = SHORT if self.along == "source" else length
        x = torch.randn(batch, length, self.d_model, generator=generator, dtype=torch.float64).to(dtype)
        d_memory, d_summary = getattr(module, "d_memory", None), getattr(module, "d_summary", None)
        if d_memory is None and d_summary is None:
            return Inputs(x, None)
        values = torch.randn(batch, read, d_memory or 1, generator=generator, dtype=torch.float64).to(dtype)
        summary = None if d_summary is None else torch.randn(batch, d_summary, generator=generator).to(dtype)
        return Inputs(x, Memory(values, None, summary))


def outputs(module: Any, inputs: Inputs) -> tuple[Tensor, Any]:
    """All outputs in one call, and the final state (None for an encoder)."""
    if not isinstance(module, SequenceMixer):
        return module(inputs.x), None
    return module(inputs.x, module.initial_state(len(inputs.x), inputs.memory))


def find_mechanisms(names: Sequence[str], d_model: int, table: Mapping[str, Any] = MIXERS) -> list[Mechanism]:
    """The mechanisms with these names, with default options; all of the table without names.

    A name may end in `+weights`, for the same mechanism when it forms its attention weights instead of fusing them.

    Raises:
        InputError: "--mixers: unknown mechanism 'lstmm', did you mean 'lstm'?"; a width that a mechanism cannot have.
    """
    chosen = []
    for name in dict.fromkeys(names or table):
        kind = name.removesuffix(WEIGHTS)
        if kind not in table:
            raise InputError(unknown("mechanism", kind, table), where="--mixers")
        config = table[kind]() if isinstance(table[kind], type) else table[kind]
        mechanism = Mechanism(name, config, d_model, materialised=name != kind)
        try:
            module = mechanism.build()
        except ValueError as error:
            raise InputError(f"{kind}: {error}", where="--mixers") from error
        if mechanism.materialised and not _probes(module):
            raise InputError(f"{kind} has no attention weights to form: remove {WEIGHTS}", where="--mixers")
        chosen.append(mechanism)
    return chosen


def _probes(module: nn.Module) -> list[Probe]:
    return [part for part in module.modules() if isinstance(part, Probe)]
