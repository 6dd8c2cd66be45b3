"""The replacement of layers and heads: a mechanism with the settings of the model that it comes into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, final

import torch

from sightline.core.config import override
from sightline.core.errors import InputError
from sightline.core.suggest import unknown
from sightline.lab.swap.patient import Patient
from sightline.lab.swap.units import SwapUnit
from sightline.mixers import MIXERS
from sightline.models.head_groups import parse_layer
from sightline.models.layers import SELF_MIXERS

SAME = ("heads", "key_heads", "positions", "bias")  # options that a new layer has from the old one
SIZES = ("d_head", "d_value")  # options that it has where its projections can then begin with the old ones


@final
@dataclass(frozen=True)
class SwapTarget:
    """The replacement of layers: a mechanism, its options in the model's config, and its own config."""

    mixer: str
    options: dict[str, Any]
    config: Any


def find_target(
    patient: Patient, units: Sequence[SwapUnit], name: str, settings: Mapping[str, Any], seed: int = 0
) -> SwapTarget:
    """The mechanism `name` with these settings, otherwise as alike the old layers as it can be.

    Raises:
        InputError: "--to: unknown mechanism 'windw', did you mean 'window'?"; "--to.windw: unknown key, …"; "--to:
            gated_delta reads in one direction, and this encoder's layers see both sides: choose window, …"; "--to:
            another layer is window already, with other settings: a model has one setting of each mechanism"; "--to:
            lru has no heads: it can replace only whole layers"; "--to.heads: heads of a layer are counted with
            those that stay, of 4: leave it out".
    """
    if name not in SELF_MIXERS:
        raise InputError(unknown("mechanism", name, SELF_MIXERS), where="--to")
    others = _mechanisms_that_stay(patient, units)
    decoded = override(MIXERS[name](), settings, prefix="--to.")
    if name in others and not settings:
        options = patient.layers.options.get(name, {})
        target = SwapTarget(name, options, _with_options(patient, name, options))
    else:
        own = {f.name: getattr(decoded, f.name) for f in fields(decoded) if f.name in settings}
        target = _most_alike(patient, units[0], name, own, seed)
        if name in others and target.config != _with_options(patient, name, patient.layers.options.get(name, {})):
            raise InputError(
                f"another layer is {name} already, with other settings: a model has one setting of each mechanism",
                where="--to",
            )
    for unit in units:
        count = patient.modules()[unit.layer - 1].heads.heads
        if unit.heads and not hasattr(target.config, "heads"):
            raise InputError(f"{name} has no heads: it can replace only whole layers", where="--to")
        if unit.heads and target.config.heads != count:
            raise InputError(
                f"heads of a layer are counted with those that stay, of {count}: leave it out", where="--to.heads"
            )
    return target


def _mechanisms_that_stay(patient: Patient, units: Sequence[SwapUnit]) -> set[str]:
    """Those of the model's layers that are not replaced whole, in the other half too."""
    whole = {unit.layer for unit in units if not unit.heads}
    names = [mixer for n, mixer in enumerate(patient.layers.layer_mixers, 1) if n not in whole]
    for side, half in patient.config.halves.items():
        names += half.layers.layer_mixers if side != patient.side else ()
    return {group.mixer for name in names for group in parse_layer(name)}


def _most_alike(patient: Patient, unit: SwapUnit, name: str, settings: dict[str, Any], seed: int) -> SwapTarget:
    """The target whose layer can copy most of the old one's projections."""
    old = patient.modules()[unit.layer - 1]
    before = patient.layers.mixer_config(patient.layers.layer_mixers[unit.layer - 1])
    plain = _with_options(patient, name, settings)
    known = {key: getattr(before, key) for key in SAME if hasattr(before, key)}
    missing = {f.name for f in fields(plain)} - set(settings)
    same = {k: value for k, value in known.items() if k in missing and value != getattr(plain, k)}
    sizes = {key: old.heads.d_head for key in SIZES if key in missing}
    tries = []
    for options in ({**settings, **same}, {**settings, **same, **sizes}):
        target = SwapTarget(name, options, _with_options(patient, name, options))
        tries.append((len(patient.start(SwapUnit(unit.layer), target.config, seed).copied), target))
    return max(tries, key=lambda one: one[0])[1]


def _with_options(patient: Patient, name: str, options: Mapping[str, Any]) -> Any:
    """The config of the mechanism, in the form that this half needs, checked to build.

    Raises:
        InputError: as `find_target`; what the mechanism says of its sizes.
    """
    layers = replace(patient.layers, options={**patient.layers.options, name: dict(options)})
    # A decoder's and a causal encoder's layers are `mixers`, those of other encoders `encoders`.
    two_sided = patient.holders()[0][1] == "encoder"
    config = layers.mixer_config(name, causal=not two_sided)
    if two_sided and not hasattr(config, "causal"):
        able = [one for one in SELF_MIXERS if any(f.name == "causal" for f in fields(MIXERS[one]))]
        raise InputError(
            f"{name} reads in one direction, and this encoder's layers see both sides: choose {', '.join(able)}",
            where="--to",
        )
    try:
        with torch.random.fork_rng(devices=[]):
            module = config.build(patient.config.d_model)
    except ValueError as error:
        raise InputError(f"{name}: {error}", where="--to") from error
    if module.d_out != module.d_model:
        raise InputError(
            f"{name} gives {module.d_out} numbers for {module.d_model}: it cannot be a layer", where="--to"
        )
    return config
