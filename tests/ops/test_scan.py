"""The parallel recurrences equal a loop: values, two derivatives, every length and every chunking."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

import sightline.ops.scan as scan
from sightline.ops.scan import gated_scan, linear_scan, positive, scan_by_doubling
from tests.unchecked import unchecked

LENGTHS = (1, 2, 3, 7, 12, 13, 64, 129)
DTYPES = {"real": torch.float64, "complex": torch.complex128}


@pytest.fixture(params=[1, 7, 10**9], ids=lambda grain: f"grain-{grain}")
def grain(request, monkeypatch):
    """Calls of one chunk, of a few and of as many as there may be."""
    monkeypatch.setattr(scan, "GRAIN", request.param * 6)
    monkeypatch.setattr(scan, "FEWEST", 2)


def loop(a, b, h):
    outputs = []
    for t in range(b.shape[1]):
        h = a[:, t] * h + b[:, t]
        outputs.append(h)
    return torch.stack(outputs, 1)


def coefficients(steps, dtype=torch.float64, seed=0):
    """Factors of magnitude 0 to 1, some exactly 0 and 1, summands and a first state."""
    generator = torch.Generator().manual_seed(seed)
    shape = (2, steps, 3)
    a = torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)
    if dtype.is_complex:
        a = a * torch.exp(2j * math.pi * torch.rand(shape, generator=generator, dtype=torch.float64))
    a[torch.rand(shape, generator=generator) < 0.2] = 0.0
    a[torch.rand(shape, generator=generator) < 0.2] = 1.0
    b = torch.randn(shape, generator=generator, dtype=dtype)
    initial = torch.randn(2, 3, generator=generator, dtype=dtype)
    return [part.requires_grad_() for part in (a, b, initial)]


def assert_equal(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-11, atol=1e-11)


@pytest.mark.usefixtures("grain")
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("steps", LENGTHS)
def test_linear_scan_is_the_loop(steps, dtype):
    given_ = coefficients(steps, dtype)
    h, expected = linear_scan(*given_), loop(*given_)
    assert_equal(h, expected)
    assert_equal(scan_by_doubling(*given_), expected)
    weights = torch.randn(h.shape, dtype=dtype)
    assert_equal(torch.autograd.grad(h, given_, weights), torch.autograd.grad(expected, given_, weights))


@pytest.mark.usefixtures("grain")
@pytest.mark.parametrize("steps", LENGTHS)
def test_gated_scan_is_the_loop(steps):
    z, c, initial = coefficients(steps)
    h, expected = gated_scan(z, c, initial), loop(1 - z, z * c, initial)
    assert_equal(h, expected)
    weights = torch.randn(h.shape, dtype=torch.float64)
    assert_equal(
        torch.autograd.grad(h, (z, c, initial), weights), torch.autograd.grad(expected, (z, c, initial), weights)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("grain")
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_second_derivatives(dtype):
    assert torch.autograd.gradgradcheck(linear_scan, coefficients(5, dtype))


@pytest.mark.usefixtures("grain")
def test_second_derivatives_of_the_gated_scan():
    z, c, initial = coefficients(5)
    assert torch.autograd.gradgradcheck(gated_scan, (z, c, initial))


@pytest.mark.parametrize("function", [linear_scan, gated_scan])
def test_no_positions(function):
    empty = torch.zeros(2, 0, 3)
    assert function(empty, empty, torch.ones(2, 3)).shape == (2, 0, 3)


@given(st.integers(1, 200), st.integers(1, 5), st.integers(2, 20), st.booleans())
def test_any_number_of_chunks(steps, width, chunks, from_end):
    """Every cut of every length, remainders included, writes every position once."""
    generator = torch.Generator().manual_seed(steps)
    x, y = torch.rand(2, 2, steps, width, generator=generator, dtype=torch.float64)
    state = torch.randn(2, width, generator=generator, dtype=torch.float64)
    h = torch.full_like(x, math.nan)
    whole = steps // chunks * chunks
    if whole:
        part = slice(steps - whole, steps) if from_end else slice(0, whole)
        scan._fill_chunks(h[:, part], scan.LINEAR, x[:, part], y[:, part], state, chunks, from_end)
        turned = [t[:, part].flip(1) if from_end else t[:, part] for t in (x, y, h)]
        assert_equal(turned[2], loop(turned[0], turned[1], state))
        assert int(h.isnan().any(2).sum()) == 2 * (steps - whole)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("level", [0.0, 1e-30, 0.5, 1.0])
def test_long_rows_stay_finite(dtype, level):
    """At 65,536 positions products of a vanish: a division by them would be infinite or not a number."""
    torch.manual_seed(0)
    a = torch.full((1, 65536, 2), level, dtype=dtype).requires_grad_()
    b = torch.randn(1, 65536, 2, dtype=dtype).requires_grad_()
    h = linear_scan(a, b, torch.ones(1, 2, dtype=dtype))
    assert h.dtype == dtype
    gradients = torch.autograd.grad(h.sum(), (a, b))
    assert all(bool(t.isfinite().all()) for t in (h, *gradients))
    if level == 1.0 and dtype == torch.float32:
        expected = 1 + b.detach().double().cumsum(1)
        torch.testing.assert_close(h.detach().double(), expected, rtol=0, atol=1e-6 * float(expected.abs().max()) * 256)


def test_a_small_gate_keeps_its_digits():
    """A state that takes a share of 1e-9 a step moves, though 1 - 1e-9 is 1 in float32."""
    z = torch.full((1, 1000, 1), 1e-9)
    h = gated_scan(z, torch.ones_like(z), torch.zeros(1, 1))
    assert h[0, -1].item() == pytest.approx(1e-6, rel=1e-3)


def test_a_factor_of_zero_hides_the_past():
    a, b, initial = coefficients(40)
    with torch.no_grad():
        a[:, 17] = 0.0
    h = linear_scan(a, b, initial)
    gradients = torch.autograd.grad(h[:, 17:].sum(), (a, b, initial))
    assert not gradients[0][:, :17].any()
    assert not gradients[1][:, :17].any()
    assert not gradients[2].any()
    assert_equal(h[:, 17:], linear_scan(a[:, 17:], b[:, 17:], torch.zeros_like(initial)))


def test_an_expanded_factor():
    a, b, initial = coefficients(20)
    one = a.detach()[:1, :1].clone().requires_grad_()
    given_ = (one, b, initial)
    h, expected = linear_scan(one.expand_as(b), b, initial), loop(one.expand_as(b), b, initial)
    assert_equal(h, expected)
    assert_equal(torch.autograd.grad(h.sum(), given_), torch.autograd.grad(expected.sum(), given_))


def test_positive_is_continuous_and_its_own_derivative():
    x = torch.cat([torch.linspace(-40, 40, 801, dtype=torch.float64), torch.tensor([-1e4, 0.0, 1e4]).double()])
    x.requires_grad_()
    expected = torch.where(x >= 0, x + 0.5, torch.sigmoid(x))
    assert_equal(positive(x), expected)
    assert bool((positive(x) >= 0).all())
    ours, theirs = (torch.autograd.grad(y.sum(), x, create_graph=True)[0] for y in (positive(x), expected))
    assert_equal(ours, theirs)
    assert_equal(torch.autograd.grad(ours.sum(), x)[0], torch.autograd.grad(theirs.sum(), x)[0])


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"\(2, 4, 3\), \(2, 5, 3\) and \(2, 3\)"), unchecked():
        linear_scan(torch.zeros(2, 4, 3), torch.zeros(2, 5, 3), torch.zeros(2, 3))
