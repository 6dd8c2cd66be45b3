"""An untrained mechanism under measurement: its module, and the inputs that it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from torch import Tensor

from sightline.core.errors import InputError
from sightline.core.mixer import Memory, SequenceMixer
from sightline.core.seeds import derive
from sightline.core.suggest import unknown
from sightline.mixers import MIXERS


class Inputs(NamedTuple):
    """What a call reads: x (B, T, D), and a memory of as many positions where the mechanism reads one."""

    x: Tensor
    memory: Memory | None


@final
@dataclass(frozen=True)
class Mechanism:
    """`config.build(d_model)` by a name."""

    name: str
    config: Any
    d_model: int

    def build(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> Any:
        """The module with weights drawn from the seed, in evaluation mode."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "initialisation", self.name))
            return self.config.build(self.d_model).eval().to(dtype)

    def inputs(self, module: Any, batch: int, length: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Inputs:
        """Standard normal inputs of the module, the same for every mechanism."""
        generator = torch.Generator().manual_seed(derive(seed, "inputs"))
        x = torch.randn(batch, length, self.d_model, generator=generator, dtype=torch.float64).to(dtype)
        d_memory, d_summary = getattr(module, "d_memory", None), getattr(module, "d_summary", None)
        if d_memory is None and d_summary is None:
            return Inputs(x, None)
        values = torch.randn(batch, length, d_memory or 1, generator=generator, dtype=torch.float64).to(dtype)
        summary = None if d_summary is None else torch.randn(batch, d_summary, generator=generator).to(dtype)
        return Inputs(x, Memory(values, None, summary))


def outputs(module: Any, inputs: Inputs) -> tuple[Tensor, Any]:
    """All outputs in one call, and the final state (None for an encoder)."""
    if not isinstance(module, SequenceMixer):
        return module(inputs.x), None
    return module(inputs.x, module.initial_state(len(inputs.x), inputs.memory))


def find_mechanisms(names: Sequence[str], d_model: int, table: Mapping[str, Any] = MIXERS) -> list[Mechanism]:
    """The mechanisms with these names, with default options; all of the table without names.

    Raises:
        InputError: "--mixers: unknown mechanism 'lstmm', did you mean 'lstm'?"; a width that a mechanism cannot have.
    """
    chosen = []
    for name in names or table:
        if name not in table:
            raise InputError(unknown("mechanism", name, table), where="--mixers")
        mechanism = Mechanism(name, table[name](), d_model)
        try:
            mechanism.build()
        except ValueError as error:
            raise InputError(f"{name}: {error}", where="--d-model") from error
        chosen.append(mechanism)
    return chosen
