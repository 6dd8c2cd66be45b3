"""The loss that projects some positions at a time equals the loss of whole logits, gradients too."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from sightline.models.language_model import LanguageModelConfig
from sightline.models.transformer import TransformerConfig
from sightline.ops import affine
from sightline.ops import projected_loss as projected
from sightline.ops.projected_loss import SmoothedLabel, Smoothing, projected_cross_entropy
from sightline.parts.heads import TokenHead, lazy_heads
from sightline.parts.lazy_logits import LazyLogits, projection_of
from sightline.parts.token_embedding import Tokens
from sightline.training import loss as module
from sightline.training.flops import count_flops
from sightline.training.loss import Loss, cross_entropy

CLASSES, WIDTH, POSITIONS = 11, 6, 23


@pytest.fixture(autouse=True)
def always_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WHOLE_BYTES", 0)


def example(dtype: torch.dtype, bias: bool = True) -> tuple[Tensor, nn.Linear, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = 3 * torch.randn(POSITIONS, WIDTH, generator=generator, dtype=torch.float64)
    linear = nn.Linear(WIDTH, CLASSES, bias).to(dtype)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    labels = torch.randint(CLASSES, (POSITIONS,), generator=generator)
    labels[:3] = 0  # the padding token as a label
    return x.to(dtype).requires_grad_(), linear, labels


def gradients(loss: Loss, *inputs: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(0.7 * loss.total, inputs)


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
@pytest.mark.parametrize("chunk", [1, 5, 23, 64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("smoothing", "epsilon"), [("uniform", 0.0), *((name, 0.1) for name in get_args(Smoothing))])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_equals_the_loss_of_whole_logits(
    monkeypatch: pytest.MonkeyPatch,
    packed: bool,
    chunk: int,
    bias: bool,
    smoothing: Smoothing,
    epsilon: float,
    dtype: torch.dtype,
    most: float,
) -> None:
    monkeypatch.setattr(affine, "PACKED_FROM", 0 if packed else 1 << 60)
    x, linear, labels = example(dtype, bias)
    expected = cross_entropy(linear(x), labels, epsilon=epsilon, smoothing=smoothing)
    target = SmoothedLabel.of(epsilon, smoothing, CLASSES, 0)
    found = projected_cross_entropy(x, linear.weight, linear.bias, labels, target, chunk=chunk)
    torch.testing.assert_close(found, expected[:2], rtol=most, atol=0.0)
    inputs = (x, *linear.parameters())
    of_found = gradients(Loss(*found, 0), *inputs)
    for ours, theirs in zip(of_found, gradients(expected, *inputs), strict=True):
        assert (ours - theirs).norm() <= most * theirs.norm()


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
def test_in_bfloat16_it_is_as_close_to_the_exact_loss_as_whole_logits(
    monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.setattr(affine, "PACKED_FROM", 0 if packed else 1 << 60)
    monkeypatch.setattr(projected, "FEWEST", 3)
    monkeypatch.setitem(projected.CHUNK_BYTES, "cpu", 0)  # eight chunks, four and four for the weights' gradient
    x, linear, labels = example(torch.float32)
    exact = cross_entropy(linear.double()(x.double()), labels)
    of_exact = gradients(exact, x, *linear.parameters())
    linear.float()
    errors = []
    for lazy in (True, False):
        with torch.autocast("cpu", torch.bfloat16):
            logits = LazyLogits.of(x, linear) if lazy else linear(x)
            loss = cross_entropy(logits, labels)
        assert loss.total.dtype == torch.float32
        each = zip(gradients(loss, x, *linear.parameters()), of_exact, strict=True)
        errors.append([float((loss.nll - exact.nll).abs() / exact.nll)]
                      + [float((ours - theirs).norm() / theirs.norm()) for ours, theirs in each])  # fmt: skip
    for ours, whole in zip(*errors, strict=True):
        assert ours <= max(1.5 * whole, 1e-2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_with_16_bit_parameters_it_is_as_close_to_the_exact_loss_as_whole_logits(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, bias: bool
) -> None:
    monkeypatch.setattr(projected, "FEWEST", 3)
    monkeypatch.setitem(projected.CHUNK_BYTES, "cpu", 0)
    x, linear, labels = example(dtype, bias)
    wide, exactly = deepcopy(linear).double(), x.detach().double().requires_grad_()
    exact = cross_entropy(wide(exactly), labels)
    of_exact = gradients(exact, exactly, *wide.parameters())
    errors = []
    for logits in (LazyLogits.of(x, linear), linear(x)):
        loss = cross_entropy(logits, labels)
        mine = gradients(loss, x, *linear.parameters())
        assert {one.dtype for one in mine} == {dtype}
        errors.append([float((ours.double() - right).norm() / right.norm()) for ours, right in zip(mine, of_exact)])
        errors[-1].append(float((loss.nll - exact.nll).abs() / exact.nll))
    for ours, whole in zip(*errors, strict=True):
        assert ours <= 1.5 * whole


def test_autocast_leaves_float64_alone() -> None:
    x, linear, labels = example(torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        mine, expected = cross_entropy(LazyLogits.of(x, linear), labels), cross_entropy(linear(x), labels)
    torch.testing.assert_close(mine[:2], expected[:2], rtol=1e-12, atol=0.0)


def test_the_scale_of_16_bit_gradients_is_not_rounded() -> None:
    """A third is 0.2 % off in bfloat16, and so would be the gradient of a whole model."""
    x, linear, labels = example(torch.bfloat16)
    whole, part = (
        torch.autograd.grad(scale * cross_entropy(LazyLogits.of(x, linear), labels).total, x)[0].double()
        for scale in (1.0, 1 / 3)
    )
    assert abs(float((3 * part * whole).sum() / whole.square().sum()) - 1) < 2**-10


@pytest.mark.parametrize("transform", ["grad", "vmap", "jvp"])
def test_transforms_of_torch_see_the_logits(transform: str) -> None:
    x, linear, labels = example(torch.float64)
    x = x.detach()

    def loss(x: Tensor, labels: Tensor, lazy: bool) -> Tensor:
        return cross_entropy(LazyLogits.of(x, linear) if lazy else linear(x), labels).total

    values = []
    for lazy in (True, False):
        if transform == "grad":
            values.append(torch.func.grad(loss)(x, labels, lazy))
        elif transform == "vmap":
            values.append(torch.func.vmap(loss, (0, 0, None))(x, labels, lazy))
        else:
            values.append(torch.func.jvp(partial(loss, labels=labels, lazy=lazy), (x,), (x.cos(),))[1])
    torch.testing.assert_close(*values, rtol=1e-12, atol=0.0)


def test_packed_products_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits, and the gradients of positions and weights: three products, each a multiply-add of 2 operations."""
    x, linear, labels = example(torch.float32)
    for threshold in (0, 1 << 60):
        monkeypatch.setattr(affine, "PACKED_FROM", threshold)
        counted = count_flops(lambda: gradients(cross_entropy(LazyLogits.of(x, linear), labels), x, linear.weight))
        assert counted == 3 * 2 * POSITIONS * WIDTH * CLASSES


