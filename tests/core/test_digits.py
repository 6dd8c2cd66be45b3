"""Numbers as text."""

from __future__ import annotations

from sightline.core.digits import and_joined, number_of, percent, significant_apart
from sightline.core.metrics import find_metric

CLOSE = [0.983170, 0.983172]


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


def test_decimals_stop_at_the_second_digit_of_the_uncertainty() -> None:
    """98.3170 and 98.3172 % are the same number where both are known to a point only."""
    f1, mse = find_metric("macro_f1"), find_metric("mse")
    assert f1.apart(CLOSE).text(CLOSE[0]) == "98.3170 %"
    assert f1.apart(CLOSE, [0.01, 0.02]).text(CLOSE[0]) == "98.3 %"
    assert f1.apart(CLOSE, [None, None]).text(CLOSE[0]) == "98.3 %"  # a margin of one point
    assert f1.apart(CLOSE, [1e-6, None]).text(CLOSE[0]) == "98.3170 %"
    assert f1.apart([0.9831, 0.9839], [0.002, 0.003]).text(0.9839) == "98.4 %"
    assert f1.apart([0.9831, 0.9833], [0.002, 0.003]).text(0.9833) == "98.33 %"
    assert mse.apart([0.00121, 0.00132], [None, None]).text(0.00121) == "0.0012"
    assert mse.apart([0.5121, 0.5122], [0.05, 0.05]).text(0.5121) == "0.512"


def test_words_in_a_row() -> None:
    rows = [], ["a"], ["a", "b"], ["a", "b", "c"]
    assert [and_joined(words) for words in rows] == ["", "a", "a and b", "a, b and c"]


def test_uncertainty_never_makes_a_value_zero() -> None:
    assert find_metric("mse").apart([0.0004, 0.5], [0.1, 0.1]).text(0.0004) == "0.0004"
    assert find_metric("accuracy").apart([0.0, 0.0], [0.0, None]).text(0.0) == "0.0 %"
