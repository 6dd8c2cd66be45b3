"""Agreement with dependency arcs: the baseline by hand, and where the treebank is looked for."""

from __future__ import annotations

import pytest

from sightline.inspect.arcs import Parsed
from sightline.lab.claims.claim import Effort
from sightline.lab.claims.fitting import Recipe
from sightline.lab.claims.syntax import agreement, arc_agreement, treebank

TRAIN = [Parsed(["a", "b", "c", "d"], [1, 2, -1, 2], ["x", "x", "root", "y"])] * 6
TEST = [
    Parsed(["a", "c", "b"], [1, -1, 1], ["x", "root", "y"]),
    Parsed(["d", "a", "b"], [1, 2, -1], ["x", "x", "root"]),
]


def test_the_offset_is_chosen_in_training_and_counted_on_others():
    found = agreement(TRAIN, TEST, Recipe(2, 4), Effort())
    assert found.offset.name == "arcs found by the offset 1"
    assert found.offset.value == pytest.approx(3 / 4)
    assert found.head.value is not None
    assert 0.0 <= found.head.value <= 1.0
    assert found.difference.value == pytest.approx(found.head.value - 3 / 4)
    assert found.difference.low <= found.difference.value <= found.difference.high
    assert not found.better


def test_without_a_treebank_or_in_the_quick_form_nothing_is_measured(tmp_path, monkeypatch):
    monkeypatch.delenv("SIGHTLINE_DATA", raising=False)
    assert treebank() is None
    monkeypatch.setenv("SIGHTLINE_DATA", str(tmp_path))
    assert treebank() is None
    (tmp_path / "ud_english_ewt").mkdir()
    assert treebank() == tmp_path / "ud_english_ewt"
    assert arc_agreement(Effort(quick=True)) is None
