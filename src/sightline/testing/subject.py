"""A configuration under test: its modules, and inputs, memories and masks that are the same every time."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, final

import numpy as np
import torch
from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.mixer import Memory, SequenceMixer
from sightline.core.seeds import derive
from sightline.core.state import leaves, map_state

BATCH, LENGTH, MEMORY = 3, 11, 5  # odd and different, so that no axis passes for another
WIDTHS = (12, 16, 24, 32, 48, 64)  # a config is checked at the first that it can be built with

Reference = Callable[..., np.ndarray]
S = TypeVar("S")


class ArrayMemory(NamedTuple):
    """A `Memory` as a reference reads it: numpy arrays, float64 and bool."""

    values: np.ndarray  # (B, M, D)
    mask: np.ndarray | None  # (B, M)
    summary: np.ndarray | None  # (B, ·)


@final
class NotApplicable(Exception):
    """The law has no meaning for this form; the message says why."""


@final
class Subject:
    """`config.build(d_model)` under test; d_model None = the first of `WIDTHS` that the config accepts.

    `reference(config, parameters, x, mask, starts, memory)` is an independent implementation on float64 arrays;
    `initial(config, parameters)`, where there is one, gives what some freshly built parameters must be. `full`: no law
    stops early because a mechanism takes long. `dtypes` are those in which most laws compare.
    """

    dtypes: tuple[torch.dtype, ...] = (torch.float64, torch.float32)

    def __init__(
        self,
        config: Any,
        d_model: int | None = None,
        reference: Reference | None = None,
        initial: Callable | None = None,
        full: bool = False,
    ) -> None:
        self.config, self.full = config, full
        self._modules: dict[torch.dtype, nn.Module] = {}
        self._draw: int | None = None
        self._training = False
        self.d_model = self._accepted_width() if d_model is None else d_model
        self.reference, self.initial = reference, initial
        module = self.module()
        self.is_mixer = isinstance(module, SequenceMixer)
        self.d_memory: int | None = getattr(module, "d_memory", None)
        self.d_summary: int | None = getattr(module, "d_summary", None)
        self.reads_memory = self.d_memory is not None or self.d_summary is not None

    def fresh(self, d_model: int | None = None) -> Any:
        """A newly built module, initialised from a fixed seed, in float32."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(0, "initialisation"))
            module = self.config.build(d_model or self.d_model)
        return without_dropout(module.train()) if self._training else module.eval()

    def scattered(self, dtype: torch.dtype = torch.float64, d_model: int | None = None) -> Any:
        """A new module whose parameters have all left their initial values, zeros and equal ones above all."""
        module = self.fresh(d_model)
        generator = torch.Generator().manual_seed(derive(0, "scatter"))
        with torch.no_grad():
            for parameter in module.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                fan_in = max(parameter.shape[-1], 1) if parameter.dim() > 1 else 1
                parameter.add_(noise, alpha=0.3 / math.sqrt(fan_in))
        return module.to(dtype)

    def module(self, dtype: torch.dtype = torch.float64) -> Any:
        """The scattered module, shared by all laws: modules keep nothing, which the law of purity proves."""
        if dtype not in self._modules:
            module = self.scattered(dtype)
            with torch.no_grad():
                for name, parameter in module.named_parameters():
                    parameter.copy_(self._moved(parameter, name))
            self._modules[dtype] = module
        return self._modules[dtype]

    def moved(self, draw: int) -> Subject:
        """The same with shared modules and inputs that are off by up to one rounding in float32, by chance."""
        other = copy.copy(self)
        other._modules, other._draw = {}, draw
        return other

    def in_training(self) -> Subject:
        """The same with modules of its own in training mode, every dropout's rate 0, compared in float64 alone."""
        other = copy.copy(self)
        other._modules, other._training, other.dtypes = {}, True, (torch.float64,)
        return other

    def _moved(self, values: Tensor, name: str) -> Tensor:
        if self._draw is None:
            return values
        generator = torch.Generator().manual_seed(derive(self._draw, f"rounding of {name}"))
        return values * (1 + 2**-24 * (2 * torch.rand(values.shape, generator=generator, dtype=torch.float64) - 1))

    def _accepted_width(self) -> int:
        refusal = None
        for d_model in WIDTHS:
            try:
                self.fresh(d_model)
            except ValueError as error:
                refusal = refusal or error
            else:
                return d_model
        widths = ", ".join(map(str, WIDTHS))
        raise InputError(f"{self.config} accepts no d_model of {widths} ({refusal}): pass a d_model that it accepts")

    def small_width(self) -> int:
        """The smallest d_model that this configuration can be built with."""
        for d_model in (2, 3, 4, 6, 8, self.d_model):
            try:
                self.fresh(d_model)
            except (ValueError, RuntimeError):
                continue
            return d_model
        return self.d_model

    def need_mixer(self, what: str) -> None:
        """Raise `NotApplicable` for an encoder, which has no `what`."""
        if not self.is_mixer:
            raise NotApplicable(f"an encoder has no {what}")

    def x(
        self,
        batch: int = BATCH,
        steps: int = LENGTH,
        dtype: torch.dtype = torch.float64,
        name: str = "x",
        d_model: int | None = None,
    ) -> Tensor:
        """Inputs (B, T, D), standard normal, the same values in every dtype."""
        return self._moved(normal((batch, steps, d_model or self.d_model), name), name).to(dtype)

    def memory(
        self, batch: int = BATCH, dtype: torch.dtype = torch.float64, length: int = MEMORY, masked: bool = True
    ) -> Memory | None:
        """A memory whose rows have length, length - 1, … real positions (all, without `masked`); None where unread."""
        if not self.reads_memory:
            return None
        values = normal((batch, length, self.d_memory or 1), "memory").to(dtype)
        summary = None if self.d_summary is None else normal((batch, self.d_summary), "summary").to(dtype)
        real = length - torch.arange(batch) % max(1, length - 1)
        mask = torch.arange(length) < real.unsqueeze(1)
        return Memory(values, mask if masked else None, summary)

    def whole(
        self,
        module: Any,
        x: Tensor,
        memory: Memory | None = None,
        mask: Tensor | None = None,
        starts: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Outputs of the whole sequence in one call, and the final state (None for an encoder)."""
        if not self.is_mixer:
            return module(x, mask, starts), None
        return module(x, module.initial_state(len(x), memory), mask, starts)


def without_dropout(module: nn.Module) -> nn.Module:
    """The module with every rate of dropout at 0: `p` of dropout layers, and numbers such as `nn.LSTM.dropout`."""
    for part in module.modules():
        layer = "dropout" in type(part).__name__.lower()
        for name, value in list(vars(part).items()):
            if isinstance(value, float) and ("drop" in name or (layer and name == "p")):
                setattr(part, name, 0.0)
    return module


def normal(shape: Sequence[int], name: str) -> Tensor:
    """Standard normal float64 values that depend on `name` alone."""
    generator = torch.Generator().manual_seed(derive(0, name))
    return torch.randn(tuple(shape), generator=generator).double()


def feed(
    module: Any, x: Tensor, state: Any, sizes: Sequence[int], mask: Tensor | None = None, starts: Tensor | None = None
) -> tuple[Tensor, Any]:
    """Outputs and final state of x fed in chunks of `sizes`, which add up to its length."""
    outputs, at = [], 0
    for size in sizes:
        part = slice(at, at + size)
        y, state = module(x[:, part], state, *rows((mask, starts), (slice(None), part)))
        outputs.append(y)
        at += size
    return torch.cat(outputs, 1), state


def steps(module: Any, x: Tensor, state: Any) -> tuple[Tensor, Any]:
    """Outputs and final state of x fed by `step`, one position at a time."""
    outputs = []
    for x_t in x.unbind(1):
        y_t, state = module.step(x_t, state)
        outputs.append(y_t)
    return torch.stack(outputs, 1), state


def rows(parts: S, index: Any) -> S:
    """Some rows of the batch, `index` as tensors take it, of a memory, or of a tuple of tensors and None."""
    return map_state(lambda part: part[index], parts)


def floats(state: Any) -> list[Tensor]:
    """The float tensors of a state or memory."""
    return [leaf for leaf in leaves(state) if leaf.is_floating_point()]


def map_floats(function: Callable[[Tensor], Tensor], state: S) -> S:
    """The state or memory with `function` applied to its float tensors."""
    return map_state(lambda leaf: function(leaf) if leaf.is_floating_point() else leaf, state)


def ragged(batch: int = BATCH, length: int = LENGTH) -> Tensor:
    """A mask (B, T) with holes at the left, in the middle and at the right."""
    mask = torch.ones(batch, length, dtype=torch.bool)
    for row in range(batch):
        mask[row, : row % 3] = False
        mask[row, length // 2 : length // 2 + (row + 1) % 3] = False
        mask[row, length - row % 2 :] = False
    return mask


def packed(batch: int = BATCH, length: int = LENGTH) -> Tensor:
    """Document starts (B, T), different in every row, some at position 0 and some next to each other."""
    starts = torch.zeros(batch, length, dtype=torch.bool)
    for row in range(batch):
        starts[row, row % 2 :: 3 + row] = True
        starts[row, length // 2] = True
    return starts
