"""Layers of a trained model by other mechanisms: which can be replaced, by what, and the model with them replaced."""

from __future__ import annotations

import copy
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, final

import torch
from torch import nn

from sightline.core.config import encode, override
from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.core.suggest import unknown
from sightline.mixers import MIXERS
from sightline.models.decoder import Decoder
from sightline.models.encoder_decoder import EncoderDecoderConfig
from sightline.models.encoder_model import EncoderModel
from sightline.models.forecaster import AutoregressiveForecaster, DirectForecaster
from sightline.models.layers import SELF_MIXERS, LayersConfig
from sightline.models.plugins import used_plugins
from sightline.models.sequence_model import SequenceModel
from sightline.models.stack import AsEncoder
from sightline.models.store import CONFIG, save_model
from sightline.models.transformer import TransformerConfig
from sightline.parts.projections import StartsFrom
from sightline.parts.self_attention import SelfAttention

ARCH = "hybrid"  # the entry of every form in `FORMS` that is residual layers of several mechanisms
SAME = ("heads", "key_heads", "positions", "bias")  # options that a new layer has from the old one
HEAD = re.compile(r"\d+[.:/]\d+")  # how a layer and a head of it would be written
SIZES = ("d_head", "d_value")  # options that it has where its projections can then begin with the old ones

# The stacks of a model whose layers can be replaced, by the name of the half, the one with a state first.
SIDES: dict[type[nn.Module], Callable[[Any], dict[str, Any]]] = {
    Decoder: lambda model: {"decoder": model.mixer},
    SequenceModel: lambda model: {"decoder": model.decoder.mixer, "encoder": model.encoder.encoder},
    EncoderModel: lambda model: {"encoder": model.encoder},
    DirectForecaster: lambda model: {"encoder": model.encoder},
    AutoregressiveForecaster: lambda model: {"decoder": model.mixer},
}


class Started(NamedTuple):
    """A new layer, with the names of what it copied from the old one, and of its parameters that it did not."""

    module: Any
    copied: list[str]
    fresh: list[str]


@final
@dataclass(frozen=True)
class Patient:
    """A task whose model is made of residual layers, and the half of it whose layers are replaced.

    config: of the model, as residual layers of any mechanisms; side: the name of the half
    """

    task: Any
    config: LayersConfig
    side: str
    where: object

    @classmethod
    def of(cls, task: Any, side: str | None, where: object) -> Patient:
        """The patient, and by default the half that carries a state.

        Raises:
            InputError: "runs/x: lstm is not made of residual layers, of which some could be replaced"; "--side: this
                model has no encoder: choose decoder".
        """
        config = task.sizes
        if isinstance(config, TransformerConfig):
            config = config.as_layers()
        known = SIDES.get(type(task.model))
        if not isinstance(config, LayersConfig) or known is None:
            raise InputError(
                f"{task.arch} is not made of residual layers, of which some could be replaced", where=where
            )
        names = list(known(task.model))
        if side is not None and side not in names:
            raise InputError(f"this model has no {side}: choose {' or '.join(names)}", where="--side")
        return cls(task, config, side or names[0], where)

    @property
    def layers(self) -> LayersConfig:
        """The options of the layers of this half."""
        if isinstance(self.config, EncoderDecoderConfig) and self.side == "encoder":
            return self.config.encoder_layers()
        return self.config

    def modules(self, model: nn.Module | None = None) -> list[Any]:
        """The mechanism of each layer, in the task's model or in one like it."""
        return [getattr(part, name) for part, name in self.holders(model)]

    def holders(self, model: nn.Module | None = None) -> list[tuple[nn.Module, str]]:
        """What contains each of `modules`, and the name that it has there."""
        model = self.task.model if model is None else model
        stack: Any = SIDES[type(model)](model)[self.side]
        stack = stack.mixer if isinstance(stack, AsEncoder) else stack
        causal = hasattr(stack, "mixers")
        reads = isinstance(self.config, EncoderDecoderConfig) and self.side == "decoder"
        parts: Any = stack.mixers if causal else stack.encoders
        return [(parts[at], "mixer" if causal else "encoder") for at in self.layers.layer_places(reads_memory=reads)]

    def replaceable(self) -> list[int]:
        """The layers of softmax attention, by number from 1.

        Raises:
            InputError: "runs/x: no layer of its decoder is softmax attention: its layers are linear, linear".
        """
        numbers = [n for n, module in enumerate(self.modules(), 1) if isinstance(module, SelfAttention)]
        if not numbers:
            names = ", ".join(self.layers.layer_mixers)
            raise InputError(
                f"no layer of its {self.side} is softmax attention: its layers are {names}", where=self.where
            )
        return numbers

    def chosen(self, text: str) -> list[int]:
        """The layers that a flag names: all, 2, or 1,3.

        Raises:
            InputError: "--layer: must be between 1 and 2, found 3"; "--layer: layer 1 is gated_delta, not softmax
                attention: choose 2"; "--layer: single heads cannot be replaced, found '2.1': …"; "--layer: expected
                all, a number or 1,3, found 'x'".
        """
        able, most = self.replaceable(), self.layers.layers
        if text.strip() == "all":
            return able
        words = [word.strip() for word in text.split(",")]
        if one := next((word for word in words if HEAD.fullmatch(word)), None):
            raise InputError(
                f"single heads cannot be replaced, found {one!r}: name a whole layer, or remove heads with "
                "`sightline inspect RUN --prune`",
                where="--layer",
            )
        if not all(word.isdecimal() for word in words):
            raise InputError(f"expected all, a number or 1,3, found {text!r}", where="--layer")
        numbers = sorted({int(word) for word in words})
        for number in numbers:
            if not 1 <= number <= most:
                raise InputError(f"must be between 1 and {most}, found {number}", where="--layer")
            if number not in able:
                name = self.layers.layer_mixers[number - 1]
                choose = " or ".join(map(str, able))
                raise InputError(f"layer {number} is {name}, not softmax attention: choose {choose}", where="--layer")
        return numbers

    def start(self, number: int, config: Any, seed: int) -> Started:
        """A new layer in place of the numbered one, begun with its projections where their shapes allow."""
        old = self.modules()[number - 1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "swap", self.side, number))
            new = config.build(self.config.d_model)
        copied = _copy_positions(new, old)
        trained = old.heads.projections()
        drawn = {name: value.clone() for name, value in new.named_parameters()}
        for part in new.modules():
            if isinstance(part, StartsFrom):
                copied += part.start_from(trained)
        fresh = [
            name for name, value in new.named_parameters()
            if value.numel() and torch.equal(value, drawn[name]) and name.split(".")[-2:][0] not in copied
        ]  # fmt: skip
        return Started(new, copied, fresh)


