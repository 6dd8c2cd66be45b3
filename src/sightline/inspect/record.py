"""Attention weights read or replaced at a model's probes, during ordinary calls of the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sightline.core.front_end import FrontEnd
from sightline.core.hooks import removed_after
from sightline.core.probe import Probe

READ_AXES = ("S", "M")  # the last axis of weights over an own sequence and over a memory
POOLED = "B T"  # weights of a pooling


def attention_probes(model: nn.Module, *, signed: bool = False) -> dict[str, Probe]:
    """The probes of attention weights by their path in the model, in the order in which modules are defined.

    Their shapes are (B, H, T, S), (B, H, T, M), (B, T, M), or (B, T) of a pooling. `signed` adds those of matrices that
    recurrences apply to their values, which may be negative.
    """
    probes = {name: module for name, module in model.named_modules() if isinstance(module, Probe)}
    return {
        name: probe
        for name, probe in probes.items()
        if (probe.shape == POOLED or probe.shape.split()[-1] in READ_AXES) and (signed or not probe.signed)
    }


@contextmanager
def recorded_attention(model: nn.Module, *, signed: bool = False) -> Iterator[dict[str, Tensor]]:
    """The weights of every call inside the block, by the probe's path, with their graph where gradients are recorded.

    Several calls of one probe, as in decoding step by step, are joined along the queries, the last axis but one, where
    they read the same keys; calls that read others than the first one did are left out. Recording never changes an
    output beyond rounding. `signed` as in `attention_probes`.
    """
    weights: dict[str, Tensor] = {}
    handles = []
    for name, probe in attention_probes(model, signed=signed).items():

        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor, name: str = name) -> None:
            if name not in weights:
                weights[name] = output
            elif weights[name].shape[-1] == output.shape[-1]:
                weights[name] = torch.cat([weights[name], output], -2)

        handles.append(probe.register_forward_hook(hook))
    with removed_after(handles):
        yield weights


@contextmanager
def recorded_inputs(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """The first argument of each module's first call inside the block, by the names that the modules are given."""
    inputs: dict[str, Tensor] = {}
    handles = []
    for name, module in modules.items():

        def hook(_module: nn.Module, args: tuple[Any, ...], name: str = name) -> None:
            inputs.setdefault(name, args[0])

        handles.append(module.register_forward_pre_hook(hook))
    with removed_after(handles):
        yield inputs


@contextmanager
def replaced_attention(model: nn.Module, replace: Callable[[str, Tensor], Tensor]) -> Iterator[None]:
    """Inside the block the model computes with `replace(path, weights)` instead of every probe's weights."""
    handles = []
    for name, probe in attention_probes(model).items():

        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor, name: str = name) -> Tensor:
            return replace(name, output)

        handles.append(probe.register_forward_hook(hook))
    with removed_after(handles):
        yield


@contextmanager
def replaced_outputs(module: nn.Module, replace: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Inside the block `module` gives `replace(vectors)` where it gave vectors, alone or with a mask or a state."""

    def hook(_module: nn.Module, _inputs: Any, result: Any) -> Any:
        return replace(result) if isinstance(result, Tensor) else (replace(result[0]), *result[1:])

    with removed_after([module.register_forward_hook(hook)]):
        yield


def first_call(replace: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """`replace` for the first call of a module; later ones, of what a model feeds back, keep their vectors."""
    waiting = [replace]
    return lambda x: waiting.pop()(x) if waiting else x


@contextmanager
def embedded_inputs(model: nn.Module) -> Iterator[list[Tensor]]:
    """The vectors of a model's first front end, as nodes of the graph, once the model is called inside the block."""
    front_end = next(module for module in model.modules() if isinstance(module, FrontEnd))
    vectors: list[Tensor] = []

    def as_node(x: Tensor) -> Tensor:
        vectors.append(x.detach().requires_grad_())
        return vectors[-1]

    with replaced_outputs(front_end, as_node):
        yield vectors
