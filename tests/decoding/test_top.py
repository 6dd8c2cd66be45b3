"""The largest logits by blocks are those of a search through all."""

from __future__ import annotations

import pytest
import torch

from sightline.decoding.top import argmax, top


@pytest.mark.parametrize("tokens", [5, 2047, 2048, 2176, 3001])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_largest_are_those_of_topk(tokens, count):
    logits = torch.randn(40, tokens, generator=torch.Generator().manual_seed(0))
    logits[0, -1] = 9.0  # in what is left over after whole blocks
    logits[1, -3:] = torch.tensor([7.0, 9.0, 8.0])
    logits[2, :3] = torch.tensor([7.0, 9.0, 8.0])  # all in one block
    values, places = top(logits, count)
    expected = logits.topk(count, 1)
    assert torch.equal(values, expected.values)
    assert torch.equal(places, expected.indices)
    assert torch.equal(argmax(logits), logits.argmax(1))


@pytest.mark.parametrize("tokens", [5, 2048, 3001])
def test_ties_go_to_the_lowest_token(tokens):
    for first in (0, 3, tokens - 2):
        logits = torch.zeros(1, tokens)
        logits[0, first] = logits[0, -1] = 1.0
        assert argmax(logits).item() == top(logits, 1)[1].item() == first
    assert argmax(torch.full((1, tokens), -torch.inf)).item() == 0
