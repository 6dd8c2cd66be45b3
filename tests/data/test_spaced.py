"""A sample of a part has items from everywhere in it, whatever the period of its order, and of every class."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sightline.data.spaced import spaced, spaced_by_class


@pytest.mark.parametrize(("total", "most"), [(10, 3), (5, 1), (7, 6), (4, 0), (2000, 1000), (10_000, 999)])
def test_one_item_of_each_of_equal_stretches(total: int, most: int) -> None:
    rows = spaced(total, most)
    assert len(rows) == most
    assert all(i * total // most <= row < (i + 1) * total // most for i, row in enumerate(rows))
    assert spaced(total, most) == rows


@pytest.mark.parametrize(("total", "most"), [(3, 10), (0, 4), (5, 5), (0, 0)])
def test_all_items_where_there_are_no_more(total: int, most: int) -> None:
    assert spaced(total, most) == list(range(total))


@pytest.mark.parametrize(("period", "stretch"), [(2, 2), (2, 4), (10, 10), (10, 5), (24, 24), (7, 14)])
def test_items_whose_kinds_take_turns_are_sampled_of_every_kind(period: int, stretch: int) -> None:
    """By chance a kind has 1000 / period items, give or take three standard deviations and a half."""
    kinds = Counter(row % period for row in spaced(1000 * stretch, 1000))
    share = 1 / period
    assert len(kinds) == period
    assert max(abs(count - 1000 * share) for count in kinds.values()) < 3.5 * (1000 * share * (1 - share)) ** 0.5


def test_every_class_keeps_its_share_and_one_item_at_least() -> None:
    labels = np.random.default_rng(0).permutation(["a"] * 400 + ["b"] + ["c"] * 599)
    rows = spaced_by_class(labels, 50)
    assert rows == sorted(set(rows))
    assert Counter(labels[rows].tolist()) == {"a": 20, "b": 1, "c": 29}
    assert spaced_by_class(labels, 1000) == list(range(1000))


def test_with_more_classes_than_items_the_commonest_have_one_each() -> None:
    labels = np.array([3, 1, 2, 2, 3, 3, 0, 2, 4])
    assert Counter(labels[spaced_by_class(labels, 2)].tolist()) == {2: 1, 3: 1}
    assert Counter(labels[spaced_by_class(labels, 5)].tolist()) == dict.fromkeys(range(5), 1)
    assert spaced_by_class(labels, 0) == []


def test_classes_in_turns_or_one_after_another_have_equal_shares() -> None:
    for labels in (np.arange(600) % 3, np.arange(600) // 200):
        for most in (3, 30, 100, 599):
            counts = Counter(labels[spaced_by_class(labels, most)].tolist()).values()
            assert sum(counts) == most
            assert max(counts) - min(counts) <= 1
