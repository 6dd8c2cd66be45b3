"""Affine maps by oneDNN equal those of `F.linear`, with derivatives of any order; others are left alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.ops import affine as module
from sightline.ops.affine import AffineMap, affine_maps, affine_pays
from sightline.parts.plain_linear import project
from sightline.training.flops import count_flops

pytestmark = pytest.mark.skipif(not module.has_products(torch.float32), reason="oneDNN does not compute these here")


@pytest.fixture(autouse=True)
def at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FROM", 0)


def example(bias: bool = True, outputs: tuple[int, ...] = (5, 7, 3)) -> tuple[Tensor, nn.ModuleList]:
    torch.manual_seed(0)
    return torch.randn(2, 9, 6, requires_grad=True), nn.ModuleList(nn.Linear(6, size, bias) for size in outputs)


def results(x: Tensor, linears: nn.ModuleList, ours: bool) -> list[Tensor]:
    """The outputs, and the gradients of x and all parameters."""
    outputs = project(x, *linears) if ours else tuple(linear(x) for linear in linears)
    total = sum((y.float() * torch.linspace(-1, 2, y.numel()).reshape(y.shape)).sum() for y in outputs)
    return [*outputs, *torch.autograd.grad(total, [x, *linears.parameters()])]


def calls(function: Any) -> list[str]:
    """The names of the operations that run."""
    names: list[str] = []

    class Calls(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            names.append(func.name())
            return func(*args, **(kwargs or {}))

    with Calls():
        function()
    return names


OURS = "mkldnn::_linear_pointwise"


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("outputs", [(5,), (5, 7, 3)], ids=["one", "three"])
def test_equals_the_layers_in_float32(bias: bool, outputs: tuple[int, ...]) -> None:
    x, linears = example(bias, outputs)
    assert calls(lambda: project(x, *linears)).count(OURS) == len(outputs)
    torch.testing.assert_close(results(x, linears, True), results(x, linears, False), rtol=1e-5, atol=1e-5)


def test_is_as_close_to_exact_as_the_layers_in_bfloat16() -> None:
    if not module.has_products(torch.bfloat16):
        pytest.skip("this processor does not multiply bfloat16")
    x, linears = example()
    exact = results(x, linears, False)
    with torch.autocast("cpu", torch.bfloat16):
        assert affine_pays(x, [AffineMap(one.weight, one.bias) for one in linears])
        both = results(x, linears, True), results(x, linears, False)
    for right, mine, theirs in zip(exact, *both, strict=True):
        assert mine.dtype == theirs.dtype
        error, allowed = (float((one - right).detach().norm() / right.detach().norm()) for one in (mine, theirs))
        assert error < max(1.5 * allowed, 1e-2)


def test_has_derivatives_of_second_order() -> None:
    x, linears = example()
    values = []
    for ours in (True, False):
        outputs = project(x, *linears) if ours else tuple(linear(x) for linear in linears)
        inputs = [x, *linears.parameters()]
        first = torch.autograd.grad(sum(y.sin().sum() for y in outputs), inputs, create_graph=True)
        values.append(torch.autograd.grad(sum(one.square().sum() for one in first), inputs))
    torch.testing.assert_close(*values, rtol=1e-4, atol=1e-4)


def test_no_gradient_is_computed_for_what_needs_none() -> None:
    x, linears = example(outputs=(5,))
    y = project(x.detach(), *linears)[0].sum()
    assert OURS not in calls(y.backward), "the gradient of x"
    linears[0].weight.requires_grad_(False)
    y = project(x, *linears)[0].sum()
    y.backward()
    assert x.grad is not None


@pytest.mark.parametrize("outputs", [(5,), (5, 5, 5)], ids=["one", "three"])
def test_several_gradients_at_once(outputs: tuple[int, ...]) -> None:
    """`torch.autograd.functional.jacobian(vectorize=True)` asks for them."""
    x, linears = example(outputs=outputs)
    towards = torch.linspace(-1, 2, 3 * 2 * 9 * 5).reshape(3, 2, 9, 5)
    inputs = [x, *linears.parameters()]
    values = [torch.autograd.grad(sum(y.sin() for y in ys), inputs, towards, is_grads_batched=True)
              for ys in (project(x, *linears), [linear(x) for linear in linears])]  # fmt: skip
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-5)


def test_one_vector_is_mapped_too() -> None:
    x, linears = example(outputs=(5,))
    (y,) = project(x[0, 0], *linears)
    torch.testing.assert_close(y, linears[0](x[0, 0]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [torch.ones(1).expand(5), torch.arange(10.0)[::2]], ids=["expanded", "strided"])
def test_a_bias_may_have_any_strides(bias: Tensor) -> None:
    x, linears = example(outputs=(5,))
    (y,) = affine_maps(x, [AffineMap(linears[0].weight, bias)])
    torch.testing.assert_close(y, F.linear(x, linears[0].weight, bias), rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_sparse_weights_and_inputs_of_another_width_are_left_to_the_layer() -> None:
    x, linears = example(outputs=(5,))
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        project(x[..., :4], *linears)
    expected = linears[0](x[0])
    linears[0].weight = nn.Parameter(linears[0].weight.detach().to_sparse_csr())
    with torch.no_grad():
        torch.testing.assert_close(project(x[0], *linears)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
def test_a_traced_function_takes_other_numbers_of_rows() -> None:
    x, linears = example(outputs=(5,))
    linears.requires_grad_(False)
    traced = torch.jit.trace(lambda x: project(x, linears[0])[0], x.detach())
    torch.testing.assert_close(traced(x[:, :2]), linears[0](x[:, :2]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("transform", ["vmap", "jvp", "grad"])
def test_transforms_of_torch_see_the_layers(transform: str) -> None:
    x, linears = example(outputs=(5,))
    x = x.detach()

    def ours(x: Tensor) -> Tensor:
        return project(x, linears[0])[0]

    if transform == "vmap":
        result, expected = torch.func.vmap(ours)(x), linears[0](x)
    elif transform == "jvp":
        result = torch.func.jvp(ours, (x,), (x.sin(),))[1]
        expected = x.sin() @ linears[0].weight.T
    else:
        result = torch.func.grad(lambda x: ours(x).sum())(x)
        expected = linears[0].weight.sum(0).expand_as(x)
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-5)


def test_other_dtypes_and_devices_are_left_alone() -> None:
    x, linears = example(outputs=(5,))
    one = AffineMap(linears[0].weight, linears[0].bias)
    assert affine_pays(x, [one])
    assert not affine_pays(x.double(), [AffineMap(one.weight.double(), one.bias.double())])
    assert not affine_pays(x.to("meta"), [AffineMap(one.weight.to("meta"), one.bias.to("meta"))])
    assert not affine_pays(x.double(), [one]), "an error of F.linear"
    with pytest.raises(RuntimeError, match="same dtype"):
        project(x.double(), *linears)


def test_few_rows_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    x, linears = example()
    monkeypatch.setattr(module, "FROM", 18 * 6 * 5)
    assert affine_pays(x, [AffineMap(linears[0].weight)])
    assert not affine_pays(x, [AffineMap(linears[0].weight), AffineMap(linears[2].weight)])


def test_a_layer_that_somebody_listens_to_is_called() -> None:
    x, linears = example()
    heard = []
    linears[1].register_forward_hook(lambda _module, _inputs, output: heard.append(output))
    y = project(x, *linears)
    assert len(heard) == 1
    assert y[1] is heard[0]


def test_hooks_of_all_modules_hear_each_layer() -> None:
    x, linears = example()
    heard = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, _inputs, _output: heard.append(module))
    try:
        project(x, *linears)
    finally:
        handle.remove()
    assert heard == list(linears)
    assert calls(lambda: project(x, *linears)).count(OURS) == 3


def test_operations_are_those_of_the_layers() -> None:
    x, linears = example()
    counted = [count_flops(lambda ours=ours: results(x, linears, ours)) for ours in (True, False)]
    products = 3 * 2 * 18 * 6 * (5 + 7 + 3)
    assert counted[1] == products
    assert counted[0] == products + 2 * 18 * (5 + 7 + 3), "and the sums of the biases' gradients"


def test_affine_maps_takes_any_strides() -> None:
    x, linears = example(outputs=(5,))
    turned = x.detach().transpose(0, 1)
    (y,) = affine_maps(turned, [AffineMap(linears[0].weight.T.contiguous().T, linears[0].bias)])
    torch.testing.assert_close(y, F.linear(turned, linears[0].weight, linears[0].bias), rtol=1e-5, atol=1e-5)
