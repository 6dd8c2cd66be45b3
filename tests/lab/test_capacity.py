"""Stored bits, ceilings and recall curves against models whose memory is known by construction."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import optimize, stats
from torch import nn

from sightline.core.errors import InputError
from sightline.core.mixer import SequenceMixer
from sightline.core.state import nbytes
from sightline.data.batches import START
from sightline.lab.capacity import (
    RecallBatches,
    RecallModel,
    RecallTraining,
    ValueLoss,
    recall_curve,
    recall_point,
    right_answers,
    stored_bits,
    stored_bytes,
    visibility,
)
from sightline.lab.recall_tasks import IGNORED, RECALL_TASKS, MultiQueryRecall, Needle
from sightline.training.loss import cross_entropy

FEW = RecallTraining(steps=3, tokens=64, tested=8, heads=1)


class Lookup(SequenceMixer):
    """A perfect memory of one-hot tokens: what followed the last occurrence of the same token, nothing if new."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.d_model = self.d_out = width

    def initial_state(self, batch, memory=None):
        return (torch.zeros(batch, 0, self.d_model),)

    def forward(self, x, state=None, mask=None, starts=None):
        (past,) = self.initial_state(len(x)) if state is None else state
        every = torch.cat([past, x], 1)
        outputs = torch.zeros_like(x)
        for row in range(len(x)):
            tokens = every[row].argmax(1).tolist()
            for t in range(past.shape[1], len(tokens)):
                earlier = [s for s in range(t) if tokens[s] == tokens[t]]
                if earlier:
                    outputs[row, t - past.shape[1]] = every[row, earlier[-1] + 1]
        return outputs, (every,)


class OneHot(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(vocabulary), requires_grad=False)

    def forward(self, tokens):
        return self.weight[tokens]


