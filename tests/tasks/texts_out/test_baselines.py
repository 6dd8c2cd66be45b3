"""Baselines do what they say."""

from __future__ import annotations

import pytest

from sightline.tasks.texts_out import baselines
from sightline.tasks.texts_out.baselines import nearest_sources, text_baselines


def test_each_baseline_follows_its_description() -> None:
    result = {g.name: g.outputs for g in text_baselines(["ab", "abc", "xyz"], ["1", "2", "2"], ["abcd", "xy", "ab"])}
    assert result["copy the source"] == ["abcd", "xy", "ab"]
    assert result["most frequent target"] == ["2", "2", "2"]
    assert result["nearest training source"] == ["2", "2", "1"]


def test_a_source_that_occurs_in_training_is_its_own_nearest() -> None:
    known = ["vendredi 3 mars 2017", "3 mars 2017", "20 نوفمبر 2026", "平成15年7月21日"]
    assert nearest_sources(known, known[::-1], chunk=3) == [3, 2, 1, 0]


def test_the_nearest_is_looked_for_among_all_kinds_of_sources_that_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_NEIGHBOURS", 20)
    sources, targets = ["guten Tag", "bonjour"] * 20, ["de", "fr"] * 20
    (nearest,) = (one for one in text_baselines(sources, targets, ["Tag", "jour"]) if "nearest" in one.name)
    assert nearest.outputs == ["de", "fr"]
    assert "among" not in nearest.description
    assert "20 of them" in nearest.description


def test_texts_with_nothing_in_common_still_get_an_answer() -> None:
    assert nearest_sources(["a"], ["z", ""]) == [0, 0]
    assert nearest_sources(["", ""], ["z"]) == [0]
