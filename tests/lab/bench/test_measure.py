"""Measurements: wrong results are caught, missing peers named, times paired, memory read."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from sightline.lab.bench import timing
from sightline.lab.bench.equality import check_case
from sightline.lab.bench.limits import Limits
from sightline.lab.bench.measure import Settings, examine, measure
from sightline.lab.bench.scenario import Aim, Case
from sightline.lab.bench.timing import in_turns, spread
from tests.clock import Clock
from tests.lab.bench import cases

CPU = torch.device("cpu")
FEW = Settings(pairs=2)


@pytest.mark.parametrize("build", [cases.wrong_gradient, cases.not_a_number, cases.other_shape])
def test_a_wrong_implementation_is_caught_and_not_timed(build):
    result = examine(replace(cases.WRONG, build=build), 8, FEW)
    assert result["status"] == "failed"
    assert "ours_s" not in result


def test_the_difference_is_relative_to_the_expected():
    expected = torch.tensor([3.0, 4.0])
    assert check_case(Case(lambda: [1.01 * expected], lambda: [expected])) == pytest.approx(0.01, rel=1e-5)


def test_a_gradient_that_is_zero_but_for_rounding_is_no_difference():
    large, noise = torch.ones(10), torch.full((10,), 1e-9)
    assert check_case(Case(lambda: [large, noise], lambda: [large, -noise])) < 1e-6


def test_a_case_needs_a_reference():
    with pytest.raises(ValueError, match="needs a reference"):
        check_case(Case(lambda: [torch.ones(1)]))


@pytest.mark.slow
def test_a_row_has_ratio_times_memory_limits_and_aim():
    row = measure(cases.RIGHT, 8, FEW)
    assert row["status"] == "measured", row
    assert set(row) == {
        "scenario", "family", "kind", "question", "peer", "package", "version", "size", "size_unit", "checked",
        "tolerance", "error", "status", "pairs", "ours_s", "other_s", "ratio", "limits", "flops", "moved_bytes",
        "of_limit", "peak_bytes", "aim",
    }  # fmt: skip
    assert set(row["ratio"]) == {"median", "lower", "upper", "least", "most"}
    assert row["aim"] == {"of": "ratio", "relation": "at least", "value": 0.0, "met": True}
    assert row["pairs"] >= 2
    assert measure(cases.RIGHT, 16, FEW)["aim"]["met"] is False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "status", "word"),
    [
        (cases.without_peer, "missing", "a-package-that-nobody-has is not installed: pip install"),
        (cases.dying, "broken", "ended by SIGKILL"),
        (cases.raising, "broken", "RuntimeError: no such kernel"),
        (cases.wrong_gradient, "failed", "differ by"),
    ],
)
def test_the_row_says_what_went_wrong(build, status, word):
    row = measure(replace(cases.WRONG, build=build), 8, FEW)
    assert (row["status"], word in row["detail"]) == (status, True), row
    assert row["aim"]["met"] is None


@pytest.mark.slow
def test_memory_is_what_a_call_needs_above_what_was_there():
    row = measure(replace(cases.RIGHT, build=cases.hungry), 64, FEW)
    ours, other = row["peak_bytes"]["ours"], row["peak_bytes"]["other"]
    assert ours == pytest.approx(64 * cases.MEBIBYTE, rel=0.1)
    assert other == pytest.approx(128 * cases.MEBIBYTE, rel=0.1)


@pytest.fixture
def taking(monkeypatch):
    """Calls that move a clock by so many seconds and note their names."""
    clock, names = Clock(), []
    monkeypatch.setattr("sightline.lab.bench.timing.perf_counter", clock.perf_counter)
    monkeypatch.setattr("sightline.lab.bench.timing.TOTAL_S", 0.0)

    def call(name, seconds):
        return clock.slow(seconds, lambda: names.append(name))

    call.names = names
    return call


def test_rounds_alternate_and_give_the_ratio(taking):
    between = []
    rounds = in_turns([taking("a", 0.25), taking("b", 0.75)], 4, CPU, lambda: between.append(1))
    assert "".join(taking.names) == "ab" + "ab" + "ba" + "ab" + "ba"
    assert len(rounds) == len(between) == 4
    assert spread([b / a for a, b in rounds])["most"] == pytest.approx(3.0)


def test_a_short_call_is_repeated_and_a_long_case_ends_early(taking):
    rounds = in_turns([taking("a", 2**-8)], 3, CPU, lambda: None)
    assert len(taking.names) == 1 + 3 * 6  # 6 · 2⁻⁸ s is more than 0.02 s
    assert rounds[0][0] == pytest.approx(2**-8)
    assert len(in_turns([taking("b", 15.0)], 10, CPU, lambda: None)) == 3
    assert len(in_turns([taking("c", 50.0), taking("d", 50.0)], 10, CPU, lambda: None)) == 3


def test_a_spread_is_median_quartiles_and_range():
    assert spread([4.0, 1.0, 3.0, 2.0, 5.0]) == {"median": 3.0, "lower": 2.0, "upper": 4.0, "least": 1.0, "most": 5.0}
    assert spread([2.0])["upper"] == 2.0


def test_limits_are_median_rates_of_a_product_and_a_copy(monkeypatch):
    now, durations = [0.0], iter([9.0, 9.0, 1.0, 0.5, 4.0, 0.25, 2.0, 0.5])  # the first two warm up

    def clock():
        now[0] += next(durations) if clock.ends else 0.0
        clock.ends = not clock.ends
        return now[0]

    clock.ends = False
    monkeypatch.setattr(timing, "perf_counter", clock)
    limits = Limits(CPU)
    for _ in range(3):
        limits.sample()
    assert limits.flops_per_s == 2 * 1024**3 / 2.0  # of 1, 4 and 2 seconds
    assert limits.bytes_per_s == 2 * 4 * 2**25 / 0.5  # read and written, of 0.5, 0.25 and 0.5 seconds


@pytest.mark.parametrize(("relation", "found", "met"), [("at least", 2.0, True), ("at most", 2.1, False)])
def test_an_aim_is_met_at_its_value(relation, found, met):
    assert Aim(2.0, relation=relation).met(found) is met
    assert not Aim(2.0, relation=relation).met(math.nan)
