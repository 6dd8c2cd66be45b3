"""C8, C12, C13 and C19: outcomes follow from planted numbers; measurements agree with what is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sightline.lab.claims import distance, influence, scaled_logits, vanishing
from sightline.lab.claims.adding import MEAN_ERROR, adding, adding_error, squared_error
from sightline.lab.claims.both_sides import LENGTH, shifted
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.fitting import Examples, held_out
from sightline.lab.mechanism import Mechanism
from sightline.lab.panel_results import Band, Reach, Saturation
from sightline.mixers.softmax import SoftmaxConfig
from sightline.mixers.window import WindowConfig
from sightline.parts.self_attention import SelfAttention

QUICK = Effort(quick=True)


def reached(kind, largest, norm, met=True):
    norms = np.array([[1.0, norm]])
    return vanishing.GradientNorms(kind, "orthogonal", largest, largest, [1, 100], norms, met, None)


def learnt(*lengths):
    return [vanishing.AddingError(n, np.array([0.01 if n in lengths else 0.16])) for n in (10, 20, 50, 100)]


BELOW, ABOVE = reached("tanh", 0.8, 1e-9), reached("tanh", 1.5, 1e5)


@pytest.mark.parametrize(
    ("norms", "lengths", "outcome"),
    [
        ([BELOW, ABOVE], (10, 20), "holds"),
        ([BELOW, ABOVE], (10, 20, 50), "depends"),
        ([BELOW, reached("tanh", 1.5, 1.0), reached("quiet tanh", 1.5, 1e5)], (10, 20), "holds"),
        ([BELOW, reached("tanh", 1.5, 1.0)], (10, 20), "depends"),
        ([BELOW, reached("tanh", 1.5, 1.0)], (10,), "does not hold"),
        ([reached("tanh", 0.8, 0.5), ABOVE], (10, 20), "does not hold"),
        ([reached("tanh", 0.8, 1e-9, met=False), ABOVE], (10, 20), "does not hold"),
    ],
    ids=[
        "as said",
        "learned at 50",
        "explodes on quiet inputs",
        "does not explode",
        "neither",
        "does not vanish",
        "above the bound",
    ],
)
def test_vanishing_and_exploding(norms, lengths, outcome):
    assert vanishing.judge(norms, learnt(*lengths))[0] == outcome


def test_a_linear_network_has_the_analytic_product_and_a_tanh_network_meets_the_bound():
    lags = [1, 10, 40]
    unit = vanishing.random_matrix("gaussian", 0)
    assert torch.linalg.matrix_norm(unit, 2).item() == pytest.approx(1.0)
    linear = vanishing._norms("linear", "gaussian", 1.25, 1.25 * unit, lags, QUICK)
    assert linear.error < 1e-10
    tanh = vanishing._norms("tanh", "gaussian", 1.25, 1.25 * unit, lags, QUICK)
    assert tanh.bound_met
    assert tanh.norms.shape == (6, 3)
    assert 0.4 < linear.radius / 1.25 < 0.75  # Ginibre 1965: about half the largest singular value


class MarkedSum(torch.nn.Module):
    def forward(self, x):
        return (x[..., 0] * x[..., 1]).sum(1, keepdim=True)


def test_the_adding_problem_without_memory_has_the_error_of_its_variance():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(20, 1))
    with torch.no_grad():
        model[1].weight.zero_()
        model[1].bias.fill_(1.0)
    assert adding_error(model, 10) == pytest.approx(MEAN_ERROR, rel=0.15)
    examples = held_out(adding(10), 0, 50)
    assert examples.inputs[0][:, :5, 1].sum(1).tolist() == [1.0] * 50
    loss = squared_error(MarkedSum(), examples)
    assert (loss.nll.item(), loss.count) == (0.0, 50)


def reach(name, share, at=(0, 1, 64)):
    band = Band(list(map(float, at)), [3.0, 2.0, 2.0 * share], [3.0, 1.0, share], [3.0, 4.0, 4.0 * share])
    return Reach(name, False, band, used=Band([1.0, 64.0], [2.0, 1.0], [2.0, 1.0], [2.0, 1.0]))


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [(0.9, 0.6, "holds"), (0.9, 0.1, "depends"), (0.1, 0.9, "depends"), (0.1, 0.2, "does not hold")],
)
def test_the_gradient_by_distance(before, after, outcome):
    untrained = [reach("softmax", before), *(reach(name, 1e-6) for name in distance.RECURRENT)]
    assert distance.judge(untrained, [reach("transformer", after)])[0] == outcome


def test_the_share_is_that_of_the_gradient_at_distance_one():
    found = distance.share(reach("softmax", 0.25), "")
    assert (found.value, found.low, found.high) == (0.25, 0.125, 0.5)


def saturation(name, *gradients):
    band = Band([8.0, 1024.0], list(gradients), list(gradients), list(gradients))
    return Saturation(name, "d_k", 256, band, band, band)


def trained(scaled, *losses):
    return scaled_logits.ScaledTraining(scaled, np.array(losses), np.ones(3), np.ones((3, 2)))


@pytest.mark.parametrize(
    ("scaled", "unscaled", "losses", "outcome"),
    [
        ((0.1, 0.11), 0.001, (1.0, 1.1, 1.2), "holds"),
        ((0.1, 0.11), 0.001, (0.0, 0.1, 0.05), "depends"),
        ((0.1, 0.11), 0.05, (1.0, 1.1, 1.2), "does not hold"),
        ((0.1, 0.01), 0.0001, (1.0, 1.1, 1.2), "does not hold"),
    ],
    ids=["as said", "training gets by", "the gradient lives", "the scaled one dies too"],
)
def test_the_scale_of_the_logits(scaled, unscaled, losses, outcome):
    rows = [saturation("scaled", *scaled), saturation("unscaled", 0.1, unscaled)]
    training = [trained(True, 0.0, 0.1, 0.05), trained(False, *losses)]
    assert scaled_logits.judge(rows, training)[0] == outcome


def test_without_the_scale_logits_are_as_many_times_larger():
    models = [scaled_logits.lookup_model(0, scaled=scaled) for scaled in (True, False)]
    layers, other = ([m for m in model.modules() if isinstance(m, SelfAttention)] for model in models)
    x = torch.randn(1, 3, scaled_logits.D_HEAD, generator=torch.Generator().manual_seed(1))
    expected = layers[0].project(x).q * math.sqrt(scaled_logits.D_HEAD)
    torch.testing.assert_close(other[0].project(x).q, expected, rtol=1e-5, atol=1e-5)


def test_the_answer_of_a_lookup_is_the_value_of_the_key():
    examples: Examples = held_out(scaled_logits.stored_pairs(5), 0, 40)
    tokens = examples.inputs[0]
    asked = tokens[:, -1:] - scaled_logits.KEYS * scaled_logits.VALUES
    stored = tokens[:, :-1]
    match = stored // scaled_logits.VALUES == asked
    assert match.sum(1).tolist() == [1] * 40
    assert torch.equal((stored % scaled_logits.VALUES)[match], examples.labels)


def test_the_answer_stands_so_many_positions_to_the_side():
    for steps in (2, -2):
        (tokens,), labels, counted = shifted(steps)(torch.Generator().manual_seed(0), 3)
        inner = slice(max(0, -steps), LENGTH - max(0, steps))
        assert counted.sum(1).tolist() == [LENGTH - 2] * 3
        assert torch.equal(labels[:, inner], tokens.roll(-steps, 1)[:, inner])


def shares(later=0.0, full=0.5, both=1e-6):
    size = 4
    one_way = torch.ones(size, size).tril() + later * torch.ones(size, size).triu(1)
    rows = dict.fromkeys(influence.LEFT_TO_RIGHT, one_way)
    for name, least in ((influence.FULL, full), (influence.BILSTM, both)):
        rows[name] = torch.eye(size) + least * (1 - torch.eye(size))
    return rows


@pytest.mark.parametrize(
    ("planted", "outcome"),
    [
        ({}, "holds"),
        ({"full": 0.001}, "depends"),
        ({"both": 0.0}, "depends"),
        ({"full": 0.0}, "does not hold"),
        ({"later": 1e-9}, "does not hold"),
    ],
    ids=["as said", "too little", "the LSTM misses one", "attention misses one", "the future counts"],
)
def test_who_counts_for_whom(planted, outcome):
    assert influence.judge(shares(**planted))[0] == outcome


def test_influence_is_where_a_mechanism_looks():
    windowed = influence.influence(Mechanism("w", WindowConfig(window=3, heads=2), 4), 1, 0)
    place = torch.arange(influence.POSITIONS)
    distance_back = place[:, None] - place
    assert torch.equal(windowed > 0, (distance_back >= 0) & (distance_back < 3))
    full = influence.influence(Mechanism("f", SoftmaxConfig(heads=2, causal=False), 4), 1, 0)
    assert bool((full > 0).all())
    assert full.amax(1).tolist() == [1.0] * influence.POSITIONS