class PerfectModel(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding, self.mixer, self.norm = OneHot(vocabulary), Lookup(vocabulary), nn.Identity()


@pytest.mark.parametrize("task", [MultiQueryRecall(6, 16), Needle(14, 16)])
def test_a_perfect_memory_has_all_answers_and_all_their_bits(task):
    model = PerfectModel(task.vocabulary)
    right = right_answers(model, task, task.rows(20, seed=3))
    assert right.tolist() == [1.0] * 20
    point = recall_point(task, stored_bytes(model, task), right[None])
    assert point.accuracy.mean == 1.0
    assert point.bits.mean == pytest.approx(4 * task.items) == point.entropy_bits
    assert point.state_bytes == 4 * task.vocabulary * task.stored  # one-hot floats of all positions before a question


def test_guessing_shows_no_bits():
    """Of 400 rows with 16 guesses of one of 32 each: an interval of the bits that begins at 0."""
    task = MultiQueryRecall(16, 32)
    right = np.random.default_rng(1).binomial(16, 1 / 32, (1, 400)) / 16
    point = recall_point(task, 100, right)
    assert point.bits.low == 0.0
    assert point.bits.mean <= 0.5
    assert point.accuracy.low < 1 / 32 < point.accuracy.high


@pytest.mark.parametrize("accuracy", [0.05, 0.2, 0.5, 0.9, 0.999])
def test_the_bound_is_the_information_of_the_symmetric_channel(accuracy):
    """Fano's inequality holds with equality where all wrong answers are equally likely (Cover & Thomas, § 2.10)."""
    values = 24
    joint = np.full((values, values), (1 - accuracy) / (values - 1))
    np.fill_diagonal(joint, accuracy)
    joint /= values
    expected = (joint * np.log2(joint / np.outer(joint.sum(1), joint.sum(0)))).sum()
    assert stored_bits(accuracy, values, 7) == pytest.approx(7 * expected, rel=1e-12)


def test_the_bound_never_exceeds_the_information_of_other_channels():
    draw = np.random.default_rng(0)
    for _ in range(200):
        channel = draw.dirichlet(np.full(6, draw.choice([0.1, 1.0])), 6) + draw.random() * 9 * np.eye(6)
        joint = channel / channel.sum()
        joint = (joint / joint.sum(1, keepdims=True)) / 6  # values are uniform
        positive = joint > 0
        ratio = joint / (joint.sum(1, keepdims=True) * joint.sum(0))
        information = (joint[positive] * np.log2(ratio[positive])).sum()
        assert stored_bits(float(np.trace(joint)), 6, 1) <= information + 1e-12


def test_bits_grow_with_the_accuracy_from_guessing_to_all():
    bits = [stored_bits(a, 16, 3) for a in np.linspace(0, 1, 101)]
    assert bits[:7] == [0.0] * 7  # up to 1/16
    assert all(a < b for a, b in pairwise(bits[7:]))
    assert bits[-1] == 12.0


def test_bits_of_a_mean_are_at_most_the_mean_of_bits():
    """Convexity, so that questions of different difficulty may be averaged."""
    low, high = stored_bits(0.3, 50, 1), stored_bits(0.9, 50, 1)
    assert stored_bits(0.6, 50, 1) <= (low + high) / 2


def test_what_a_window_sees_is_its_reach_and_its_ceiling_the_share_within():
    """Window 5 behind a convolution of 3: t - 6 … t (counted by hand in the rows)."""
    model = RecallModel("window", {"window": 5}, 8, convolution=3, heads=1).build(32, 0)
    visible = visibility(model, 16)
    t = torch.arange(16)
    assert torch.equal(visible, (t[:, None] >= t) & (t[:, None] - t <= 6))
    rows = MultiQueryRecall(4, 16).rows(200, seed=4)
    near = total = 0
    for inputs, labels, distance in zip(*(part.tolist() for part in rows), strict=True):
        for place, label in enumerate(labels):
            if label != IGNORED:
                total += 1
                near += distance[place] <= 6
                assert inputs[place - distance[place]] == label
    assert rows.seen(visible) == pytest.approx(near / total)
    point = recall_point(MultiQueryRecall(4, 16), 1, np.ones((1, 3)), near / total)
    assert point.ceiling == pytest.approx(near / total + (1 - near / total) / 16)


@pytest.mark.parametrize("name", ["softmax", "gru", "linear", "gated_delta"])
def test_everything_is_seen_without_a_window(name):
    model = RecallModel(name, {}, 8, heads=2).build(32, 0)
    assert torch.equal(visibility(model, 24), torch.ones(24, 24, dtype=torch.bool).tril())


def test_state_bytes_are_those_of_the_state_before_the_first_question():
    task = MultiQueryRecall(3, 16)
    softmax = RecallModel("softmax", {}, 8, convolution=0, heads=1).build(32, 0)
    assert stored_bytes(softmax, task) == 2 * 6 * 8 * 4 + 8  # keys and values of six positions, and a counter
    gru = RecallModel("gru", {}, 8, convolution=0).build(32, 0)
    assert stored_bytes(gru, task) == nbytes(gru.mixer(gru.embedding(task.rows(1, 1).inputs))[1])


def test_a_curve_has_every_width_and_size_and_is_the_same_again():
    curves = recall_curve("gru", sizes=(3, 2), widths=(8, 16), seeds=(0, 1), training=FEW)
    assert [curve.d_model for curve in curves] == [8, 16]
    assert [[point.items for point in curve.points] for curve in curves] == [[2, 3]] * 2
    assert not curves[0].learned
    assert curves[0].points[0].state_bytes < curves[1].points[0].state_bytes
    again = recall_curve("gru", sizes=(2, 3), widths=(8, 16), seeds=(0, 1), training=FEW)
    assert [replace(curve, cpu_s=0.0) for curve in again] == [replace(curve, cpu_s=0.0) for curve in curves]


@pytest.mark.slow
def test_the_rate_is_the_one_that_is_better_on_other_rows():
    """A rate of 1e-9 learns nothing; with 0.05 the smallest task is soon known."""
    training = RecallTraining(steps=150, tokens=256, tested=40, heads=1, rates=(1e-9, 0.05))
    (curve,) = recall_curve("softmax", sizes=(2,), widths=(16,), training=training)
    assert (curve.rate, curve.rates) == (0.05, [1e-9, 0.05])
    assert curve.points[0].accuracy.mean > 0.2
    assert curve.loss < math.log(256)


def test_unknown_names_are_refused():
    with pytest.raises(InputError, match=r"unknown recall task 'recal', did you mean 'recall'?"):
        recall_curve("gru", task="recal")
    with pytest.raises(InputError, match=r"unknown mixer 'grru', did you mean 'gru'?"):
        recall_curve("grru", training=FEW)


def test_the_loss_is_that_of_the_answers_among_values():
    task = MultiQueryRecall(3, 16)
    model = RecallModel("gru", {}, 8).build(32, 0)
    (batch, _) = next(RecallBatches([task], 48, 0, seed=1).stream(START))
    logits, _ = model(batch.inputs, None)
    asked = batch.labels != IGNORED
    with torch.no_grad():
        expected = cross_entropy(logits[..., 16:], batch.labels - 16, asked)
        found = ValueLoss(16)(model, batch)
    assert found.count == 12
    assert float(found.nll) == pytest.approx(float(expected.nll), rel=1e-6)


def test_batches_begin_with_the_smallest_task_and_repeat_from_any_step():
    tasks = [RECALL_TASKS["recall"](size) for size in (2, 4)]
    batches = RecallBatches(tasks, 64, 3, seed=1)
    stream = batches.stream(START)
    drawn = [next(stream) for _ in range(12)]
    assert [tuple(batch.inputs.shape) for batch, _ in drawn[:3]] == [(8, 8)] * 3
    assert {tuple(batch.inputs.shape) for batch, _ in drawn[3:]} == {(8, 8), (4, 16)}
    for (_, cursor), (batch, _) in pairwise(drawn):
        assert torch.equal(next(batches.stream(cursor))[0].inputs, batch.inputs)


def test_the_interval_of_one_row_of_answers_is_that_of_clopper_and_pearson():
    """One training, one question in a row: 0 of 30 wrong (lab.stats says so; here by the binomial distribution)."""
    task = Needle(8, 16)
    point = recall_point(task, 1, np.ones((1, 30)))
    low = optimize.brentq(lambda p: stats.binom.sf(29, 30, p) - 0.025, 0.5, 1)
    assert point.accuracy.low == pytest.approx(low, abs=0.01)
    assert point.accuracy.high == 1.0
