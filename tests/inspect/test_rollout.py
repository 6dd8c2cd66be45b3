"""Rollout and value-weighted norms equal their definitions, written as loops."""

from __future__ import annotations

import pytest
import torch

from sightline.inspect.rollout import attention_rollout, value_weighted_norms


def maps(layers, *shape):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(*shape, generator=generator, dtype=torch.double).softmax(-1) for _ in range(layers)]


def test_rollout_is_the_sum_over_all_paths():
    weights = maps(3, 2, 4, 5, 5)
    rolled = attention_rollout(weights)
    torch.testing.assert_close(rolled.sum(2), torch.ones(2, 5, dtype=torch.double))
    for b in range(2):
        for to in range(5):
            for source in range(5):
                total = 0.0
                for one in range(5):
                    for two in range(5):
                        steps = [(0, one, source), (1, two, one), (2, to, two)]
                        product = 1.0
                        for layer, t, s in steps:
                            product *= 0.5 * float(weights[layer][b, :, t, s].mean()) + 0.5 * (t == s)
                        total += product
                assert float(rolled[b, to, source]) == pytest.approx(total, abs=1e-12)


def test_without_residual_the_rollout_is_the_product_of_the_maps():
    first, second = maps(2, 2, 5, 5)
    torch.testing.assert_close(attention_rollout([first, second], residual=0.0), second @ first)


@pytest.mark.parametrize(
    ("weights", "residual", "problem"),
    [
        ([], 0.5, "no layers"),
        (maps(1, 2, 5, 5), 1.5, "the residual's share must be from 0 to 1, got 1.5"),
        (maps(1, 2, 5, 7), 0.5, r"a rollout needs maps of a sequence over itself, got \(2, 5, 7\)"),
    ],
)
def test_what_cannot_be_rolled_out_is_refused(weights, residual, problem):
    with pytest.raises(ValueError, match=problem):
        attention_rollout(weights, residual)


def test_norms_are_those_of_what_each_key_adds():
    (weights,) = maps(1, 2, 4, 5, 6)
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(2, 2, 6, 3, generator=generator, dtype=torch.double)  # two key heads for four heads
    out = torch.randn(7, 12, generator=generator, dtype=torch.double)
    norms = value_weighted_norms(weights, values, out)
    for b in range(2):
        for t in range(5):
            added = torch.zeros(6, 7, dtype=torch.double)
            for s in range(6):
                joined = torch.cat([weights[b, h, t, s] * values[b, h // 2, s] for h in range(4)])
                added[s] = out @ joined
            torch.testing.assert_close(norms[b, t], added.norm(dim=1))
