"""Copies for inference compute what the model does, in each precision as well as the precision can."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.core.errors import InputError
from sightline.models.inference import for_inference
from sightline.models.language_model import LanguageModelConfig
from sightline.models.layers import SELF_MIXERS
from sightline.parts.packed_linear import KINDS, Int8Linear, PackedLinear, check_precision, pack_linears, packs
from sightline.parts.token_embedding import Tokens

SHAPES = [(7, 13), (64, 48), (256, 1000)]
ERRORS = {"float32": 1e-6, "bf16": 1e-2, "int8": 2e-2}


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("precision", KINDS)
def test_a_packed_layer_is_as_near_as_its_precision_allows(precision, bias):
    torch.manual_seed(0)
    for size_in, size_out in SHAPES:
        linear = nn.Linear(size_in, size_out, bias)
        packed = KINDS[precision](linear)
        for shape in ((1,), (5,), (2, 3), (70,)):
            x = torch.randn(*shape, size_in) * 3
            with torch.inference_mode():
                expected, y = linear(x), packed(x)
            assert (y.shape, y.dtype) == (expected.shape, torch.float32)
            error = (y - expected).square().mean().sqrt() / expected.square().mean().sqrt()
            assert error < ERRORS[precision]


@pytest.mark.parametrize("precision", KINDS)
def test_a_packed_layer_reads_a_bias_of_any_strides(precision):
    linear = nn.Linear(64, 48)
    for bias in (torch.ones(1).expand(48), torch.arange(96.0)[::2]):
        linear.bias = nn.Parameter(bias)
        with torch.inference_mode():
            torch.testing.assert_close(KINDS[precision](linear)(torch.zeros(3, 64)), bias.expand(3, -1))


def test_a_row_in_int8_depends_on_no_other_row():
    packed = Int8Linear(nn.Linear(16, 8))
    x = torch.randn(6, 16)
    x[3] *= 1e4
    x[5] = 0.0
    with torch.inference_mode():
        whole = packed(x)
        assert torch.equal(whole[:3], packed(x[:3]))
        assert torch.equal(whole[5], packed.bias)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.dropout = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 2)), nn.Dropout(0.5)
        self.second[0].weight = nn.Parameter(torch.ones(2, 4))

    def forward(self, x):
        return self.second(self.dropout(self.first(x)))


def test_a_copy_is_kept_until_the_model_changes():
    model = Model().train()
    copy = for_inference(model)
    assert model.training
    assert not copy.training
    assert for_inference(model) is copy
    assert for_inference(model, "bf16") is not copy
    assert copy.first.weight is model.first.weight
    x = torch.randn(3, 4)
    with torch.no_grad():
        before = copy(x)
        model.first.weight.mul_(2.0)
        again = for_inference(model)
        torch.testing.assert_close(again(x), model.eval()(x))
        assert not torch.equal(again(x), before)
        model.second = nn.Sequential(nn.Linear(4, 2))
        torch.testing.assert_close(for_inference(model)(x), model(x))


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("kind", [{"fused": True}, {"foreach": True}, {"foreach": False}], ids=str)
def test_a_step_of_an_optimizer_is_a_change(kind, transposed):
    """torch 2.13: the fused AdamW leaves `_version` of what it changes as it was."""
    model = Model().train()
    if transposed:
        model.first = nn.Identity()
        model.second[0].weight = nn.Parameter(torch.ones(4, 2).T)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, **kind)
    x = torch.randn(3, 4)
    for _ in range(2):
        model(x).sum().backward()
        optimizer.step()
        with torch.no_grad():
            torch.testing.assert_close(for_inference(model)(x), model.eval()(x))


@pytest.mark.parametrize(
    "shape", [(64, 64), (512, 64), (64, 512), (1000, 7), (3, 500), (50,), (1, 90), (90, 1), (6, 5, 4)], ids=str
)
@pytest.mark.parametrize("transposed", [False, True])
def test_a_write_to_a_slice_of_a_parameter_is_a_change(shape, transposed):
    """torch counts no write through `.data`, such as those of pruning by hand."""
    model = nn.Module()
    content = torch.randn(shape)
    model.weight = nn.Parameter(content.permute(*reversed(range(content.ndim))) if transposed else content)
    for axis, size in enumerate(model.weight.shape):
        for index in range(size):
            copy = for_inference(model)
            assert for_inference(model) is copy
            model.weight.data.select(axis, index).add_(1.0)
            assert for_inference(model) is not copy, (axis, index)


def test_a_copy_calls_no_dropout_and_the_model_keeps_its_own():
    model = Model().train()
    copy = for_inference(model)
    assert not any(isinstance(part, nn.Dropout) for part in copy.modules())
    assert isinstance(model.dropout, nn.Dropout)
    assert copy.dropout.p == 0.5, "which the model may read"
    x = torch.randn(3, 4)
    with torch.no_grad():
        torch.testing.assert_close(copy(x), model.eval()(x), rtol=0.0, atol=0.0)


def test_hooks_of_a_model_are_heard():
    model = Model().eval()
    for_inference(model)
    heard = []
    handle = model.first.register_forward_hook(lambda *_: heard.append(1))
    with torch.no_grad():
        for_inference(model)(torch.randn(1, 4))
    assert heard == [1]
    handle.remove()
    assert for_inference(model) is not model


def test_hooks_of_all_modules_hear_each_part():
    model, heard = Model().eval(), []
    handle = nn.modules.module.register_module_forward_hook(lambda module, *_: heard.append(module))
    try:
        with torch.no_grad():
            for_inference(model)(torch.randn(1, 4))
    finally:
        handle.remove()
    assert heard == [model.first, model.dropout, model.second[0], model.second, model]


def test_a_layer_whose_forward_was_replaced_keeps_it():
    model = Model().eval()
    for_inference(model)
    model.first.forward = torch.zeros_like  # after a copy was kept
    x = torch.randn(1, 4)
    with torch.no_grad():
        torch.testing.assert_close(for_inference(model)(x), model(x), rtol=0.0, atol=0.0)
        assert torch.equal(model(x), model(torch.zeros_like(x)))


class Adapted(nn.Module):
    """x Wᵀ + b of a layer and a product of low rank (Hu et al. 2021, arXiv:2106.09685)."""

    def __init__(self, base: nn.Linear):
        super().__init__()
        self.base = base
        self.down, self.up = nn.Linear(base.in_features, 2, False), nn.Linear(2, base.out_features, False)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


class AdaptedAsInPeft(Adapted):
    """Has the weight of what it adapts, as layers of the library peft do."""

    weight = property(lambda self: self.base.weight)
    bias = property(lambda self: self.base.bias)
    in_features = property(lambda self: self.base.in_features)
    out_features = property(lambda self: self.base.out_features)


class Quantised(nn.Module):
    """Has a method in place of the weight and no parameters, as torch's quantised layers do."""

    def __init__(self, base: nn.Linear):
        super().__init__()
        self._packed = [base.weight.detach(), None if base.bias is None else base.bias.detach()]

    def weight(self):
        return self._packed[0]

    def forward(self, x):
        return nn.functional.linear(x, *self._packed)


