"""The laws over whole architectures, from source tokens to logits; decoding relies on every one of them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

import sightline.models.encoder as encoder_module
from sightline.core.state import select
from sightline.models import ARCHITECTURES

SOURCE, TARGET = 11, 9
LENGTHS = (7, 4, 1)
MEMORY = 10


@cache
def model(arch: str):
    config = replace(ARCHITECTURES[arch], d_model=8)
    if hasattr(config, "heads"):
        config = replace(config, heads=2, layers=max(2, len(getattr(config, "mixers", ()))), d_feed_forward=12)
    vocabulary = TARGET if getattr(config, "tie", None) == "all" else SOURCE
    torch.manual_seed(0)
    return config.build(vocabulary, TARGET).double().eval()


def tokens(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(3, TARGET, shape, generator=torch.Generator().manual_seed(seed))


def padded(kind: str, padding: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Sources (B, M) of `LENGTHS`, padded with the id `padding`, and their mask."""
    source, mask = torch.full((len(LENGTHS), MEMORY), padding), torch.zeros(len(LENGTHS), MEMORY, dtype=torch.bool)
    for row, length in enumerate(LENGTHS):
        places = {
            "right": torch.arange(length),
            "left": torch.arange(MEMORY - length, MEMORY),
            "holes": torch.randperm(MEMORY, generator=torch.Generator().manual_seed(row))[:length].sort().values,
        }[kind]
        source[row, places] = tokens(3, MEMORY)[row, :length]
        mask[row, places] = True
    return source, mask


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-10)


def assert_padding_changes_nothing(arch: str, kind: str) -> None:
    source, mask = padded(kind)
    target = tokens(len(LENGTHS), 6, seed=1)
    logits = model(arch)(source, mask, target)
    for row in range(len(LENGTHS)):
        alone = model(arch)(source[row : row + 1, mask[row]], None, target[row : row + 1])
        assert_close(logits[row : row + 1], alone)
    other, _ = padded(kind, padding=5)
    assert torch.equal(model(arch)(other, mask, target), logits)


@pytest.mark.parametrize("kind", ["left", "right", "holes"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_source_padding_changes_nothing(arch, kind):
    assert_padding_changes_nothing(arch, kind)


@pytest.mark.parametrize("arch", ["bahdanau", "luong"])
def test_a_final_state_taken_at_the_first_column_is_seen(arch, monkeypatch):
    """The planted bug: the backward half's last state is looked for at position 0, be it padding or not."""
    original = encoder_module.FullEncoder.forward

    def forward(self, source, mask=None):
        memory = original(self, source, mask)
        return memory._replace(summary=memory.values[:, 0, memory.values.shape[2] // 2 :])

    monkeypatch.setattr(encoder_module.FullEncoder, "forward", forward)
    with pytest.raises(AssertionError):
        assert_padding_changes_nothing(arch, "left")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_steps_and_chunks_give_the_logits_of_teacher_forcing(arch):
    source, mask = padded("right")
    target = tokens(len(LENGTHS), 6, seed=1)
    with torch.no_grad():
        expected = model(arch)(source, mask, target)
        start = model(arch).initial_state(model(arch).encode(source, mask))
        state, logits = start, []
        for token in target.unbind(1):
            step, state = model(arch).step(token, state)
            logits.append(step)
        assert_close(torch.stack(logits, 1), expected)
        for cut in (0, 1, 4):
            first, state = model(arch).decode(target[:, :cut], start)
            second, _ = model(arch).decode(target[:, cut:], state)
            assert_close(torch.cat([first, second], 1), expected)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_logits_do_not_see_later_targets(arch):
    source, mask = padded("right")
    target, other = tokens(len(LENGTHS), 6, seed=1), tokens(len(LENGTHS), 6, seed=2)
    changed = torch.cat([target[:, :3], other[:, 3:]], 1)
    logits = model(arch)(source, mask, target)
    assert torch.equal(model(arch)(source, mask, changed)[:, :3], logits[:, :3])


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_selected_states_decode_their_own_rows(arch):
    source, mask = padded("right")
    target, index = tokens(len(LENGTHS), 6, seed=1), torch.tensor([2, 0, 0, 1])
    with torch.no_grad():
        _, state = model(arch).decode(target[:, :3], model(arch).initial_state(model(arch).encode(source, mask)))
        result, _ = model(arch).decode(target[index, 3:], select(state, index))
        assert_close(result, model(arch)(source[index], mask[index], target[index])[:, 3:])


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_parameter_learns_and_an_empty_source_is_harmless(arch):
    source, mask = padded("right")
    mask[2] = False
    model(arch).zero_grad()
    logits = model(arch)(source, mask, tokens(len(LENGTHS), 6, seed=1))
    logits.square().sum().backward()
    assert torch.isfinite(logits).all()
    for name, parameter in model(arch).named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if not name.endswith("key.bias"):  # softmax does not see a shift of all keys' scores
            assert parameter.grad.any(), name
