"""A batch without rows trains nothing and fails nowhere: one of several processes may have none.

A source without positions is read as one of padding alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor, nn

import sightline.training.loss as training_loss
from sightline.models import ARCHITECTURES, ENCODERS, FORECASTERS, LANGUAGE_MODELS
from sightline.parts.lazy_logits import LazyLogits
from sightline.parts.series_patches import SeriesWindows
from sightline.tasks.classification.loss import label_loss
from sightline.tasks.forecasting.config import ForecastingConfig
from sightline.tasks.forecasting.loss import forecast_loss
from sightline.training.loss import cross_entropy

VOCABULARY = 9
SMALL = {"d_model": 8, "heads": 2, "d_feed_forward": 8, "layers": 1, "convolution": 3, "patch": 4, "dropout": 0.0}


def small(config):
    sizes = {field.name: SMALL[field.name] for field in fields(config) if field.name in SMALL}
    if getattr(config, "mixers", None):
        sizes["layers"] = len(config.mixers)
    torch.manual_seed(0)
    return replace(config, **sizes)


def ids(rows: int, length: int) -> Tensor:
    return torch.randint(3, VOCABULARY, (2, length), generator=torch.Generator().manual_seed(0))[:rows]


def assert_trains_nothing(model: nn.Module, loss: Callable[[int], Tensor]) -> None:
    """Every weight that two rows train gets the gradient 0 from no row."""
    parameters = list(model.parameters())
    trained = torch.autograd.grad(loss(2), parameters, allow_unused=True)
    empty = loss(0)
    assert empty.item() == 0
    gradients = torch.autograd.grad(empty, parameters, allow_unused=True)
    for (name, _), gradient, needed in zip(model.named_parameters(), gradients, trained, strict=True):
        assert needed is None or (gradient is not None and not gradient.any()), name


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_encoder_decoders(arch):
    model = small(ARCHITECTURES[arch]).build(VOCABULARY, VOCABULARY)

    def loss(rows: int) -> Tensor:
        source, labels = ids(rows, 5), ids(rows, 4)
        logits = model(source, torch.ones_like(source, dtype=torch.bool), labels)
        return cross_entropy(logits, labels, labels > 0, epsilon=0.1).total

    assert_trains_nothing(model, loss)


@torch.no_grad()
@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_source_without_positions(arch, masked):
    model = small(ARCHITECTURES[arch]).build(VOCABULARY, VOCABULARY).eval()
    nothing, padding, target = ids(2, 0), ids(2, 3), ids(2, 4)
    memory = model.encode(nothing, nothing.bool() if masked else None)
    expected = model.encode(padding, torch.zeros_like(padding, dtype=torch.bool))
    assert memory.values.shape[:2] == (2, 0)
    assert (memory.summary is None) == (expected.summary is None)
    if memory.summary is not None and expected.summary is not None:
        torch.testing.assert_close(memory.summary, expected.summary)
    logits = [model.decode(target, model.initial_state(one))[0] for one in (memory, expected)]
    torch.testing.assert_close(*logits)


@pytest.mark.parametrize("name", LANGUAGE_MODELS)
def test_language_models(name):
    model = small(LANGUAGE_MODELS[name]).build(VOCABULARY)

    def loss(rows: int) -> Tensor:
        text = ids(rows, 5)
        return cross_entropy(model(text, model.initial_state(rows))[0], text, text > 0).total

    assert_trains_nothing(model, loss)


@pytest.mark.parametrize("name", ENCODERS)
def test_classifiers(name):
    model = small(replace(ENCODERS[name], pooling="mean")).build(VOCABULARY, 3)

    def loss(rows: int) -> Tensor:
        text = ids(rows, 5)
        return label_loss(model(text, text > 0), ids(rows, 1).squeeze(1) % 3).total

    assert_trains_nothing(model, loss)


@pytest.mark.parametrize("name", FORECASTERS)
def test_forecasters(name):
    source = SeriesWindows(12, 5, 2)
    model = small(FORECASTERS[name]).build(source, 1)

    def loss(rows: int) -> Tensor:
        return forecast_loss(model(torch.randn(rows, 12, 2)), torch.zeros(rows, 5, 2), ForecastingConfig()).total

    assert_trains_nothing(model, loss)


@pytest.mark.parametrize("smoothing", ["uniform", "others", "others_but_pad"])
def test_a_loss_that_projects_by_itself(smoothing, monkeypatch):
    monkeypatch.setattr(training_loss, "WHOLE_BYTES", -1)
    embedding, head = nn.Embedding(VOCABULARY, 4), nn.Linear(4, VOCABULARY)

    def loss(rows: int) -> Tensor:
        logits = LazyLogits.of(embedding(ids(rows, 5)), head)
        return cross_entropy(logits, ids(rows, 5), epsilon=0.1, smoothing=smoothing).total

    assert_trains_nothing(nn.ModuleList([embedding, head]), loss)


@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 3.0)])
@pytest.mark.parametrize("several", [False, True])
def test_losses_of_labels(several, weights):
    head = nn.Linear(4, 3)

    def loss(rows: int) -> Tensor:
        labels = torch.ones(rows, 3, dtype=torch.bool) if several else torch.ones(rows, dtype=torch.long)
        return label_loss(head(torch.ones(rows, 4)), labels, weights, 0.1).total

    assert_trains_nothing(head, loss)


@pytest.mark.parametrize("loss", ["mse", "mae", "quantile"])
def test_losses_of_forecasts(loss):
    config = ForecastingConfig(loss=loss)
    head = nn.Linear(4, len(config.levels) if loss == "quantile" else 1)

    def of(rows: int) -> Tensor:
        return forecast_loss(head(torch.ones(rows, 5, 2, 4)), torch.zeros(rows, 5, 2), config).total

    assert_trains_nothing(head, of)
