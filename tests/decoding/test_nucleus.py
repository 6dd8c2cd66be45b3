"""Top-p by a part of the vocabulary keeps the tokens that an order of all of it keeps, with the same chances."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sightline.decoding import nucleus as module
from sightline.decoding.nucleus import FEW, LONG, nucleus
from sightline.decoding.sample import distribution

MASSES = (1e-9, 0.1, 0.5, 0.9, 0.95, 0.999, 1 - 1e-9, 1 - 1e-13, 1 - 2**-53)


def by_definition(chances: torch.Tensor, mass: float) -> torch.Tensor:
    """The most likely tokens, the lowest first where they tie, while those before them have less than `mass`."""
    kept = np.zeros(chances.shape)
    for row, values in enumerate(chances.numpy()):
        order = np.argsort(-values, kind="stable")
        ordered = values[order]
        chosen = order[np.cumsum(ordered) - ordered < mass]
        kept[row, chosen] = values[chosen]
    return torch.from_numpy(kept)


def rows(kind: str, tokens: int, seed: int) -> torch.Tensor:
    """Distributions (7, V), each row of another width."""
    draw = torch.Generator().manual_seed(seed)
    widths = torch.tensor([0.0, 0.3, 1.0, 2.0, 4.0, 8.0, 30.0], dtype=torch.float64).unsqueeze(1)
    logits = torch.randn(7, tokens, generator=draw, dtype=torch.float64) * widths
    if kind == "ties":
        logits = logits.round()
    if kind == "ties of few":  # of a model whose logits are bf16
        logits = (logits * 4).bfloat16().double()
    if kind == "impossible":
        logits[:, torch.randperm(tokens, generator=draw)[: tokens // 2]] = -torch.inf
    if kind == "ranks":  # as of words
        logits = -widths * torch.arange(1, tokens + 1).log()
        logits = logits[:, torch.randperm(tokens, generator=draw)]
    return logits.softmax(1)


@pytest.mark.parametrize("tokens", [5, LONG - 1, LONG, 20_001])
@pytest.mark.parametrize("kind", ["any", "ties", "ties of few", "impossible", "ranks"])
def test_the_tokens_and_their_chances_are_those_of_the_whole_order(kind, tokens):
    chances = rows(kind, tokens, seed=tokens)
    for mass in MASSES:
        assert torch.equal(nucleus(chances, mass), by_definition(chances, mass)), mass


@pytest.mark.parametrize("tokens", [2**13, 2**14])
def test_the_mass_may_end_at_any_of_equal_tokens(tokens):
    """Sums of powers of two are exact: `count` of equal tokens have exactly the mass, and no more are kept."""
    equal = torch.full((1, tokens), 1.0 / tokens, dtype=torch.float64)
    steep = torch.cat([2.0 ** -torch.arange(1, 41, dtype=torch.float64), torch.zeros(tokens - 40)]).flip(0).unsqueeze(0)
    for count in (1, 2, FEW - 1, FEW, FEW + 1, tokens - 1):
        assert nucleus(equal, count / tokens).nonzero()[:, 1].tolist() == list(range(count))
        assert nucleus(equal, (count - 0.5) / tokens).nonzero()[:, 1].tolist() == list(range(count))
        if count < 39:
            assert nucleus(steep, 1 - 2.0**-count).nonzero()[:, 1].tolist() == list(range(tokens - count, tokens))


def test_chances_as_small_as_rounding_are_kept_as_the_whole_order_keeps_them():
    """Sums do not grow by some of them."""
    chances = torch.rand(1, LONG, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 2e-16
    for first in ([0.5, 0.25, 0.125], [0.25, 0.25 - 2**-54], [0.25, 0.25 - 2**-53]):
        chances[0, : len(first)] = torch.tensor(first, dtype=torch.float64)
        for more in (-1e-16, -5e-17, 0.0, 5e-17, 1e-16, 5e-16, 1e-14, 1e-13):
            mass = sum(first) + more
            assert torch.equal(nucleus(chances, mass), by_definition(chances, mass)), mass


@pytest.mark.parametrize("kind", ["any", "ties", "ties of few", "impossible", "ranks"])
def test_no_vocabulary_is_put_in_order_for_an_ordinary_mass(kind, monkeypatch):
    def fail(chances, mass):
        raise AssertionError("the whole vocabulary was put in order")

    monkeypatch.setattr(module, "by_sorting", fail)
    for mass in MASSES[:6]:
        nucleus(rows(kind, LONG + 1, seed=1), mass)


def test_a_distribution_of_many_tokens_has_its_gradient():
    """Of the tokens that are kept p/mass is left: the gradient of log q(x) is onehot(x) - q, and 0 elsewhere."""
    logits = torch.randn(2, LONG, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    q = distribution(logits, top_p=0.3)
    token = q[0].argmax()
    gradient = torch.autograd.grad(q[0, token].log(), logits)[0]
    expected = torch.zeros_like(gradient)
    expected[0] = -q[0].detach()
    expected[0, token] += 1.0
    torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-14)


def test_transforms_of_torch_see_the_operations():
    chances = rows("any", LONG, seed=1)
    mapped = torch.func.vmap(lambda row: nucleus(row.unsqueeze(0), 0.9).squeeze(0))(chances)
    assert torch.equal(mapped, by_definition(chances, 0.9))