def _copy_positions(new: nn.Module, old: nn.Module) -> list[str]:
    """Copies a table of positions that both layers learn."""
    trained = {name: value for name, value in old.named_parameters() if name.startswith("positions.")}
    copied = []
    for name, value in new.named_parameters():
        if name in trained and trained[name].shape == value.shape:
            with torch.no_grad():
                value.copy_(trained[name])
            copied.append("positions")
    return copied


@final
@dataclass(frozen=True)
class SwapTarget:
    """What takes the place of layers: a mechanism, its options in the model's config, and its own config."""

    mixer: str
    options: dict[str, Any]
    config: Any


def find_target(
    patient: Patient, numbers: Sequence[int], name: str, given: Mapping[str, Any], seed: int = 0
) -> SwapTarget:
    """The mechanism `name` with the settings `given`, otherwise as alike the old layers as it can be.

    Raises:
        InputError: "--to: unknown mechanism 'windw', did you mean 'window'?"; "--to.windw: unknown key, …"; "--to:
            gated_delta reads in one direction, and this encoder's layers see both sides: choose window, …"; "--to:
            another layer is window already, with other settings: a model has one setting of each mechanism".
    """
    if name not in SELF_MIXERS:
        raise InputError(unknown("mechanism", name, SELF_MIXERS), where="--to")
    layers = patient.layers
    others = [mixer for n, mixer in enumerate(layers.layer_mixers, 1) if n not in numbers]
    if patient.side == "encoder" and isinstance(patient.config, EncoderDecoderConfig):
        others += patient.config.layer_mixers
    elif isinstance(patient.config, EncoderDecoderConfig):
        others += patient.config.encoder_layers().layer_mixers
    decoded = override(MIXERS[name](), given, prefix="--to.")
    if name in others and not given:
        options = layers.options.get(name, {})
        return SwapTarget(name, options, _with_options(patient, name, options))
    own = {f.name: getattr(decoded, f.name) for f in fields(decoded) if f.name in given}
    target = _most_alike(patient, numbers[0], name, own, seed)
    if name in others and target.config != _with_options(patient, name, layers.options.get(name, {})):
        raise InputError(
            f"another layer is {name} already, with other settings: a model has one setting of each mechanism",
            where="--to",
        )
    return target


def _most_alike(patient: Patient, number: int, name: str, given: dict[str, Any], seed: int) -> SwapTarget:
    """The target whose layer can copy most of the old one's projections."""
    old = patient.modules()[number - 1]
    before = patient.layers.mixer_config(patient.layers.layer_mixers[number - 1])
    plain = _with_options(patient, name, given)
    known = {key: getattr(before, key) for key in SAME if hasattr(before, key)}
    missing = {f.name for f in fields(plain)} - set(given)
    same = {k: value for k, value in known.items() if k in missing and value != getattr(plain, k)}
    sizes = {key: old.heads.d_head for key in SIZES if key in missing}
    tries = []
    for options in ({**given, **same}, {**given, **same, **sizes}):
        target = SwapTarget(name, options, _with_options(patient, name, options))
        tries.append((len(patient.start(number, target.config, seed).copied), target))
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


def swapped_config(patient: Patient, numbers: Sequence[int], target: SwapTarget) -> LayersConfig:
    """The model's config with these layers replaced."""
    mixers = tuple(target.mixer if n in numbers else mixer for n, mixer in enumerate(patient.layers.layer_mixers, 1))
    options = {**patient.config.options, target.mixer: target.options}
    if not isinstance(patient.config, EncoderDecoderConfig):
        return replace(patient.config, mixers=mixers, options=options)
    halves = {
        "decoder": (mixers, patient.config.encoder_layers().layer_mixers),
        "encoder": (patient.config.layer_mixers, mixers),
    }
    of_decoder, of_encoder = halves[patient.side]
    return replace(patient.config, mixers=of_decoder, encoder_mixers=of_encoder, options=options)


def swapped_task(patient: Patient, target: SwapTarget, layers: Mapping[int, nn.Module]) -> Any:
    """The task with copies of `layers` in place of those with these numbers, and everything else bit for bit."""
    task = patient.task
    if not layers:
        return _saved_and_loaded(task, task.arch, task.sizes, task.model)
    config: Any = swapped_config(patient, list(layers), target)
    with torch.random.fork_rng(devices=[]):
        model = config.build(task.source, task.outputs)
    for number, layer in layers.items():
        holder, name = patient.holders(model)[number - 1]
        setattr(holder, name, copy.deepcopy(layer))
    inside = {id(patient.modules(model)[number - 1]) for number in layers}
    prefixes = tuple(f"{name}." for name, module in model.named_modules() if id(module) in inside)
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
