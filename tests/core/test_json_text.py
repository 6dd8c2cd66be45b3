"""One writer of JSON, and numbers with the digits that tell neighbours apart."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from sightline.core.digits import decimals, probability, significant
from sightline.core.json_text import to_json
from sightline.core.metrics import find_metric, undefined_notes

SOURCE = Path(__file__).parents[2] / "src"


def test_numbers_that_are_not_finite_are_null() -> None:
    value = {"a": [math.nan, -math.inf, 1.5], "b": ({"c": math.inf},), "d": "NaN"}
    assert json.loads(to_json(value)) == {"a": [None, None, 1.5], "b": [{"c": None}], "d": "NaN"}


def test_no_command_and_no_measurement_writes_json_in_another_way() -> None:
    calls = [
        f"{path.relative_to(SOURCE)}: {line.strip()}"
        for room in ("cli", "lab", "report", "training")
        for path in sorted((SOURCE / "sightline" / room).rglob("*.py"))
        for line in path.read_text().splitlines()
        if re.search(r"\bdumps?\(", line) and "allow_nan=False" not in line and "hashlib" not in line
    ]
    allowed = ("manifest", '"format": FORMAT')  # of checkpoints: hashes and sizes
    assert [call for call in calls if not any(word in call for word in allowed)] == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(12345.678, "12346"), (1.23456, "1.235"), (0.00123456, "0.001235"), (1.23456e-7, "1.235e-07"), (0.0, "0")],
)
def test_a_number_shows_its_first_digits(value: float, text: str) -> None:
    assert significant(value) == text
    assert significant(-value) == (f"-{text}" if value else text)


def test_a_metric_is_written_with_the_digits_that_tell_values_apart() -> None:
    mse = find_metric("mse")
    assert [mse.apart([0.000121, 0.000132]).text(v) for v in (0.000121, 0.000132)] == ["0.00012", "0.00013"]
    assert mse.apart([0.5, 0.7]).text(0.5) == "0.500"
    assert find_metric("accuracy").apart([0.93201, 0.93234, None, math.nan]).text(0.93201) == "93.20 %"
    assert decimals([1.0, 1.0], 1) == 1
    assert decimals([1.0, 1.0 + 1e-15], 3) == 3


def test_errors_of_a_series_without_noise_have_an_exponent_instead_of_many_decimals() -> None:
    values = (0.4123, 3.21e-9, 0.0)
    mse = find_metric("mse").apart(values)
    assert [mse.text(value) for value in values] == ["0.412", "3.21e-09", "0.000"]
    assert mse.text(-3.21e-9) == "−3.21e-09"
    assert mse.text(1e-17) == "0.000"  # a difference by rounding
    assert find_metric("mse").apart([0.5, 0.7]).text(3.21e-9) == "0.000"


def test_probabilities_near_one_differ() -> None:
    assert [probability(p) for p in (0.5, 0.9941, 0.99995, 0.9999954, 1.0, 3e-6)] == [
        "0.5000", "0.9941", "0.999950", "0.9999954", "1.0000", "0.0000030",
    ]  # fmt: skip


def test_an_undefined_metric_is_named_with_its_reason() -> None:
    assert undefined_notes({"mse": 0.1, "mase": math.nan, "auroc": None}) == [
        "MASE is undefined where the seasonal naive forecast has no error in training, or none is known",
        "AUROC is undefined where no label occurs in some of the items and lacks in others",
    ]
