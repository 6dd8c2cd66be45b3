"""A trained model whose layers or heads are replaced: which of them can be, and what takes their place."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.core.seeds import derive
from sightline.lab.swap.units import SwapUnit, heads_by_layer, parse_units
from sightline.models.head_groups import HeadGroup, HeadGroups, HeadGroupsEncoder, build_group, layer_text
from sightline.models.layers import LayersConfig
from sightline.models.transformer import TransformerConfig
from sightline.parts.projections import StartsFrom
from sightline.parts.self_attention import SelfAttention


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
        if not isinstance(config, LayersConfig) or not config.halves:
            raise InputError(
                f"{task.arch} is not made of residual layers, of which some could be replaced", where=where
            )
        names = list(config.halves)
        if side is not None and side not in names:
            raise InputError(f"this model has no {side}: choose {' or '.join(names)}", where="--side")
        return cls(task, config, side or names[0], where)

    @property
    def layers(self) -> LayersConfig:
        """The options of the layers of this half."""
        return self.config.halves[self.side].layers

    def modules(self, model: nn.Module | None = None) -> list[Any]:
        """The mechanism of each layer, in the task's model or in one like it."""
        return [getattr(part, name) for part, name in self.holders(model)]

    def holders(self, model: nn.Module | None = None) -> list[tuple[nn.Module, str]]:
        """The parent of each of `modules`, and the name that it has there."""
        model = self.task.model if model is None else model
        stack: Any = model.get_submodule(self.config.halves[self.side].path)
        causal = hasattr(stack, "mixers")
        reads = self.side == "decoder" and "encoder" in self.config.halves
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

    def chosen(self, text: str) -> list[SwapUnit]:
        """The layers and heads that a flag names: all, 2, or 1,3, or 2.1,2.3.

        Raises:
            InputError: "--layer: must be between 1 and 2, found 3"; "--layer: layer 1 is gated_delta, not softmax
                attention: choose 2"; "--layer: layer 2 has 4 heads, found 2.9"; "--layer: layer 2 has lost heads
                    before: choose the whole layer"; "--layer: keys of layer 2 are shared by 2 heads each: …"; what
                `parse_units` raises.
        """
        able, most = self.replaceable(), self.layers.layers
        if text.strip() == "all":
            return [SwapUnit(number) for number in able]
        units = parse_units(text)
        for unit in units:
            if not 1 <= unit.layer <= most:
                raise InputError(f"must be between 1 and {most}, found {unit.layer}", where="--layer")
            if unit.layer not in able:
                name = self.layers.layer_mixers[unit.layer - 1]
                choose = " or ".join(map(str, able))
                raise InputError(
                    f"layer {unit.layer} is {name}, not softmax attention: choose {choose}", where="--layer"
                )
            self._check_heads(unit)
        for layer, groups in heads_by_layer(units).items():
            for named in (*groups, tuple(head for heads in groups for head in heads)):
                self._check_shared_keys(layer, named)
        return units

    def _check_heads(self, unit: SwapUnit) -> None:
        heads = self.modules()[unit.layer - 1].heads
        if unit.heads and heads.kept is not None:
            raise InputError(f"layer {unit.layer} has lost heads before: choose the whole layer", where="--layer")
        if any(not 1 <= head <= heads.heads for head in unit.heads):
            raise InputError(f"layer {unit.layer} has {heads.heads} heads, found {unit.text}", where="--layer")

    def _check_shared_keys(self, layer: int, named: tuple[int, ...]) -> None:
        heads = self.modules()[layer - 1].heads
        each = heads.heads // heads.key_heads
        for numbers in (named, [number for number in range(1, heads.heads + 1) if number not in named]):
            shared = [(number - 1) // each for number in numbers]
            if len({shared.count(key) for key in shared}) > 1:
                raise InputError(
                    f"keys of layer {layer} are shared by {each} heads each: of every key, as many of its heads as of "
                    "the others must be named, or none, and as many be left",
                    where="--layer",
                )

    def start(self, unit: SwapUnit, config: Any, seed: int) -> Started:
        """The replacement of a layer or of heads of it, begun with their projections where shapes allow.

        Of heads it gives their part of the layer's output, without the bias, which the heads that stay keep.
        """
        old = self.modules()[unit.layer - 1]
        trained, width = old.heads.projections(), self.config.d_model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(seed, "swap", self.side, unit.layer, *unit.heads))
            new = build_group(config, unit.heads, width) if unit.heads else config.build(width)
        if unit.heads:
            trained = trained.of_heads([number - 1 for number in unit.heads], old.heads.d_head)
        copied = _copy_positions(new, old)
        drawn = {name: value.clone() for name, value in new.named_parameters()}
        for part in new.modules():
            if isinstance(part, StartsFrom):
                copied += part.start_from(trained)
        fresh = [
            name for name, value in new.named_parameters()
            if value.numel() and torch.equal(value, drawn[name]) and name.split(".")[-2:][0] not in copied
        ]  # fmt: skip
        return Started(new, copied, fresh)

    def composed(self, layer: int, parts: Mapping[tuple[int, ...], nn.Module]) -> nn.Module:
        """The numbered layer with `parts` in place of the heads that they are named by, () of all heads.

        The other heads are copies; the parts are not.
        """
        if () in parts:
            return parts[()]
        rest = copy.deepcopy(self.modules()[layer - 1])
        rest.keep_heads([number - 1 for number in self._others(layer, parts)])
        groups: list[Any] = [rest, *(parts[heads] for heads in sorted(parts))]
        return HeadGroups(groups) if rest.causal else HeadGroupsEncoder(groups)

    def composed_name(self, layer: int, groups: Sequence[tuple[int, ...]], mixer: str) -> str:
        """The same as a config has it."""
        if () in groups:
            return mixer
        rest = HeadGroup(self.layers.layer_mixers[layer - 1], tuple(self._others(layer, groups)))
        return layer_text([rest, *(HeadGroup(mixer, heads) for heads in sorted(groups))])

    def _others(self, layer: int, groups: Iterable[tuple[int, ...]]) -> list[int]:
        named = {number for heads in groups for number in heads}
        return [n for n in range(1, self.modules()[layer - 1].heads.heads + 1) if n not in named]


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
