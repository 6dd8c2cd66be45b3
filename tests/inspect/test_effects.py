"""Effects of replacing positions, against loops and against what a model is known to depend on."""

from __future__ import annotations

import pytest
import torch

from sightline.inspect.effects import effects_of_replacing, numbers_moved
from sightline.inspect.faithfulness import replacement_effect
from sightline.models.encoder_model import EncoderConfig


@pytest.mark.parametrize("rows", [64, 4, 1])
def test_effects_of_a_classifier_are_those_of_the_battery(rows: int) -> None:
    model = EncoderConfig(("gru",), d_model=8, pooling="last").build(11, 3).double().eval()
    tokens = torch.randint(11, (1, 6))
    mask = torch.ones_like(tokens, dtype=torch.bool)
    others = [torch.randint(11, (1, 6)) for _ in range(3)]

    def replaced(position: int) -> torch.Tensor:
        changed = tokens.repeat(3, 1)
        changed[:, position] = torch.cat(others)[:, position]
        return changed

    found = effects_of_replacing(lambda x: model(x).unsqueeze(1), tokens, replaced, 6, rows=rows)
    assert found.shape == (1, 6)
    assert torch.allclose(found, replacement_effect(model, tokens, mask, others), atol=1e-12)


def test_the_effect_is_where_the_answer_comes_from():
    """Each output copies the input two positions before; a position without replacements has none."""
    inputs = torch.arange(5.0).view(1, 5, 1)

    def replaced(position: int) -> torch.Tensor:
        changed = inputs.repeat(2 if position else 0, 1, 1)
        changed[:, position] += torch.tensor([[1.0], [3.0]])[: len(changed)]
        return changed

    found = effects_of_replacing(lambda x: x.roll(2, 1), inputs, replaced, 5, numbers_moved)
    expected = torch.zeros(5, 5)
    for position in range(1, 5):
        expected[(position + 2) % 5, position] = 2.0
    assert torch.equal(found, expected)
