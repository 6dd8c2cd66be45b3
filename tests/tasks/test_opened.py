"""Replacements of positions: every one differs from the input in what the position covers, and nowhere else."""

from __future__ import annotations

import pytest
import torch

from sightline.tasks.opened import patch_spans, replaced_patches, replaced_stretches, replaced_tokens


@pytest.mark.parametrize("spans", [patch_spans(4, 1, 1, 4), patch_spans(4, 2, 1, 3)], ids=["steps", "overlapping"])
def test_a_stretch_is_replaced_by_another_one(spans):
    values = torch.arange(8.0).view(1, 4, 2)
    replaced = replaced_stretches(values, spans)
    for position, (first, end) in enumerate(spans):
        for one in replaced(position, 40):
            assert not torch.equal(one[first:end], values[0, first:end])
            assert any(torch.equal(one[first:end], values[0, at : at + end - first]) for at in range(5 - end + first))
            assert torch.equal(one[:first], values[0, :first])
            assert torch.equal(one[end:], values[0, end:])


def test_all_others_are_drawn_and_a_span_of_everything_stays():
    values = torch.arange(5.0).view(1, 5, 1)
    drawn = replaced_stretches(values, patch_spans(5, 1, 1, 5))(2, 200)[:, 2, 0]
    assert set(drawn.tolist()) == {0.0, 1.0, 3.0, 4.0}
    assert torch.equal(replaced_stretches(values, [(0, 5)])(0, 3), values.expand(3, 5, 1))


def test_a_token_and_a_patch_are_replaced_by_others():
    tokens = torch.tensor([[4, 7, 9]])
    for position in range(3):
        assert (replaced_tokens(tokens, 4, 10)(position, 50)[:, position] != tokens[0, position]).all()
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    for position in range(4):
        changed = replaced_patches(picture, 2)(position, 20)
        assert ((changed != picture).flatten(1).sum(1) == 4).all()
