"""Layers whose heads are of several mechanisms: groups of heads that read the same input, each with its own state.

In a model's config such a layer is written `softmax:1.3+window:2.4`: heads 1 and 3 are of softmax attention, heads 2
and 4 of a window. Every head from 1 to `heads` belongs to one group.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from functools import reduce
from operator import add
from typing import Any, NamedTuple, final

from torch import Tensor, nn

from sightline.core.errors import InputError
from sightline.core.mixer import Memory, SequenceEncoder, SequenceMixer
from sightline.core.suggest import unknown
from sightline.parts.attention_heads import PrunableHeads

GROUP = re.compile(r"([^:+]+):(none|[1-9][0-9]{0,5}(?:\.[1-9][0-9]{0,5})*)")
SIZES = ("d_head", "d_value")


class HeadGroup(NamedTuple):
    """A mechanism and the numbers of its heads, from 1; None: it is the layer's only mechanism."""

    mixer: str
    heads: tuple[int, ...] | None = None


def parse_layer(text: str) -> tuple[HeadGroup, ...]:
    """The groups of a layer as a config writes it: one mechanism, or `softmax:1.3+window:2.4`.

    Raises:
        InputError: "mixers: expected a mechanism, or groups of heads such as softmax:1.3+window:2.4, found
            'softmax:+window'".
    """
    if ":" not in text and "+" not in text:
        return (HeadGroup(text),)
    groups = [GROUP.fullmatch(part) for part in text.split("+")]
    if len(groups) < 2 or not all(groups):
        raise InputError(
            f"expected a mechanism, or groups of heads such as softmax:1.3+window:2.4, found {text[:80]!r}",
            where="mixers",
        )
    return tuple(HeadGroup(one[1], _numbers(one[2])) for one in groups if one)


def _numbers(text: str) -> tuple[int, ...]:
    return () if text == "none" else tuple(map(int, text.split(".")))


def layer_text(groups: Iterable[HeadGroup]) -> str:
    """The groups as a config writes them, see `parse_layer`."""
    return "+".join(
        one.mixer if one.heads is None else f"{one.mixer}:{'.'.join(map(str, one.heads)) or 'none'}" for one in groups
    )


def check_layer(text: str, known: Sequence[str], config_of: Callable[[str], Any]) -> None:
    """Refuse a layer with unknown mechanisms, or whose groups do not have each of its heads once.

    known: the mechanisms that can be a layer; config_of: their configs by name

    Raises:
        InputError: "mixers: unknown mixer 'windw', did you mean 'window'?"; "mixers: gru has no heads, of which some
            could be of another mechanism"; "mixers: softmax:1+window:3: each head from 1 to 4 belongs to one group".
    """
    groups = parse_layer(text)
    for one in groups:
        if one.mixer not in known:
            raise InputError(unknown("mixer", one.mixer, known), where="mixers")
    configs = [config_of(one.mixer) for one in groups]
    if groups[0].heads is None:
        return
    for one, config in zip(groups, configs, strict=True):
        if not hasattr(config, "heads"):
            raise InputError(f"{one.mixer} has no heads, of which some could be of another mechanism", where="mixers")
    counts = sorted({config.heads for config in configs})
    if len(counts) > 1:
        raise InputError(
            f"{text[:80]}: the groups are of layers with {counts[0]} and {counts[1]} heads", where="mixers"
        )
    if sorted(number for one in groups for number in one.heads or ()) != list(range(1, counts[0] + 1)):
        raise InputError(f"{text[:80]}: each head from 1 to {counts[0]} belongs to one group", where="mixers")


def build_group(config: Any, heads: Sequence[int], d_model: int) -> Any:
    """The heads with these numbers, from 1, of the layer that `config` builds.

    Where heads can be removed, the others are; other mechanisms are built with so many heads of the size that all of
    them would have.

    Raises:
        ValueError: what `PrunableHeads.keep_heads` and the mechanism raise.
    """
    layer = config.build(d_model)
    if isinstance(layer, PrunableHeads):
        layer.keep_heads([number - 1 for number in heads])
        return layer
    projections = getattr(layer, "heads", None)
    own = {
        name: getattr(layer, name, None) or getattr(projections, name, None)
        for name in (field.name for field in fields(config))
        if name in SIZES
    }
    return replace(config, heads=len(heads), **{name: size for name, size in own.items() if size}).build(d_model)


class HeadGroupsState(NamedTuple):
    """The state of each group, in order."""

    groups: tuple[Any, ...]


def _check_widths(groups: Sequence[SequenceMixer | SequenceEncoder]) -> int:
    widths = {width for group in groups for width in (group.d_model, group.d_out)}
    if len(widths) != 1:
        raise ValueError(f"groups of heads read and give one width, found {sorted(widths)}")
    return widths.pop()


@final
class HeadGroups(SequenceMixer[HeadGroupsState]):
    """y = Σ_g mixer_g(x): the groups of a layer's heads, each with its part of the output projection.

    W [h_1; …; h_H] is the sum of W_g [heads of g], so that a layer of one mechanism, its heads divided into groups,
    computes what it did before. Dong et al. 2024 ("Hymba", arXiv:2411.13676, § 2.1) put attention and state space heads
    into one layer in this way; deviation: they norm and scale each group's output before the sum.
    """

    def __init__(self, groups: Sequence[SequenceMixer]) -> None:
        super().__init__()
        self.d_model = self.d_out = _check_widths(groups)
        self.groups = nn.ModuleList(groups)

    def initial_state(self, batch: int, memory: Memory | None = None) -> HeadGroupsState:
        groups: Iterable[Any] = self.groups
        return HeadGroupsState(tuple(group.initial_state(batch, memory) for group in groups))

    def forward(
        self, x: Tensor, state: HeadGroupsState | None = None, mask: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, HeadGroupsState]:
        state = self.initial_state(x.shape[0]) if state is None else state
        results = [group(x, own, mask, starts) for group, own in zip(self.groups, state.groups, strict=True)]
        return _summed(results)

    def step(self, x_t: Tensor, state: HeadGroupsState) -> tuple[Tensor, HeadGroupsState]:
        groups: Iterable[Any] = self.groups
        return _summed([group.step(x_t, own) for group, own in zip(groups, state.groups, strict=True)])


def _summed(results: Sequence[tuple[Tensor, Any]]) -> tuple[Tensor, HeadGroupsState]:
    return reduce(add, (y for y, _ in results)), HeadGroupsState(tuple(state for _, state in results))


@final
class HeadGroupsEncoder(SequenceEncoder):
    """`HeadGroups` of mechanisms that see both sides."""

    def __init__(self, groups: Sequence[SequenceEncoder]) -> None:
        super().__init__()
        self.d_model = self.d_out = _check_widths(groups)
        self.groups = nn.ModuleList(groups)

    def forward(self, x: Tensor, mask: Tensor | None = None, starts: Tensor | None = None) -> Tensor:
        return reduce(add, (group(x, mask, starts) for group in self.groups))
