"""Numbers as text."""

from __future__ import annotations

from sightline.core.digits import number_of, percent, significant_apart
from sightline.core.metrics import find_metric


def test_a_count_agrees_with_its_noun() -> None:
    counts = [number_of(n, "column") for n in (0, 1, 2, 2000)]
    assert counts == ["0 columns", "1 column", "2 columns", "2,000 columns"]
    assert [number_of(n, "row has", "rows have") for n in (1, 2)] == ["1 row has", "2 rows have"]


def test_numbers_that_differ_look_different() -> None:
    assert significant_apart([1.0, 2.0]) == ["1.000", "2.000"]
    assert significant_apart([1.7e9 + 0.25, 1.7e9 + 0.75]) == ["1700000000", "1700000001"]
    assert significant_apart([5e-7, 5e-7]) == ["5.000e-07", "5.000e-07"]


def test_a_share_is_written_as_a_metric_in_percent_is() -> None:
    assert percent(0.62) == find_metric("accuracy").text(0.62).replace(".0", "")
    assert [percent(share) for share in (0.0, 0.155, 1.0)] == ["0 %", "16 %", "100 %"]
