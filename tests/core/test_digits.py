"""Numbers as text."""

from __future__ import annotations

from sightline.core.digits import number_of


def test_a_count_agrees_with_its_noun() -> None:
    counts = [number_of(n, "column") for n in (0, 1, 2, 2000)]
    assert counts == ["0 columns", "1 column", "2 columns", "2,000 columns"]
    assert [number_of(n, "row has", "rows have") for n in (1, 2)] == ["1 row has", "2 rows have"]
