"""RMS norm of many rows equals its formula, with derivatives of any order."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sightline.ops import rms_norm as module
from sightline.ops.rms_norm import rms_norm
from sightline.parts.norm import make_norm
from tests.unchecked import unchecked

EPS = 1e-2


@pytest.fixture(autouse=True)
def at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FROM", 0)
    monkeypatch.setattr(module, "ROWS", 4)  # 11 rows are three tiles, the last one shorter


def formula(x: Tensor, gain: Tensor) -> Tensor:
    """Zhang & Sennrich 2019, eq. 4."""
    return x / (x.square().mean(-1, keepdim=True) + EPS).sqrt() * gain


def example() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(11, 1, 6, generator=generator)
    x[3] = 0.0
    return x.requires_grad_(), torch.randn(6, generator=generator).requires_grad_()


@pytest.mark.parametrize("turned", [False, True], ids=["contiguous", "strided"])
def test_equals_the_formula(turned: bool) -> None:
    x, gain = example()
    inputs = [x, gain]
    exact = [one.detach().double().requires_grad_() for one in inputs]
    towards = torch.linspace(-1, 2, x.numel()).reshape(x.shape)
    values = []
    for (rows, weight), norm in ((inputs, lambda x, gain: rms_norm(x, gain, EPS)), (exact, formula)):
        to = towards.to(rows.dtype)
        if turned:
            rows, to = (
                rows.transpose(0, 2).contiguous().transpose(0, 2),
                to.transpose(0, 2).contiguous().transpose(0, 2),
            )
        y = norm(rows, weight)
        values.append([y, *torch.autograd.grad(y, (rows, weight), to)])
    for ours, right in zip(*values, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), right, rtol=1e-5, atol=1e-6)


def test_the_fused_function_runs_and_keeps_no_copy_of_its_input() -> None:
    x, gain = example()
    y = rms_norm(x, gain, EPS)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: kept.append(one) or one, lambda one: one):
        rms_norm(x, gain, EPS)
    assert y.grad_fn is not None
    memory = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in kept}
    assert sum(memory.values()) == 4 * (x.numel() + gain.numel() + len(x)), "x itself, the gain, and a number of a row"


def test_has_derivatives_of_second_order() -> None:
    x, gain = example()
    values = []
    for norm in (lambda: rms_norm(x, gain, EPS), lambda: formula(x, gain)):
        first = torch.autograd.grad(norm().sin().sum(), (x, gain), create_graph=True)
        values.append(torch.autograd.grad(sum(one.square().sum() for one in first), (x, gain)))
    torch.testing.assert_close(*values, rtol=1e-4, atol=1e-4)


def test_several_gradients_at_once() -> None:
    """`torch.autograd.functional.jacobian(vectorize=True)` asks for them."""
    x, gain = example()
    towards = torch.linspace(-1, 2, 3 * x.numel()).reshape(3, *x.shape)
    values = [
        torch.autograd.grad(y, (x, gain), towards, is_grads_batched=True)
        for y in (rms_norm(x, gain, EPS), formula(x, gain))
    ]
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("transform", ["vmap", "jvp"])
def test_transforms_of_torch_see_the_operations(transform: str) -> None:
    x, gain = (one.detach() for one in example())
    if transform == "vmap":
        values = [torch.func.vmap(norm)(x) for norm in (lambda x: rms_norm(x, gain, EPS), lambda x: formula(x, gain))]
    else:
        values = [torch.func.jvp(norm, (x,), (x.cos(),))[1]
                  for norm in (lambda x: rms_norm(x, gain, EPS), lambda x: formula(x, gain))]  # fmt: skip
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-5)


def test_float64_and_small_inputs_are_those_of_torch_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    x, gain = example()
    torchs = torch.nn.functional.rms_norm
    assert torch.equal(rms_norm(x.double(), gain.double(), EPS), torchs(x.double(), (6,), gain.double(), EPS))
    monkeypatch.setattr(module, "FROM", x.numel() + 1)
    assert torch.equal(rms_norm(x, gain, EPS), torchs(x, (6,), gain, EPS))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_a_traced_norm_takes_other_numbers_of_rows() -> None:
    x, gain = (one.detach() for one in example())
    traced = torch.jit.trace(lambda x: rms_norm(x, gain, EPS), x)
    torch.testing.assert_close(traced(x[2:5]), formula(x[2:5], gain), rtol=1e-5, atol=1e-5)


def test_an_input_of_another_width_is_an_error_as_it_is_of_torchs() -> None:
    x, _ = example()
    with unchecked(), pytest.raises(RuntimeError, match="normalized_shape"):
        rms_norm(x, torch.ones(1), EPS)


def test_the_layer_computes_with_the_eps_that_it_has() -> None:
    x, gain = example()
    layer = make_norm("rms", 6)
    layer.eps = EPS  # as a loader of other models' weights sets it
    with torch.no_grad():
        layer.weight.copy_(gain)
    torch.testing.assert_close(layer(x), formula(x, gain), rtol=1e-5, atol=1e-5)
    layer.eps = None
    expected = torch.nn.functional.rms_norm(x, (6,), gain, None)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)


def test_the_layer_has_the_names_of_torchs() -> None:
    layer = make_norm("rms", 6)
    x, gain = example()
    assert list(layer.state_dict()) == list(torch.nn.RMSNorm(6).state_dict())
    with torch.no_grad():
        layer.weight.copy_(gain)
    expected = torch.nn.functional.rms_norm(x, (6,), gain, 1e-6)
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)
