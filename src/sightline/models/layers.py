"""Residual layers of any mechanisms of the table, of which most models since the Transformer consist."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import cycle, islice
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import nn

from sightline.core.config import decode
from sightline.core.errors import InputError
from sightline.core.mixer import SequenceEncoder, SequenceMixer
from sightline.core.settings import CheckedConfig, key
from sightline.core.suggest import unknown
from sightline.mixers import MIXERS
from sightline.mixers.bidirectional import Bidirectional
from sightline.models.head_groups import HeadGroups, HeadGroupsEncoder, build_group, check_layer, parse_layer
from sightline.models.stack import AsEncoder, EncoderStack, NormOrder, Pointwise, Residual, ResidualEncoder, Stack
from sightline.parts.causal_convolution import CausalConvolution
from sightline.parts.feed_forward import Activation, FeedForward
from sightline.parts.norm import Norm, make_norm
from sightline.parts.positions import AddPositions, PositionEncoding

C = TypeVar("C", bound="LayersConfig")
T = TypeVar("T")


@dataclass(frozen=True)
class LayersConfig(CheckedConfig):
    """`layers` times (mixer, feed-forward), each inside a residual, the mixers taken in turn from `mixers`.

    mixers: names of mechanisms that read their own sequence; ("window", "gated_delta", "softmax") makes every third
        layer see everything. "softmax:1.3+window:2.4" is a layer whose heads are of two mechanisms, see `head_groups`
    options: of a mixer, by its name, as its config has them
    heads, positions: of every mixer that has heads, or positions inside, and no option of its own for them
    input_positions: added once, to what the first layer reads (Vaswani et al. 2017, § 3.5), for every mechanism
    convolution: k > 0 puts a short convolution over k positions, in a residual of its own, before each mixer
    d_feed_forward: None = 4·d_model, for swiglu 8/3·d_model, which has as many weights; 0 leaves it out
    order: "pre" puts a norm before each sublayer and one after the last, "post" one after each
    """

    mixers: tuple[str, ...] = key(
        ("softmax",),
        "Mechanism of each layer; the list is repeated if there are more layers. softmax:1.3+window:2.4: heads 1 and 3 "
        "of one mechanism, 2 and 4 of another.",
    )
    options: dict[str, dict[str, Any]] = key(description="Options of a mechanism, by its name.", factory=dict)
    d_model: int = key(64, "Width of the model.")
    layers: int = key(2, "Number of layers.", at_least=1)
    heads: int = key(4, "Number of heads.")
    positions: PositionEncoding = key("rotary", "Position encoding.")
    input_positions: Literal["none", "sinusoidal", "learned"] = key(
        "none", "Position encoding that is added once, to the input of the first layer."
    )
    convolution: int = key(0, "Width of a short causal convolution before each mechanism; 0: none.")
    d_feed_forward: int | None = key(
        None, "Width of the feed-forward layers; null: 4·d_model (swiglu 8/3·d_model); 0: none."
    )
    activation: Activation = key("gelu", "Activation of the feed-forward layers.")
    norm: Norm = key("rms", "Norm.")
    order: NormOrder = key("pre", "Norms before (pre) or after (post) each sublayer.")
    dropout: float = key(0.1, "Share of values that dropout sets to zero.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.mixers:
            raise InputError("needs at least one mixer", where="mixers")
        if self.convolution < 0 or self.convolution == 1:
            raise InputError(f"must be 0 or at least 2, found {self.convolution}", where="convolution")
        for name in self.options:
            if name not in SELF_MIXERS:
                raise InputError(unknown("mixer", name, SELF_MIXERS), where="mixers")
            if "causal" in self.options[name]:
                raise InputError(
                    "follows from the model: a decoder's layers are causal, an encoder's see both sides",
                    where=f"options.{name}.causal",
                )
            self.mixer_config(name)
        for layer in self.mixers:
            check_layer(layer, SELF_MIXERS, self.mixer_config)

    def resized(self: C, d_model: int) -> C:
        """The same architecture at another width, the feed-forward width in proportion."""
        wide = self.d_feed_forward and max(1, self.d_feed_forward * d_model // self.d_model)
        return replace(self, d_model=d_model, d_feed_forward=wide)

    def mixer_config(self, name: str, **changes: Any) -> Any:
        """The config of the mixer `name`: its options, else `heads` and `positions`, and `changes` where it has them.

        Raises:
            InputError: "options.window: unknown key 'windw', did you mean 'window'?"
        """
        chosen = self.options.get(name, {})
        config: Any = decode(MIXERS[name], chosen, where=f"options.{name}")
        values: dict[str, Any] = {"heads": self.heads, "positions": self.positions, **changes}
        missing = {f.name for f in fields(config)} - set(chosen)
        return replace(config, **{key: value for key, value in values.items() if key in missing})

    def causal_layers(self, below: Sequence[SequenceMixer] = (), *, reads_memory: bool = False) -> Stack:
        """`below` and the layers as one causal mixer, with cross-attention to a memory in each where it reads one.

        The memory has the width d_model.
        """
        layers: list[SequenceMixer] = [*below, *self._input_positions(), self._dropout()]
        for name in self.layer_mixers:
            if self.convolution:
                layers.append(self._around(Residual, self._convolution()))
            layers.append(self._around(Residual, self._causal(name)))
            if reads_memory:
                layers.append(self._around(Residual, MIXERS["cross"](self.heads).build(self.d_model)))
            if self._d_hidden:
                layers.append(self._around(Residual, self._feed_forward()))
        return Stack([*layers, *self._last()])

    def full_layers(self, below: Sequence[SequenceMixer] = ()) -> EncoderStack:
        """`below` and the layers as an encoder: mechanisms in their two-sided form, or else in both directions."""
        layers: list[SequenceEncoder] = [
            AsEncoder(layer) for layer in (*below, *self._input_positions(), self._dropout())
        ]
        for name in self.layer_mixers:
            if self.convolution:
                both = self._both_ways(self._convolution(), self._convolution())
                layers.append(self._around(ResidualEncoder, both))
            layers.append(self._around(ResidualEncoder, self._full(name)))
            if self._d_hidden:
                layers.append(self._around(ResidualEncoder, AsEncoder(self._feed_forward())))
        return EncoderStack([*layers, *(AsEncoder(norm) for norm in self._last())])

    @property
    def halves(self) -> dict[str, ModelHalf]:
        """The stacks of layers that a model of these options has, by name, the one with a state first."""
        return {}

    @property
    def layer_mixers(self) -> tuple[str, ...]:
        """The mechanism of each layer."""
        return tuple(islice(cycle(self.mixers), self.layers))

    @property
    def mechanisms(self) -> set[str]:
        """The names of all mechanisms of the layers."""
        return {group.mixer for layer in self.mixers for group in parse_layer(layer)}

    def layer_places(self, *, reads_memory: bool = False) -> list[int]:
        """The place of each layer's mechanism among the parts of `causal_layers` or `full_layers`."""
        before = int(self.convolution > 0)
        first = (self.input_positions != "none") + 1 + before
        return [first + layer * (before + 1 + reads_memory + (self._d_hidden > 0)) for layer in range(self.layers)]

    def _causal(self, layer: str) -> SequenceMixer:
        groups = [self._group(*group) for group in parse_layer(layer)]
        return groups[0] if len(groups) == 1 else HeadGroups(groups)

    def _full(self, layer: str) -> SequenceEncoder:
        groups = [self._full_group(*group) for group in parse_layer(layer)]
        return groups[0] if len(groups) == 1 else HeadGroupsEncoder(groups)

    def _full_group(self, name: str, heads: tuple[int, ...] | None) -> SequenceEncoder:
        if hasattr(self.mixer_config(name), "causal"):
            return self._group(name, heads, causal=False)
        return self._both_ways(self._group(name, heads), self._group(name, heads))

    def _group(self, name: str, heads: tuple[int, ...] | None, **changes: Any) -> Any:
        config = self.mixer_config(name, **changes)
        return config.build(self.d_model) if heads is None else build_group(config, heads, self.d_model)

    def _both_ways(self, ahead: SequenceMixer, back: SequenceMixer) -> EncoderStack:
        both = Bidirectional(ahead, back)
        join = nn.Linear(both.d_out, self.d_model)
        return EncoderStack([both, AsEncoder(Pointwise(join, both.d_out, self.d_model))])

    @property
    def _d_hidden(self) -> int:
        """The feed-forward width."""
        if self.d_feed_forward is not None:
            return self.d_feed_forward
        return 4 * self.d_model if self.activation != "swiglu" else -(-8 * self.d_model // 3)

    def _feed_forward(self) -> Pointwise:
        return Pointwise(FeedForward(self.d_model, self._d_hidden, self.activation), self.d_model)

    def _around(self, residual: Callable[..., T], inner: SequenceMixer | SequenceEncoder) -> T:
        return residual(inner, make_norm(self.norm, self.d_model), self.order, self.dropout)

    def _convolution(self) -> CausalConvolution:
        return CausalConvolution(self.d_model, self.convolution)

    def _input_positions(self) -> list[SequenceMixer]:
        return [] if self.input_positions == "none" else [AddPositions(self.d_model, self.input_positions)]

    def _dropout(self) -> Pointwise:
        return Pointwise(nn.Dropout(self.dropout), self.d_model)

    def _last(self) -> list[SequenceMixer]:
        return [Pointwise(make_norm(self.norm, self.d_model), self.d_model)] if self.order == "pre" else []


class ModelHalf(NamedTuple):
    """A stack of layers: its path in the model, its options, and the field of the model's config for `mixers`."""

    path: str
    layers: LayersConfig
    field: str = "mixers"


def reads_itself(kind: type[Any]) -> bool:
    """Whether a mechanism, by its config class, is causal and reads its own sequence: it can be a layer."""
    # Not on the meta device, which imports torch's compiler for arithmetic.
    with torch.random.fork_rng(devices=[]):
        mixer = kind().build(64)
    return mixer.causal and mixer.d_memory is None


SELF_MIXERS = [name for name, kind in MIXERS.items() if reads_itself(kind)]
