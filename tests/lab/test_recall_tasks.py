"""Planted recall tasks against what the papers say about them, and against slow answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sightline.core.errors import InputError
from sightline.lab.recall_tasks import (
    BLANK,
    DELIMITER,
    IGNORED,
    RECALL_TASKS,
    Copy,
    MultiQueryRecall,
    Needle,
    multi_query_recall,
)

ROWS, LENGTH, PAIRS, VOCABULARY = 400, 64, 8, 128


@pytest.fixture(scope="module")
def data():
    return multi_query_recall(ROWS, LENGTH, PAIRS, vocabulary=VOCABULARY, seed=3)


def test_every_label_is_the_value_that_followed_the_key(data):
    """Read back by a dictionary, as a person would answer."""
    for inputs, labels, distance in zip(*(part.tolist() for part in data), strict=True):
        known = dict(zip(inputs[0 : 2 * PAIRS : 2], inputs[1 : 2 * PAIRS : 2], strict=True))
        asked = [t for t in range(LENGTH) if labels[t] != IGNORED]
        assert sorted(inputs[t] for t in asked) == sorted(known)
        assert all(t >= 2 * PAIRS and labels[t] == known[inputs[t]] for t in asked)
        assert all(inputs[t - distance[t]] == labels[t] for t in asked)
        assert [t for t in range(LENGTH) if distance[t]] == asked


def test_keys_and_values_come_from_their_halves_and_none_twice(data):
    pairs = data.inputs[:, : 2 * PAIRS].numpy()
    keys, values = pairs[:, 0::2], pairs[:, 1::2]
    assert keys.min() >= 1
    assert keys.max() < VOCABULARY // 2 <= values.min()
    for part in (keys, values):
        assert all(len(set(row)) == PAIRS for row in part)


def test_without_noise_nothing_is_between_the_questions():
    data = multi_query_recall(50, LENGTH, PAIRS, vocabulary=VOCABULARY, noise=False, seed=3)
    asked = (data.labels != IGNORED)[:, 2 * PAIRS :]
    assert torch.equal(data.inputs[:, 2 * PAIRS :] != 0, asked)
    assert (asked.sum(1) == PAIRS).all()
    assert (data.inputs[:, : 2 * PAIRS] != 0).all()


def test_gaps_follow_the_power_law():
    """One pair: its gap is one draw from p(g) ∝ g^(a - 1), tested by χ² at 1 in 1000."""
    from scipy.stats import chisquare

    rows, length = 20_000, 22
    data = multi_query_recall(rows, length, 1, vocabulary=64, gap_power=0.3, seed=1)
    gaps = (data.labels != IGNORED).nonzero()[:, 1].numpy() // 2 - 1
    expected = np.arange(1, 11) ** -0.7
    counts = np.bincount(gaps, minlength=10)
    assert chisquare(counts, expected / expected.sum() * rows).pvalue > 1e-3


def test_within_counts_the_queries_that_a_reach_covers(data):
    asked = data.distance[data.distance > 0]
    assert data.within(LENGTH) == 1.0
    assert data.within(0) == 0.0
    assert data.within(20) == pytest.approx(np.mean(asked.numpy() <= 20))


def test_a_seed_gives_the_same_rows_and_another_seed_others():
    one, same, other = (multi_query_recall(5, 16, 2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.inputs, same.inputs)
    assert not torch.equal(one.inputs, other.inputs)


@pytest.mark.parametrize(
    ("length", "pairs", "vocabulary", "message"),
    [
        (31, 4, 64, "length must be even"),
        (30, 8, 64, "at least 4·pairs, found length 30 with 8 pairs"),
        (64, 0, 64, "found length 64 with 0 pairs"),
        (64, 8, 17, "vocabulary must be at least 18, found 17"),
    ],
)
def test_impossible_sizes_are_refused(length, pairs, vocabulary, message):
    with pytest.raises(InputError, match=message):
        multi_query_recall(1, length, pairs, vocabulary=vocabulary)


@pytest.mark.parametrize("name", RECALL_TASKS)
def test_every_task_is_what_it_says_of_itself(name):
    """Sizes, places of questions, distances, values and their independence, for each entry of the table."""
    task = RECALL_TASKS[name](4)
    inputs, labels, distance = task.rows(3000, seed=5)
    assert inputs.shape == labels.shape == distance.shape == (3000, task.length)
    asked = labels != IGNORED
    assert torch.equal(asked, distance > 0)
    assert (asked.sum(1) == task.items).all()
    assert not asked[:, : task.stored].any()
    assert asked[:, task.stored].any()  # the first question of some row
    row, t = asked.nonzero(as_tuple=True)
    place = t - distance[row, t]
    assert torch.equal(inputs[row, place], labels[row, t])
    assert int(place.max()) < task.stored
    assert int(inputs.min()) >= 0
    assert int(inputs.max()) < task.vocabulary
    answers = labels[asked] - (task.vocabulary - task.values)
    counts = np.bincount(answers.numpy(), minlength=task.values)
    assert len(counts) == task.values
    assert abs(counts - counts.mean()).max() < 6 * np.sqrt(counts.mean())  # uniform, to six standard deviations
    assert task.entropy_bits == pytest.approx(8 * task.items)


@pytest.mark.parametrize("name", RECALL_TASKS)
def test_every_task_depends_on_its_seed_alone(name):
    task = RECALL_TASKS[name](4)
    one, same, other = (task.rows(5, seed) for seed in (1, 1, 2))
    assert torch.equal(one.inputs, same.inputs)
    assert not torch.equal(one.inputs, other.inputs)


@pytest.mark.parametrize("task", [Copy(5, 3, 9), Copy(5, 3, 9, selective=True)])
def test_copies_are_the_values_in_order(task):
    for inputs, labels, _ in zip(*(part.tolist() for part in task.rows(200, seed=2)), strict=True):
        shown = [token for token in inputs[:8] if token != BLANK]
        assert inputs[8] == DELIMITER
        assert inputs[9:] == [BLANK] * 5
        assert labels[9:] == shown
        assert labels[:9] == [IGNORED] * 9
        if not task.selective:
            assert inputs[5:8] == [BLANK] * 3


def test_the_places_of_a_selective_copy_are_uniform():
    places = (Copy(2, 2, 9, selective=True).rows(12_000, seed=2).inputs[:, :4] != BLANK).numpy()
    assert places.sum(1).tolist() == [2] * 12_000
    assert places.mean(0) == pytest.approx([0.5] * 4, abs=0.02)


def test_a_needle_is_found_by_its_key_alone():
    task = Needle(12, 20)
    seen = set()
    for inputs, labels, distance in zip(*(part.tolist() for part in task.rows(500, seed=2)), strict=True):
        key = inputs[-1]
        assert inputs.count(key) == 2
        place = inputs.index(key)
        assert key < 20 <= inputs[place + 1] == labels[-1]
        assert distance[-1] == 11 - (place + 1)
        seen.add(place)
    assert seen == set(range(10))


def test_values_may_repeat_where_answers_must_be_independent():
    inputs = MultiQueryRecall(4, 8).rows(400, seed=1).inputs[:, 1:8:2]
    assert any(len(set(row)) < 4 for row in inputs.tolist())


def test_the_answers_that_are_seen_are_counted():
    """Position t sees t - 3 … t: the same count as by distance; and nothing but itself: none."""
    rows = MultiQueryRecall(4).rows(300, seed=1)
    t = torch.arange(16)
    band = (t[:, None] >= t) & (t[:, None] - t <= 3)
    assert rows.seen(band) == pytest.approx(rows.within(3))
    assert 0 < rows.within(3) < 1
    assert rows.seen(torch.eye(16, dtype=torch.bool)) == 0.0


@pytest.mark.parametrize("task", [Copy(0, 3), Copy(2, -1), Needle(2), MultiQueryRecall(16, 16)])
def test_impossible_tasks_are_refused(task):
    with pytest.raises(InputError, match=r"needs|vocabulary"):
        task.rows(1, 0)