def test_a_label_whose_probability_underflows_has_its_loss() -> None:
    """Logits of 0 and size · 1 for the label 0 of two classes: the loss is log(1 + exp(size)), the gradient bounded."""
    for size in (50.0, 80.0, 200.0, 1e4):
        x, linear = torch.ones(3, 1, requires_grad=True), nn.Linear(1, 2, bias=False)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor([[0.0], [size]]))
        target = SmoothedLabel.of(0.0, "uniform", 2, 0)
        labels = torch.tensor([0, 1, 0])
        total, nll = projected_cross_entropy(x, linear.weight, None, labels, target, chunk=2)
        assert float(nll) == pytest.approx(2 * size, rel=1e-6)
        total.backward()
        torch.testing.assert_close(x.grad, torch.tensor([[size], [0.0], [size]]), rtol=1e-5, atol=1e-5)


def test_positions_under_the_mask_reach_neither_loss_nor_gradients() -> None:
    x, linear, labels = example(torch.float64)
    mask = torch.arange(POSITIONS) % 3 > 0
    dirty = x.detach().masked_fill(~mask.unsqueeze(1), float("nan")).requires_grad_()
    expected = cross_entropy(linear(x), labels, mask)
    found = cross_entropy(LazyLogits.of(dirty, linear), labels, mask)
    assert found.count == expected.count == int(mask.sum())
    torch.testing.assert_close(found[:2], expected[:2], rtol=1e-12, atol=0.0)
    of_x = gradients(found, dirty)[0]
    torch.testing.assert_close(of_x, gradients(expected, x)[0], rtol=1e-12, atol=1e-14)
    assert not of_x[~mask].any()
    nothing = cross_entropy(LazyLogits.of(dirty, linear), labels, torch.zeros_like(mask), epsilon=0.1)
    nothing.total.backward()
    assert (float(nothing.total.detach()), nothing.count) == (0.0, 0)
    assert not dirty.grad.any()


