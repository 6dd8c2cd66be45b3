"""Multi-query associative recall against what the paper says about it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from multi_query_recall import IGNORED, multi_query_recall
from sightline.core.errors import InputError

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
