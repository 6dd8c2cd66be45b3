"""A state lies where its model lies: decoding takes its device for that of tokens, scores and history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sightline.core import doubles
from sightline.core.mixer import Memory, SequenceMixer
from sightline.core.state import leaves, map_state
from sightline.mixers import MIXERS
from sightline.mixers.softmax import SoftmaxConfig
from sightline.models import ARCHITECTURES, LANGUAGE_MODELS
from sightline.parts.positions import AddPositions, alibi_slopes, rotate, sinusoid
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


class WithoutDoubles(TorchDispatchMode):
    """Meta tensors are those of a device without float64, and become zeros on the CPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        device = (kwargs or {}).get("device")
        if function is torch.ops.aten._to_copy.default and device == torch.device("cpu") and args[0].is_meta:
            return torch.zeros(args[0].shape, dtype=args[0].dtype)
        result = function(*args, **(kwargs or {}))
        for part in tree_leaves(result):
            if isinstance(part, torch.Tensor) and part.is_meta and part.dtype == torch.float64:
                raise TypeError(f"the device has no float64: {function}")
        return result


# Gated linear attention looks at its decays, which meta tensors do not have.
@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "gated_linear"])
def test_an_architecture_needs_no_float64_of_its_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubles, "LACKING", {"meta"})
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # does not know this device
    source = torch.zeros(2, 5, dtype=torch.long, device=META)
    for config in with_positions(small(ARCHITECTURES[name])):
        if "learned" in (getattr(config, "positions", ""), getattr(config, "input_positions", "")):
            continue  # whose limit is checked by looking at positions
        with WithoutDoubles(), torch.no_grad():
            model = config.build(VOCABULARY, VOCABULARY).eval().to(META)
            state = model.initial_state(model.encode(source))
            _, state = model.step(source[:, 0], state)
            logits, _ = model.decode(source, state)
        assert logits.is_meta


def test_slopes_of_alibi_are_as_precise_as_their_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def slopes(device: torch.device) -> torch.Tensor:
        attention = SoftmaxConfig(heads=2, positions="alibi").build(8).to(device)
        attention(torch.zeros(1, 5, 8, device=device))
        slopes = attention.positions.slopes
        assert slopes is not None
        return slopes

    assert slopes(META).dtype == torch.float64
    monkeypatch.setattr(doubles, "LACKING", {"meta"})
    with WithoutDoubles():
        assert slopes(META).dtype == torch.float32
        assert torch.equal(slopes(torch.device("cpu")), alibi_slopes(2))


@pytest.mark.parametrize("d_model", [7, 64])
def test_positions_beside_a_device_without_float64_are_the_same(d_model: int, monkeypatch: pytest.MonkeyPatch) -> None:
    positions, x = torch.randint(70_000, (2, 9)), torch.randn(2, 3, 9, d_model)

    def results() -> list[torch.Tensor]:
        with torch.enable_grad():  # without gradients they are looked up
            return [sinusoid(positions, d_model, torch.float32), rotate(x, positions)]

    expected = results()
    monkeypatch.setattr(doubles, "LACKING", {"cpu"})
    assert all(map(torch.equal, results(), expected))


def test_added_positions_are_no_weights() -> None:
    positions = AddPositions(8)
    assert positions.state_dict() == {}
    positions.load_state_dict({})
