from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from sightline.training.loss import cross_entropy, perplexity


def example(classes: int = 7, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    logits = torch.randn(3, 5, classes, dtype=dtype, requires_grad=True)
    labels = torch.randint(0, classes, (3, 5))
    mask = torch.rand(3, 5) > 0.4
    return logits, labels, mask


def by_hand(logits: torch.Tensor, label: int, epsilon: float, smoothing: str, pad: int) -> float:
    """-sum q log p with q written out class by class."""
    classes = len(logits)
    log_z = math.log(sum(math.exp(x) for x in logits.tolist()))
    total = 0.0
    for c in range(classes):
        if smoothing == "uniform":
            q = epsilon / classes + (1 - epsilon if c == label else 0)
        elif smoothing == "others":
            q = 1 - epsilon if c == label else epsilon / (classes - 1)
        else:
            q = 1 - epsilon if c == label else 0.0 if c == pad else epsilon / (classes - 2)
        total -= q * (float(logits[c]) - log_z)
    return total


@pytest.mark.parametrize("smoothing", ["uniform", "others", "others_but_pad"])
def test_smoothing_is_what_its_name_says(smoothing: str) -> None:
    logits, labels, mask = example()
    labels = labels.clamp(min=1)  # the pad, 0, is not a label
    loss = cross_entropy(logits, labels, mask, epsilon=0.1, smoothing=smoothing)
    expected = sum(
        by_hand(z, int(y), 0.1, smoothing, 0) for z, y in zip(logits.detach()[mask], labels[mask], strict=True)
    )
    assert loss.total.item() == pytest.approx(expected, rel=1e-12)


def test_uniform_is_torchs_and_nll_is_never_smoothed() -> None:
    logits, labels, mask = example()
    loss = cross_entropy(logits, labels, mask, epsilon=0.2)
    ignored = labels.masked_fill(~mask, -100).reshape(-1)
    flat = logits.reshape(-1, 7)
    torch.testing.assert_close(loss.total, F.cross_entropy(flat, ignored, label_smoothing=0.2, reduction="sum"))
    torch.testing.assert_close(loss.nll, F.cross_entropy(flat, ignored, reduction="sum").detach())
    assert loss.count == int(mask.sum())
    assert not loss.nll.requires_grad


@pytest.mark.parametrize("smoothing", ["uniform", "others", "others_but_pad"])
def test_ignored_positions_contribute_nothing_even_as_nan(smoothing: str) -> None:
    logits, labels, mask = example()
    clean = cross_entropy(logits, labels, mask, epsilon=0.1, smoothing=smoothing)
    (expected,) = torch.autograd.grad(clean.total, logits)
    dirty = logits.detach().masked_fill(~mask.unsqueeze(-1), float("nan")).requires_grad_()
    loss = cross_entropy(dirty, labels.masked_fill(~mask, 3), mask, epsilon=0.1, smoothing=smoothing)
    (gradient,) = torch.autograd.grad(loss.total, dirty)
    assert torch.equal(loss.total, clean.total)
    assert torch.equal(gradient, expected)
    assert gradient[~mask].abs().max() == 0.0


def test_all_ignored_is_zero_with_zero_gradient() -> None:
    logits, labels, mask = example()
    loss = cross_entropy(logits, labels, torch.zeros_like(mask), epsilon=0.1)
    loss.total.backward()
    assert (float(loss.total.detach()), float(loss.nll), loss.count) == (0.0, 0.0, 0)
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_sums_of_batches_add_up_to_the_whole() -> None:
    logits, labels, mask = example()
    whole = cross_entropy(logits, labels, mask, epsilon=0.1)
    parts = [cross_entropy(logits[i : i + 1], labels[i : i + 1], mask[i : i + 1], epsilon=0.1) for i in range(3)]
    torch.testing.assert_close(sum(part.total for part in parts), whole.total)
    assert sum(part.count for part in parts) == whole.count


def test_bfloat16_logits_are_summed_in_float32() -> None:
    logits, labels, _ = example(dtype=torch.bfloat16)
    loss = cross_entropy(logits, labels)
    assert loss.total.dtype == torch.float32
    exact = F.cross_entropy(logits.double().reshape(-1, 7), labels.reshape(-1), reduction="sum")
    assert loss.total.item() == pytest.approx(exact.item(), rel=1e-5)


def test_perplexity_overflows_to_infinity() -> None:
    assert perplexity(1e4) == math.inf
    assert perplexity(0.0) == 1.0


@pytest.mark.parametrize("epsilon", [-0.1, 1.0, float("nan")])
def test_refuses_smoothing_outside_its_range(epsilon: float) -> None:
    logits, labels, _ = example()
    with pytest.raises(ValueError, match="label smoothing"):
        cross_entropy(logits, labels, epsilon=epsilon)


def test_refuses_masks_that_are_not_bool() -> None:
    logits, labels, mask = example()
    with pytest.raises(ValueError, match="mask must be bool"):
        cross_entropy(logits, labels, mask.long())