def test_a_tied_matrix_gets_the_gradients_of_both_ends() -> None:
    model = LanguageModelConfig(d_model=8, layers=1, heads=2, dropout=0.0).build(Tokens(CLASSES)).double()
    tokens = torch.arange(14).reshape(2, 7) % CLASSES
    grads = []
    for lazy in (True, False):
        model.zero_grad()
        with lazy_heads(model) if lazy else torch.enable_grad():
            logits = model(tokens, None)[0]
        assert isinstance(logits, LazyLogits) == lazy
        cross_entropy(logits, tokens.roll(-1, 1), epsilon=0.1).total.backward()
        grads.append([p.grad for p in model.parameters()])
    assert model.head.linear.weight is model.embedding.weight
    torch.testing.assert_close(*grads, rtol=1e-11, atol=1e-13)


def test_the_whole_logits_are_never_in_memory() -> None:
    positions, classes = 512, 4096
    x, linear = torch.randn(positions, 8, requires_grad=True), nn.Linear(8, classes)
    sizes: list[int] = []

    class Sizes(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            sizes.append(out.numel() if isinstance(out, Tensor) else 0)
            return out

    with Sizes():
        loss = projected_cross_entropy(x, linear.weight, linear.bias, torch.zeros(positions, dtype=torch.long),
                                       SmoothedLabel.of(0.0, "uniform", classes, 0), chunk=64)[0]  # fmt: skip
        loss.backward()
    assert max(sizes) == 64 * classes


def test_logits_are_like_any_others_to_who_reads_them() -> None:
    head = TokenHead(WIDTH, CLASSES)
    x = torch.randn(2, 3, WIDTH)
    with lazy_heads(nn.ModuleList([head])):
        lazy = head(x)
    expected = head(x)
    assert projection_of(lazy) is not None
    assert lazy.shape == (2, 3, CLASSES)
    assert projection_of(lazy) is None, "they have been computed: a loss uses them"
    assert torch.equal(lazy.argmax(-1), expected.argmax(-1))
    assert torch.equal(torch.cat([lazy, lazy]), torch.cat([expected, expected]))
    assert torch.equal(lazy[0, 1], expected[0, 1])
    assert not isinstance(expected, LazyLogits)


def test_a_layer_that_somebody_listens_to_is_called() -> None:
    head, heard = TokenHead(WIDTH, CLASSES), []
    head.linear.register_forward_hook(lambda _module, _inputs, output: heard.append(output))
    with lazy_heads(head):
        logits = head(torch.randn(4, WIDTH))
    cross_entropy(logits, torch.zeros(4, dtype=torch.long)).total.backward()
    assert len(heard) == 1


def test_heads_are_as_before_after_an_error() -> None:
    model = TransformerConfig(d_model=8, layers=1, heads=2).build(Tokens(CLASSES), CLASSES)
    with pytest.raises(KeyError), lazy_heads(model):
        raise KeyError
    tokens = torch.ones(1, 3, dtype=torch.long)
    assert not isinstance(model(tokens, None, tokens), LazyLogits)


def test_a_gradient_of_the_gradient_is_refused() -> None:
    x, linear, labels = example(torch.float64)
    loss = cross_entropy(LazyLogits.of(x, linear), labels)
    (of_x,) = torch.autograd.grad(loss.total, x, create_graph=True)
    with pytest.raises(RuntimeError, match="no gradient of its gradient"):
        of_x.sum().backward()
