"""Whatever mixers are joined into obeys the same laws."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache

import pytest
from torch import nn

from sightline.mixers import MIXERS
from sightline.models.head_groups import HeadGroups, HeadGroupsEncoder, build_group
from sightline.models.stack import (
    AsEncoder,
    DeepOutput,
    EncoderStack,
    FeedSummary,
    Pointwise,
    Residual,
    ResidualEncoder,
    Stack,
)
from sightline.parts.causal_convolution import CausalConvolution
from sightline.parts.feed_forward import FeedForward
from sightline.parts.positions import AddPositions
from sightline.testing import LAWS, Subject, run_law
from tests.unchecked import unchecked


def mixer(name: str, d_model: int, **options: object):
    return MIXERS[name](**options).build(d_model)


def decoder(d: int) -> Stack:
    return Stack(
        [
            AddPositions(d, "sinusoidal"),
            Residual(mixer("softmax", d, heads=2), nn.LayerNorm(d)),
            Residual(mixer("cross", d, heads=2, d_memory=6), nn.RMSNorm(d, eps=1e-6), "post"),
            Residual(Pointwise(FeedForward(d, 2 * d, "swiglu"), d), nn.LayerNorm(d)),
        ]
    )


def with_summary(d: int) -> Stack:
    inner = Stack([mixer("gru", 2 * d, d_hidden=d, d_summary=7), mixer("lstm", d, d_hidden=d)])
    return Stack([FeedSummary(d, 7), DeepOutput(inner, d)])


def encoder(d: int) -> EncoderStack:
    return EncoderStack(
        [
            AsEncoder(AddPositions(d, "learned", limit=64)),
            ResidualEncoder(mixer("softmax", d, heads=2, causal=False), nn.LayerNorm(d)),
            ResidualEncoder(AsEncoder(Pointwise(FeedForward(d, d, "gelu"), d)), nn.LayerNorm(d), "post"),
            mixer("bidirectional", d, d_hidden=3),
        ]
    )


def head_groups(d: int) -> HeadGroups:
    return HeadGroups([group("softmax", d, 2, 4, positions="rotary"), group("gated_linear", d, 1, 3, d_value=2)])


def head_groups_of_both_sides(d: int) -> HeadGroupsEncoder:
    causal = {"causal": False, "positions": "alibi"}
    return HeadGroupsEncoder([group("softmax", d, 1, 3, **causal), group("window", d, 2, 4, window=3, **causal)])


def group(name: str, d: int, *heads: int, **options: object):
    return build_group(MIXERS[name](heads=4, d_head=3, **options), heads, d)


BUILDERS: dict[str, Callable[[int], nn.Module]] = {
    "a decoder layer": decoder,
    "summary at every step": with_summary,
    "an encoder": encoder,
    "groups of heads": head_groups,
    "groups of heads that see both sides": head_groups_of_both_sides,
    "positions alone": AddPositions,
    "a short convolution": CausalConvolution,
    "bahdanau in a stack": lambda d: Stack([mixer("rnn", d), mixer("additive", d, d_memory=6)]),
}


@dataclass(frozen=True)
class Composite:
    """A name that the decoder can write, and its meaning."""

    name: str

    def build(self, d_model: int) -> nn.Module:
        return BUILDERS[self.name](d_model)


@cache
def subject(name: str) -> Subject:
    return Subject(Composite(name))


# tests/contract/test_laws.py has the other two for every mechanism; composites add nothing to them but time.
CHECKED = [
    pytest.param(law, marks=pytest.mark.slow if law == "gradcheck" else ())
    for law in LAWS
    if law not in ("long and large", "compiled = eager")
]


# The layers of decoders are checked in whole models too (tests/models/test_laws.py).
NAMES = [pytest.param(name, marks=pytest.mark.slow if name == "a decoder layer" else ()) for name in BUILDERS]


@pytest.mark.parametrize("law", CHECKED)
@pytest.mark.parametrize("name", NAMES)
def test_law(name: str, law: str) -> None:
    with unchecked() if law == "gradcheck" else nullcontext():  # checked calls take four times as long
        result = run_law(law, subject(name))
    assert result.passed is not False, str(result)
