"""bfloat16 attention by products of blocks: close to the exact one, gradients too, and only where it pays."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sightline.ops import block_products as module
from sightline.ops.block_products import attention_by_products, products_pay
from sightline.ops.pattern import Pattern
from sightline.ops.plan import Plan
from sightline.ops.softmax import attention


def example(steps: int, length: int, groups: int = 4, dtype: torch.dtype = torch.bfloat16) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 4, steps, 6), (2, groups, length, 6), (2, groups, length, 5))
    return [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]


def differences(steps: int, length: int, groups: int, causal: bool, dtype: torch.dtype) -> list[float]:
    """Relative root mean square differences of the output and the gradients from those in float64."""
    inputs = example(steps, length, groups, dtype)
    exact = [x.detach().double().requires_grad_() for x in inputs]
    y = attention_by_products(*inputs, causal=causal)
    expected = attention(*exact, causal=causal)
    towards = torch.linspace(-1, 1, y.numel()).reshape(y.shape).to(dtype)
    found = (y, *torch.autograd.grad(y, inputs, towards))
    right = (expected, *torch.autograd.grad(expected, exact, towards.double()))
    return [float((a.detach().double() - b.detach()).norm() / b.detach().norm()) for a, b in zip(found, right)]


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "recomputed"])
@pytest.mark.parametrize(
    ("steps", "length", "groups", "causal"),
    [(9, 9, 4, True), (3, 7, 4, True), (9, 9, 2, False), (2, 11, 1, False), (8, 8, 1, True), (1, 5, 4, True)],
)
def test_is_as_close_to_exact_as_bfloat16_can_be(
    monkeypatch: pytest.MonkeyPatch, kept: bool, steps: int, length: int, groups: int, causal: bool
) -> None:
    monkeypatch.setattr(module, "BLOCK", 4)
    monkeypatch.setattr(module, "CACHED", 60)
    if not kept:
        monkeypatch.setattr(module, "KEPT", 0.0)
    assert max(differences(steps, length, groups, causal, torch.bfloat16)) < 1e-2


@pytest.mark.parametrize(("steps", "length", "causal"), [(9, 9, True), (3, 7, True), (9, 9, False)])
def test_several_gradients_at_once(steps: int, length: int, causal: bool) -> None:
    """`torch.autograd.functional.jacobian(vectorize=True)` asks for them."""
    inputs = example(steps, length)
    exact = [x.detach().double().requires_grad_() for x in inputs]
    y, expected = attention_by_products(*inputs, causal=causal), attention(*exact, causal=causal)
    towards = torch.linspace(-1, 1, 3 * y.numel()).reshape(3, *y.shape).to(torch.bfloat16)
    several = torch.autograd.grad(y, inputs, towards, is_grads_batched=True)
    for number in range(3):
        right = torch.autograd.grad(expected, exact, towards[number].double(), retain_graph=True)
        for ours, theirs in zip(several, right, strict=True):
            assert ours.dtype == torch.bfloat16
            assert (ours[number].double() - theirs).norm() < 1e-2 * theirs.norm()


def test_blocks_and_rows_are_joined_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in any blocks: only the order of sums differs."""
    inputs = example(21, 21)
    whole = attention_by_products(*inputs, causal=True)
    of_whole = torch.autograd.grad(whole.float().square().sum(), inputs)
    monkeypatch.setattr(module, "BLOCK", 5)
    monkeypatch.setattr(module, "CACHED", 1)
    parts = attention_by_products(*inputs, causal=True)
    of_parts = torch.autograd.grad(parts.float().square().sum(), inputs)
    torch.testing.assert_close((parts, *of_parts), (whole, *of_whole), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "recomputed"])
def test_logits_are_float32_under_autocast_too(monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    """Trainings in bfloat16 run under it; with larger queries and keys a rounded logit would be far off."""
    if not kept:
        monkeypatch.setattr(module, "KEPT", 0.0)
    inputs = [(x.detach() * size).requires_grad_() for x, size in zip(example(40, 40), (6, 6, 1), strict=True)]
    plain = attention_by_products(*inputs, causal=True)
    of_plain = torch.autograd.grad(plain.float().square().sum(), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        cast = attention_by_products(*inputs, causal=True)
    of_cast = torch.autograd.grad(cast.float().square().sum(), inputs)
    assert all(torch.equal(a, b) for a, b in zip((cast, *of_cast), (plain, *of_plain), strict=True))


@pytest.mark.parametrize(("steps", "softmaxes"), [(512, 0), (2048, 16)], ids=["short", "long"])
def test_weights_of_short_rows_are_not_computed_again(steps: int, softmaxes: int) -> None:
    """Long rows compute them again, block by block: what they keep grows with the length, not with its square."""
    q, k, v = (torch.randn(1, 1, steps, 64).bfloat16().requires_grad_() for _ in range(3))
    y = attention_by_products(q, k, v, causal=True)
    called: list[str] = []

    class Calls(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            called.append(func.name())
            return func(*args, **(kwargs or {}))

    with Calls():
        y.sum().backward()
    assert called.count("aten::_softmax") == softmaxes


def test_later_keys_reach_nothing() -> None:
    q, k, v = example(40, 40)
    first = attention_by_products(q, k, v, causal=True)[:, :, :20]
    with torch.no_grad():
        for x in (k, v):
            x[:, :, 20:] = 1e30
    assert torch.equal(attention_by_products(q, k, v, causal=True)[:, :, :20], first)


def test_a_gradient_of_the_gradient_is_refused() -> None:
    inputs = example(33, 33)
    (of_q,) = torch.autograd.grad(attention_by_products(*inputs, causal=True).sum(), inputs[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="no gradient of its gradient"):
        of_q.sum().backward()


def test_it_is_chosen_for_bfloat16_on_processors_that_multiply_it(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(Pattern(causal=True))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    q = example(64, 64)[0]
    assert plan.kernel(q, 64, listened=False) == "products"
    assert plan.kernel(q, 64, listened=True) != "products"
    assert plan.kernel(q.float(), 64, listened=False) != "products"
    assert not products_pay(q[:, :, :8])
    windowed = Plan(Pattern(causal=True, window=8))
    assert windowed.kernel(q, 64, listened=False) != "products"
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        assert not products_pay(q), "it has no gradient of its gradient"
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert not products_pay(q)
