"""Distillation: what each stage changes, what it leaves alone, and what costs are measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from sightline.core.errors import Diverged, InputError
from sightline.core.modes import evaluating
from sightline.lab.results import Estimate
from sightline.lab.swap.costs import state_bytes, step_seconds
from sightline.lab.swap.distil import check_comparable, errors, held_out, match_layers, passed_through, tune
from sightline.lab.swap.patient import Patient
from sightline.lab.swap.results import SwapPlan
from sightline.lab.swap.scores import SwapScores, verdict_of
from sightline.lab.swap.target import find_target
from sightline.lab.swap.units import SwapUnit
from sightline.tasks.classification.loss import label_divergence
from sightline.training.loss import divergence
from tests.lab.swap import made

UNITS = [SwapUnit(1), SwapUnit(2)]
PLAN = SwapPlan(layer_steps=30, tune_steps=4, layer_lr=1e-2)
QUIET = print


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    return made.language(tmp_path_factory.mktemp("text"), options={"softmax": {"d_head": 8}})


@pytest.fixture(scope="module")
def data(task, tmp_path_factory):
    return made.load_text(made.text_file(tmp_path_factory.mktemp("data")))


def begun(task, to, **given):
    patient = Patient.of(task, None, "run")
    config = find_target(patient, UNITS, to, given).config
    return patient.modules(), [patient.start(n, config, 0).module for n in UNITS]


def weights(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(before, after):
    return before.keys() == after.keys() and all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.slow
@pytest.mark.parametrize("to", ["linear", "gated_delta"])
def test_matching_lowers_the_error_on_text_that_was_not_trained_on(task, data, to):
    old, new = begun(task, to)
    before = weights(task.model), weights(new[0])
    held = held_out(task, data.valid, 0)
    matched = match_layers(task, old, new, data.train, PLAN, QUIET)
    start, end = errors(task, old, new, held), errors(task, old, matched, held)
    assert all(b < 0.7 * a for a, b in zip(start, end, strict=True))
    assert same(before[0], weights(task.model))
    assert same(before[1], weights(new[0]))
    assert not same(before[1], weights(matched[0]))


def test_a_layer_is_matched_as_if_it_were_alone(task, data):
    old, new = begun(task, "linear")
    short = replace(PLAN, layer_steps=3)
    both = match_layers(task, old, new, data.train, short, QUIET)
    first = match_layers(task, old[:1], new[:1], data.train, short, QUIET)
    assert same(weights(both[0]), weights(first[0]))


def test_the_error_is_that_of_the_layers_outputs_inside_the_model(task, data):
    """Against a loop over the positions of each document alone, with the layers called by hand."""
    old, new = begun(task, "window", window="2")
    (batch, *_) = held_out(task, data.valid, 0)
    (got, _) = errors(task, old, new, [batch])
    passed = passed_through(task, old, batch)[0]
    x, _, mask, starts = passed.args
    difference = total = 0.0
    for row in range(len(x)):
        real = torch.ones(x.shape[1], dtype=torch.bool) if mask is None else mask[row]
        begins = torch.zeros(x.shape[1], dtype=torch.bool) if starts is None else starts[row]
        number = begins.long().cumsum(0)
        for document in number[real].unique():
            part = x[row : row + 1, real & (number == document)]
            with torch.no_grad():
                y, other = old[0](part)[0], new[0](part)[0]
            difference += float((other - y).double().square().sum())
            total += float(y.double().square().sum())
    assert got == pytest.approx(difference / total, rel=1e-4)


@pytest.mark.slow
def test_tuning_uses_the_outputs_of_the_original_as_much_as_kl_says(task, data):
    (batch, *_) = held_out(task, data.train, 0)

    def distance(kl):
        student = made.swapped(task, "linear")
        tune(student, task, data.train, replace(PLAN, tune_steps=25, kl=kl, tune_lr=3e-3), QUIET, "layers 1, 2")
        with torch.no_grad(), evaluating(student.model), evaluating(task.model):
            outputs = [one.model(batch.tokens, None, batch.mask, batch.starts) for one in (student, task)]
            return float(task.divergence(*outputs, batch))

    assert distance(30.0) < 0.3 * distance(0.0)


def test_tuning_that_diverges_says_where(task, data):
    broken = made.swapped(task, "linear")
    with torch.no_grad():
        next(broken.model.parameters()).fill_(float("inf"))
    with pytest.raises(Diverged, match=r"step 1 of layers 1, 2: the loss is nan: try a lower --tune-lr"):
        tune(broken, task, data.train, PLAN, QUIET, "layers 1, 2")


def test_a_task_without_a_divergence_is_refused():
    class Tagging:
        name = "tagging"

    with pytest.raises(InputError, match="tagging does not say how far outputs are from others"):
        check_comparable(Tagging())


def test_divergence_is_that_of_torch_over_real_positions():
    random = torch.Generator().manual_seed(0)
    logits, reference = (torch.randn(3, 5, 7, generator=random) for _ in range(2))
    mask = torch.rand(3, 5, generator=random) > 0.3
    logits[~mask] = float("nan")
    expected = F.kl_div(logits[mask].log_softmax(-1), reference[mask].softmax(-1), reduction="sum")
    torch.testing.assert_close(divergence(logits, reference, mask), expected)
    assert divergence(reference, reference) == 0
    labels = torch.rand(3, 7, generator=random) > 0.5
    p, q = reference[:, 0].sigmoid(), reference[:, 1].sigmoid()
    both = q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log()
    torch.testing.assert_close(label_divergence(reference[:, 0], reference[:, 1], labels), both.sum())


@pytest.mark.parametrize(
    ("to", "numbers"), [("window", 2 * 2 * 8 * 3), ("linear", 2 * (8 * 8 + 8)), ("gated_delta", None)]
)
def test_states_are_measured_at_the_length(task, to, numbers):
    """Keys and values of 50 positions, of window - 1, or a matrix with its normaliser for each head, in float32."""
    old, new = begun(task, to, **({"window": "4"} if to == "window" else {}))
    place = 8  # bytes of the position
    assert state_bytes(old[0], 50) == 4 * 2 * 2 * 8 * 50 + place
    if numbers is not None:
        assert state_bytes(new[0], 50) == 4 * numbers + place * (to == "window")
    assert state_bytes(new[0], 50) == state_bytes(new[0], 90)
    assert all(taken >= 0 for taken in step_seconds([old[0], new[0]], 50))


def test_an_encoder_has_neither_state_nor_steps():
    layers = Patient.of(made.classification(), None, "run").modules()
    assert state_bytes(layers[0], 50) is None
    assert step_seconds(layers, 50) == [None, None]


def test_what_is_lost_is_positive_where_the_model_is_worse():
    import numpy as np

    from sightline.core.metrics import find_metric

    worse, better = np.array([[3.0, 1.0]] * 40), np.array([[2.0, 1.0]] * 40)
    for name, first, second in (("bits_per_byte", worse, better), ("accuracy", better / 4, worse / 4)):
        rows = {"a": np.stack([first[:, 0], np.ones(40)], 1), "b": np.stack([second[:, 0], np.ones(40)], 1)}
        scored = SwapScores.of(rows, find_metric(name), 0)
        lost = scored.lost("a", "b")
        assert lost.mean == pytest.approx(1.0 if name == "bits_per_byte" else 0.25)
        assert lost.low <= lost.mean <= lost.high
        assert scored.better("b", "a")


@pytest.mark.parametrize(
    ("lost", "margin", "verdict"),
    [
        ((0.0, -0.01, 0.01), 0.02, "kept"),
        ((-0.5, -0.6, -0.4), 0.02, "kept"),
        ((0.03, 0.025, 0.04), 0.02, "lost"),
        ((0.02, 0.01, 0.03), 0.02, "not decided"),
        ((0.02, None, None), 0.02, "not decided"),
        ((0.0, -0.01, 0.01), None, "not decided"),
    ],
)
def test_a_verdict_needs_the_whole_interval(lost, margin, verdict):
    assert verdict_of(Estimate(*lost), margin) == verdict