def replace_linears(module: nn.Module, kind) -> None:
    for name, part in list(module.named_children()):
        if type(part) is nn.Linear:
            setattr(module, name, kind(part))
        else:
            replace_linears(part, kind)


@pytest.mark.parametrize("kind", [Adapted, AdaptedAsInPeft, Quantised])
@pytest.mark.parametrize("mixer", SELF_MIXERS)
def test_layers_that_were_replaced_stay_so(mixer, kind):
    torch.manual_seed(0)
    config = LanguageModelConfig(d_model=8, layers=1, heads=2, mixers=(mixer,), tie=False)
    model = config.build(Tokens(11)).eval()
    replace_linears(model, kind)
    tokens = torch.randint(11, (2, 5))
    with torch.no_grad():
        expected, _ = model(tokens, None)
        torch.testing.assert_close(for_inference(model)(tokens, None)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("precision", "device", "message"),
    [
        ("int4", "cpu", "--precision: must be float32, bf16 or int8, found 'int4'"),
        ("int8", "cuda", "--precision: int8 needs a CPU, found cuda"),
    ],
)
def test_a_precision_that_cannot_be_had_is_named(precision, device, message):
    with pytest.raises(InputError, match=message):
        check_precision(precision, torch.device(device))


@pytest.mark.parametrize("precision", KINDS)
def test_the_kernel_follows_from_the_shapes_so_that_runs_can_be_continued(precision):
    linear, x = nn.Linear(48, 20), torch.randn(4, 48)
    with torch.inference_mode():
        first, second = KINDS[precision](linear), KINDS[precision](linear)
        assert torch.equal(first(x), second(x))
        assert torch.equal(first(x), first(x))


def test_small_weights_stay_as_they_are_in_float32():
    # A call of oneDNN's kernel with packed weights took 18 microseconds where F.linear took 6 (256 x 256, one row).
    small, large = nn.Linear(64, 64), nn.Linear(512, 512)
    model = nn.Sequential(small, large)
    pack_linears(model, "float32")
    assert model[0] is small
    assert isinstance(model[1], PackedLinear) == packs(large.weight)
