"""The model with layers and heads replaced."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightline.core.config import encode
from sightline.lab.swap.patient import Patient
from sightline.lab.swap.target import SwapTarget
from sightline.lab.swap.units import SwapUnit, heads_by_layer
from sightline.models.layers import LayersConfig
from sightline.models.plugins import used_plugins
from sightline.models.pruned import kept_heads, restore_heads
from sightline.models.store import CONFIG, save_model

ARCH = "hybrid"  # the entry of every form in `FORMS` that is residual layers of several mechanisms


def swapped_mixers(patient: Patient, units: Iterable[SwapUnit], mixer: str) -> tuple[str, ...]:
    """The mechanism of each layer of this half, with these layers and heads replaced."""
    replaced = heads_by_layer(units)
    names = enumerate(patient.layers.layer_mixers, 1)
    return tuple(patient.composed_name(n, replaced[n], mixer) if n in replaced else name for n, name in names)


def swapped_config(patient: Patient, units: Iterable[SwapUnit], target: SwapTarget) -> LayersConfig:
    """The model's config with these layers and heads replaced."""
    mixers = swapped_mixers(patient, units, target.mixer)
    changes: dict[str, Any] = {half.field: half.layers.layer_mixers for half in patient.config.halves.values()}
    changes[patient.config.halves[patient.side].field] = mixers
    options = {**patient.config.options, target.mixer: target.options}
    return replace(patient.config, **changes, options=options)


def composed_layers(patient: Patient, parts: Mapping[SwapUnit, nn.Module]) -> dict[int, nn.Module]:
    """The layers that `parts` make with the heads that stay, by number; see `Patient.composed`."""
    groups = heads_by_layer(parts)
    return {
        number: patient.composed(number, {heads: parts[SwapUnit(number, heads)] for heads in of_layer})
        for number, of_layer in groups.items()
    }


def swapped_task(patient: Patient, target: SwapTarget, parts: Mapping[SwapUnit, nn.Module]) -> Any:
    """The task with copies of `parts` in the place of these layers and heads, and everything else bit for bit."""
    task = patient.task
    if not parts:
        return _saved_and_loaded(task, task.arch, task.sizes, task.model)
    config: Any = swapped_config(patient, parts, target)
    layers = composed_layers(patient, parts)
    with torch.random.fork_rng(devices=[]):
        model = config.build(task.source, task.outputs)
    for number, layer in layers.items():
        holder, name = patient.holders(model)[number - 1]
        setattr(holder, name, copy.deepcopy(layer))
    inside = {id(patient.modules(model)[number - 1]) for number in layers}
    prefixes = tuple(f"{name}." for name, module in model.named_modules() if id(module) in inside)
    kept = {path: heads for path, heads in kept_heads(task.model).items() if not f"{path}.".startswith(prefixes)}
    restore_heads(model, kept)
    trained = task.model.state_dict()
    state = {name: value if name.startswith(prefixes) else trained[name] for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    return _saved_and_loaded(task, ARCH, config, model)


def _saved_and_loaded(task: Any, arch: str, config: Any, model: nn.Module) -> Any:
    """A task like this one with another model, by way of its files, which every task can write and read."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        task.write(place)
        options = json.loads((place / CONFIG).read_text(encoding="utf-8"))["options"]
        size = sum(parameter.numel() for parameter in model.parameters())
        plugins = [one.name for one in used_plugins(task.form, arch, config)]
        save_model(
            place, model, config, task.source, task.outputs, form=task.form, arch=arch, task=task.name,
            options=options, card=task.card().text(arch, size, encode(config), task.data, plugins),
        )  # fmt: skip
        loaded = type(task).load(place)
    return loaded.to(task.device)
