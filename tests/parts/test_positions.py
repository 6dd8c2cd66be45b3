"""Position schemes against the formulas and numbers that their papers print."""

from __future__ import annotations

import math

import pytest
import torch

from sightline.parts.positions import TABLED, AddPositions, AttentionPositions, advance, alibi_slopes, rotate, sinusoid

# Press et al. 2022, § 3 (powers of two) and the authors' get_slopes(12).
PUBLISHED = {
    8: [2.0**-n for n in range(1, 9)],
    16: [2.0 ** (-n / 2) for n in range(1, 17)],
    12: [2.0**-n for n in range(1, 9)] + [2.0 ** (-n / 2) for n in (1, 3, 5, 7)],
}


@pytest.mark.parametrize("heads", PUBLISHED)
def test_alibi_slopes_are_the_published_ones(heads):
    assert alibi_slopes(heads).tolist() == pytest.approx(PUBLISHED[heads], rel=1e-12)


@pytest.mark.parametrize("d_model", [2, 7, 12])
def test_sinusoid_is_the_paper_s(d_model):
    positions = torch.tensor([[0, 1, 2, 511, 65535]])
    actual = sinusoid(positions, d_model, torch.float64)
    for place, position in enumerate(positions[0].tolist()):
        for dimension in range(d_model):
            angle = position / 10000 ** (2 * (dimension // 2) / d_model)
            expected = math.sin(angle) if dimension % 2 == 0 else math.cos(angle)
            assert actual[0, place, dimension].item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("width", [2, 6, 8])
def test_rotary_is_multiplication_of_complex_numbers(width):
    """Su et al. 2021, eq. 13: pair (i, i + K/2) as a complex number times e^(i · pos · θ)."""
    x, positions = torch.randn(2, 3, 5, width, dtype=torch.float64), torch.tensor([[0, 1, 2, 3, 4], [7, 100, 8, 0, 1]])
    half = width // 2
    numbers = torch.complex(x[..., :half], x[..., half:])
    theta = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = positions[:, None, :, None].double() * theta
    turned = numbers * torch.polar(torch.ones_like(angle), angle)
    expected = torch.cat([turned.real, turned.imag], -1)
    torch.testing.assert_close(rotate(x, positions), expected, rtol=1e-12, atol=1e-12)


def test_rotary_scores_depend_on_distance_alone():
    q, k = torch.randn(1, 1, 1, 8, dtype=torch.float64), torch.randn(1, 1, 1, 8, dtype=torch.float64)

    def score(i, j):
        return (rotate(q, torch.tensor([[i]])) * rotate(k, torch.tensor([[j]]))).sum().item()

    assert score(9, 4) == pytest.approx(score(60005, 60000), abs=1e-9)
    assert score(9, 4) != pytest.approx(score(4, 9), abs=1e-3)


def test_several_gradients_of_a_rotation_at_once():
    """`torch.autograd.functional.jacobian(vectorize=True)` asks for them; each is the rotation back."""
    x = torch.randn(2, 3, 5, 7, requires_grad=True)
    positions = torch.tensor([[0, 1, 2, 3, 4], [7, 100, 8, 0, 1]])
    towards = torch.randn(4, 2, 3, 5, 7)
    turned_back = torch.autograd.grad(rotate(x, positions), x, towards, is_grads_batched=True)[0]
    for one, to in zip(turned_back, towards, strict=True):
        torch.testing.assert_close(one, rotate(to, -positions), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("places", [(5, 5, 5), (0, 0, 0), (3, 0, 40), (7, TABLED, 1)], ids=str)
@pytest.mark.parametrize("width", [6, 7])
def test_a_step_turns_queries_and_keys_as_a_sequence_does(places, width):
    """Bit for bit: the turns that layers share, and the rotation of queries and keys at once, change nothing."""
    positions = torch.tensor(places).unsqueeze(1)
    q, k = torch.randn(3, 4, 1, width), torch.randn(3, 2, 1, width)
    module = AttentionPositions("rotary", 4 * width, 4)
    longer = torch.cat([positions, positions + 1], 1)
    expected = module.turn(*(torch.cat([x, x], 2) for x in (q, k)), longer)
    with torch.no_grad():
        for _ in range(2):
            for turned, of_both in zip(module.turn(q, k, positions), expected, strict=True):
                assert torch.equal(turned, of_both[:, :, :1])


def test_advance_counts_real_tokens_of_the_current_document():
    mask = torch.tensor([[True, False, True, True], [False, False, True, True]])
    starts = torch.tensor([[False, False, True, False], [False, False, False, False]])
    positions, after = advance(torch.tensor([3, 5]), 4, mask, starts)
    assert positions[mask].tolist() == [3, 0, 1, 5, 6]
    assert after.tolist() == [2, 7]


def test_a_learned_table_refuses_what_it_has_not_learned():
    table = AddPositions(4, "learned", limit=6)
    table(torch.zeros(1, 6, 4))
    with pytest.raises(ValueError, match="position 6 exceeds the 6 learned positions"):
        table(torch.zeros(1, 7, 4))
