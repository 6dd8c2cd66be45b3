"""Integrated gradients sum to the change of the output, and equal their closed form where there is one."""

from __future__ import annotations

import importlib
from unittest import mock

import pytest
import torch
from torch import Tensor

from sightline.core.errors import EnvironmentFault
from sightline.core.modes import evaluating
from sightline.inspect import integrated
from sightline.inspect.integrated import has_captum, integrated_gradients
from sightline.inspect.record import replaced_outputs
from sightline.models.encoder_model import EncoderConfig

needs_captum = pytest.mark.skipif(not has_captum(), reason="captum is an extra")


@needs_captum
def test_of_a_product_half_goes_to_each_factor():
    x = torch.tensor([[[2.0, 3.0]]], dtype=torch.float64)
    found = integrated_gradients(lambda given: given[:, 0, 0] * given[:, 0, 1], x)
    assert torch.allclose(found.values, torch.full((1, 2), 3.0, dtype=torch.float64), atol=1e-12)
    assert found.complete
    assert found.change == 6.0


@needs_captum
@pytest.mark.parametrize("mixer", ["softmax", "gru"])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_attributions_of_a_classifier_are_complete_in_either_mode(mixer: str, training: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = EncoderConfig((mixer,), d_model=8, heads=2, dropout=0.5, pooling="mean").build(11, 3).double()
        tokens = torch.randint(11, (1, 6))
    x, every = model.front_end(tokens)[0], model.front_end(torch.arange(11).unsqueeze(0))[0]
    baseline = every.mean(1, keepdim=True).expand_as(x)  # the mean of all words

    def score(vectors: Tensor) -> Tensor:
        with evaluating(model), replaced_outputs(model.front_end, lambda _: vectors):
            return model(tokens.expand(len(vectors), -1)).softmax(1)[:, 0]

    found = [integrated_gradients(score, x, baseline) for _ in range(2) if model.train(training)]
    assert model.training == training
    assert torch.equal(found[0].values, found[1].values)
    assert found[0].complete
    assert found[0].gap <= 0.01 * abs(found[0].change) + 1e-6
    if mixer == "softmax" and not training:  # its first operation is a norm
        assert not integrated_gradients(score, x, steps=integrated.MOST_STEPS).complete
    model.eval()
    assert torch.equal(integrated_gradients(score, x, baseline).values, found[0].values)


@needs_captum
def test_points_are_added_until_the_integral_is_close():
    sharp = integrated_gradients(lambda x: torch.tanh(400 * (x.sum((1, 2)) - 0.3)), torch.ones(1, 1, 1).double())
    assert sharp.steps > integrated.STEPS
    assert sharp.complete


def test_without_captum_the_error_says_what_to_install():
    def absent(name: str):
        raise ImportError(name)

    with mock.patch.object(integrated, "import_module", absent):
        assert not has_captum()
        with pytest.raises(EnvironmentFault, match=r"pip install 'sightline\[inspect\]'"):
            integrated_gradients(lambda x: x.sum((1, 2)), torch.ones(1, 2, 2))
    assert importlib.import_module("sightline.inspect.integrated").import_module is importlib.import_module
