"""A state lies where its model lies: decoding takes its device for that of tokens, scores and history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from sightline.core.mixer import Memory, SequenceMixer
from sightline.core.state import leaves, map_state
from sightline.mixers import MIXERS
from sightline.models import ARCHITECTURES, LANGUAGE_MODELS
from sightline.parts.positions import AddPositions
from sightline.tasks.texts_out.writer import example_memory
from sightline.testing import Subject

META = torch.device("meta")  # in place of a GPU: a device of its own, whose tensors have no content
VOCABULARY = 11


def small(config: Any) -> Any:
    sizes = {"d_model": 8, "heads": 2, "d_feed_forward": 12, "layers": max(2, len(getattr(config, "mixers", ())))}
    return replace(config, **{name: size for name, size in sizes.items() if hasattr(config, name)})


def with_positions(config: Any) -> Iterator[Any]:
    """The config, and those with positions that are added to the input."""
    yield config
    for name in ("positions", "input_positions"):
        if hasattr(config, name):
            yield from (replace(config, **{name: kind}) for kind in ("sinusoidal", "learned"))


def assert_on_meta(module: nn.Module, memory: Memory | None) -> None:
    memory = None if memory is None else map_state(lambda tensor: tensor.to(META), memory)
    state = module.to(META).initial_state(2, memory)  # type: ignore[operator]
    assert {leaf.device for leaf in leaves(state)} <= {META}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_state_of_an_architecture_follows_its_device(name: str) -> None:
    for config in with_positions(small(ARCHITECTURES[name])):
        model = config.build(VOCABULARY, VOCABULARY)
        memory = map_state(lambda tensor: tensor.repeat_interleave(2, 0), example_memory(model, masked=True))
        assert_on_meta(model.decoder, memory)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_the_state_of_a_language_model_follows_its_device(name: str) -> None:
    for config in with_positions(small(LANGUAGE_MODELS[name])):
        assert_on_meta(config.build(VOCABULARY), None)


@pytest.mark.parametrize("name", MIXERS)
def test_the_state_of_a_mechanism_follows_its_device(name: str) -> None:
    for config in dict.fromkeys((MIXERS[name](), *MIXERS[name].examples())):
        subject = Subject(config)
        if isinstance(module := subject.fresh(), SequenceMixer):
            assert_on_meta(module, subject.memory(2))


def test_added_positions_are_no_weights() -> None:
    positions = AddPositions(8)
    assert positions.state_dict() == {}
    positions.load_state_dict({})
