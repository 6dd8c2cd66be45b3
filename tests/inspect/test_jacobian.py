"""Norms of Jacobians equal finite differences, for every mechanism of the table without attention weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightline.core.mixer import SequenceMixer
from sightline.core.probe import Probe
from sightline.inspect.jacobian import jacobian_norms, layer_jacobians, mixing_layers
from sightline.mixers import MIXERS
from sightline.models import ARCHITECTURES, LANGUAGE_MODELS
from sightline.models.stack import Pointwise, Stack
from sightline.testing import Subject

RECURRENT = {
    f"{name}-{number}": config
    for name, kind in MIXERS.items()
    for number, config in enumerate(dict.fromkeys((kind(), *kind.examples())))
    if not any(isinstance(part, Probe) for part in Subject(config).module().modules())
}
LENGTH, STEP = 5, 1e-6


def differences(function, x: Tensor) -> Tensor:
    """‖∂y_t/∂x_s‖ by central differences, number by number."""
    _, length, width = x.shape
    norms = torch.zeros(function(x).shape[1], length, dtype=x.dtype)
    for s in range(length):
        for d in range(width):
            step = torch.zeros_like(x)
            step[0, s, d] = STEP
            slope = (function(x + step) - function(x - step)) / (2 * STEP)
            norms[:, s] += slope[0].square().sum(1)
    return norms.sqrt()


def test_the_table_has_every_kind_of_recurrence():
    assert {name.rpartition("-")[0] for name in RECURRENT} >= {"rnn", "lstm", "gru", "min_gru", "min_lstm", "lru"}


def test_random_directions_estimate_the_norms_and_enough_of_them_give_them_exactly():
    """Of 24 outputs 16 directions: without a bias over all entries, and each within a factor."""
    torch.manual_seed(5)
    matrix = torch.randn(4, 24, 6, 10, dtype=torch.float64)  # T E S D
    x = torch.randn(1, 6, 10, dtype=torch.float64)

    def function(rows: Tensor) -> Tensor:
        return torch.einsum("tesd,rsd->rte", matrix, rows)

    exact = matrix.square().sum((1, 3)).sqrt()
    assert torch.allclose(jacobian_norms(function, x, directions=24), exact)
    ratio = jacobian_norms(function, x, directions=16).square() / exact.square()
    assert ratio.mean() == pytest.approx(1.0, abs=0.1)
    assert 0.5 < float(ratio.min()) <= float(ratio.max()) < 2.0
    assert not torch.allclose(ratio, torch.ones_like(ratio))


@pytest.mark.slow
@pytest.mark.parametrize("rows", [128, 5], ids=["at once", "in chunks"])
@pytest.mark.parametrize("name", RECURRENT)
def test_norms_equal_finite_differences(name: str, rows: int) -> None:
    subject = Subject(RECURRENT[name])
    module, x = subject.module(), torch.randn(1, LENGTH, subject.d_model, dtype=torch.float64)
    memory = subject.memory()
    one = None if memory is None else type(memory)(*(None if part is None else part[:1] for part in memory))

    def function(given: Tensor) -> Tensor:
        if not isinstance(module, SequenceMixer):
            return module(given)
        state = module.initial_state(1, one)
        return module(given, type(state)(*(repeated(leaf, len(given)) for leaf in state)))[0]

    norms = jacobian_norms(function, x, rows=rows)
    with torch.no_grad():
        assert (norms - differences(function, x)).abs().max() <= 1e-6
    later = torch.ones_like(norms, dtype=torch.bool).triu(1)
    assert subject.is_mixer == bool((norms[later] == 0).all())


def repeated(leaf, rows: int):
    if isinstance(leaf, tuple):
        return tuple(repeated(part, rows) for part in leaf)
    return leaf if leaf is None else leaf.expand(rows, *leaf.shape[1:])


@pytest.mark.parametrize("name", ["lstm", "gru", "min_gru"])
def test_the_layers_of_a_language_model_are_found_and_measured(name: str) -> None:
    config = LANGUAGE_MODELS[name].resized(8)
    model = config.build(11).double().train()
    tokens = torch.randint(11, (1, 6))
    found = layer_jacobians(model, lambda: model(tokens, None))
    layers = {path: model.get_submodule(path) for path in found}
    assert [type(layer) for layer in layers.values()] == [type(MIXERS[name]().build(8))] * 2
    assert model.training  # and dropout was off: the second layer's input is the first one's output
    path = next(iter(found))
    layer, x = layers[path], model.eval().embedding(tokens)
    if path.endswith(".mixer"):
        x = model.get_submodule(path.removesuffix(".mixer")).norm(x)
    assert torch.allclose(found[path], jacobian_norms(lambda rows: layer(rows)[0], x), atol=1e-12)


def test_the_state_of_a_decoder_is_the_one_that_it_began_with():
    model = ARCHITECTURES["gru"].resized(8).build(11, 12).double().eval()
    source, target = torch.randint(11, (1, 4)), torch.randint(12, (1, 5))
    found = layer_jacobians(model, lambda: model(source, None, target))
    sizes = {path: tuple(norms.shape) for path, norms in found.items()}
    assert sorted(sizes.values()) == [(4, 4), (5, 5)]
    state = model.initial_state(model.encode(source))
    (path,) = (path for path in sizes if path.startswith("decoder"))
    seen = []
    handle = model.get_submodule(path).register_forward_pre_hook(lambda _module, args: seen.append(args))
    model.decode(target, state)
    handle.remove()
    layer, (x, own, *_) = model.get_submodule(path), seen[0]

    def function(rows: Tensor) -> Tensor:
        return layer(rows, type(own)(*(repeated(leaf, len(rows)) for leaf in own)))[0]

    with torch.no_grad():
        assert (found[path] - differences(function, x)).abs().max() <= 1e-6


def test_layers_that_mix_nothing_are_left_out():
    stack = Stack([Pointwise(nn.Linear(4, 4), 4), MIXERS["rnn"]().build(4)])
    assert list(mixing_layers(stack)) == ["mixers.0", "mixers.1"]
    assert list(layer_jacobians(stack, lambda: stack(torch.randn(2, 3, 4)))) == ["mixers.1"]


def test_several_rows_are_refused():
    with pytest.raises(ValueError, match=r"expected x \(1, S, D\), got \(2, 7, 4\)"):
        jacobian_norms(lambda x: x, torch.zeros(2, 7, 4))
