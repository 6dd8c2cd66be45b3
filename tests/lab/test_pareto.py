"""Dominance with uncertainty, and what is recommended for each priority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import pytest

from sightline.core.metrics import Baseline
from sightline.lab.pareto import fronts
from sightline.lab.recommend import recommend
from sightline.lab.results import Architecture, BudgetPlan, Data, Decision, Estimate, Pair, Prefer, Results, Run


def made(
    archs: Mapping[str, Mapping[str, Any]],
    shown: Sequence[tuple[str, str]] = (),
    metric: str = "accuracy",
    runs: Sequence[Run] = (),
    otherwise: Decision = "practically the same",
    **more: Any,
) -> Results:
    """Results of architectures with a mean `q` and costs; `shown` pairs, the better one first, are better, and the
    others have the outcome `otherwise`.
    """
    rows = [
        Architecture(arch, {metric: Estimate(row["q"])}, finished=row.get("finished", 3), started=3,
                     **{k: v for k, v in row.items() if k not in ("q", "finished")})
        for arch, row in archs.items()
    ]  # fmt: skip
    pairs = [Pair(a, b, Estimate(0.1), 0.01, 0.01, shown=True, outcome="better") for a, b in shown]
    pairs += [Pair(a, b, Estimate(0.1), 0.5, 0.5, shown=False, outcome=otherwise)
              for a, b in combinations(archs, 2) if not {(a, b), (b, a)} & {*shown}]  # fmt: skip
    data = Data("d", "0" * 64, 10, 5, 5, 5)
    return Results("", {}, data, BudgetPlan("9s", [0, 1, 2]), "", rows, list(runs), metric, pairs, **more)


def _kept(results: Results, cost: str = "parameters") -> set[str]:
    return next({*front.kept} for front in fronts(results) if front.cost.name == cost)


def test_a_point_is_dominated_where_another_is_as_good_and_cheaper() -> None:
    results = made({"a": {"q": 0.9, "parameters": 100}, "b": {"q": 0.9, "parameters": 200}})
    assert _kept(results) == {"a"}
    (front,) = fronts(results)
    assert [point.dominated_by for point in front.points] == [[], ["a"]]


@pytest.mark.parametrize("shown", [True, False])
def test_a_better_quality_dominates_only_where_it_is_shown(shown: bool) -> None:
    archs = {"a": {"q": 0.9, "parameters": 100}, "b": {"q": 0.8, "parameters": 100}}
    assert _kept(made(archs, [("a", "b")] if shown else [])) == ({"a"} if shown else {"a", "b"})


def test_neither_is_dominated_where_each_is_better_in_one() -> None:
    archs = {"a": {"q": 0.9, "parameters": 200}, "b": {"q": 0.8, "parameters": 100}}
    assert _kept(made(archs, [("a", "b")])) == {"a", "b"}


def test_smaller_is_better_for_an_error() -> None:
    archs = {"a": {"q": 0.9, "parameters": 100}, "b": {"q": 0.8, "parameters": 100}}
    assert _kept(made(archs, [("b", "a")], metric="mse")) == {"b"}


def test_costs_that_differ_by_less_than_a_twentieth_are_the_same() -> None:
    archs = {"a": {"q": 0.9, "parameters": 104}, "b": {"q": 0.9, "parameters": 100}, "c": {"q": 0.9, "parameters": 106}}
    assert _kept(made(archs)) == {"a", "b"}


@pytest.mark.parametrize(("theirs", "kept"), [((1.9, 2.0, 2.1), {"a"}), ((0.2, 0.5, 5.3), {"a", "b"})])
def test_a_measured_cost_needs_a_difference_beyond_its_spread(theirs: tuple[float, ...], kept: set[str]) -> None:
    """By hand: t of the logarithms is near 13 with the narrow spread and below 1 with the wide one."""
    runs = [Run("a", seed, "done", train_s=value) for seed, value in enumerate((0.98, 1.0, 1.02))]
    runs += [Run("b", seed, "done", train_s=value) for seed, value in enumerate(theirs)]
    assert _kept(made({"a": {"q": 0.9, "train_s": 1.0}, "b": {"q": 0.9, "train_s": 2.0}}, runs=runs), "train_s") == kept


def peaks(*bytes_of: Sequence[int]) -> Results:
    """Equally good architectures, whose runs had these peaks of memory."""
    archs = {name: {"q": 0.9, "peak_memory_bytes": max(own)} for name, own in zip("ab", bytes_of, strict=True)}
    runs = [
        Run(name, seed, "done", peak_memory_bytes=value)
        for name, own in zip("ab", bytes_of, strict=True)
        for seed, value in enumerate(own)
    ]
    return made(archs, runs=runs)


def test_peak_memory_is_the_most_of_any_run_since_that_must_fit() -> None:
    (front,) = fronts(peaks((100, 100, 400), (300, 300, 300)))
    assert {point.arch: point.cost for point in front.points} == {"a": 400, "b": 300}
    (front,) = fronts(peaks((298, 300, 302), (398, 400, 402)))
    assert front.kept == ["a"]


def test_a_lower_peak_is_no_advantage_where_the_runs_of_the_other_need_less() -> None:
    """One run of b needs more than any of a; the nine others far less, by t near 7."""
    (front,) = fronts(peaks((299, 300, 301), (*[100] * 9, 400)))
    assert front.kept == ["a", "b"]


def test_an_undefined_score_and_a_single_architecture_have_no_front() -> None:
    assert fronts(made({"a": {"q": 0.9, "parameters": 1}, "b": {"q": None, "parameters": 1}})) == []


FOUR = {
    "best": {"q": 0.90, "ms": 4.0, "state_bytes": 1000, "parameters": 100},
    "fast": {"q": 0.89, "ms": 1.0, "state_bytes": 900, "parameters": 400},
    "small": {"q": 0.88, "ms": 4.0, "state_bytes": 10, "parameters": 100},
    "poor": {"q": 0.10, "ms": 0.1, "state_bytes": 1, "parameters": 1},
}
WORSE = [("best", "poor"), ("fast", "poor"), ("small", "poor")]


@pytest.mark.parametrize(("prefer", "arch"), [("quality", "best"), ("speed", "fast"), ("memory", "small")])
def test_each_priority_has_its_own_and_none_takes_what_is_shown_to_be_worse(prefer: Prefer, arch: str) -> None:
    assert recommend(made(FOUR, WORSE), prefer).arch == arch


def test_balanced_has_the_smallest_geometric_mean_of_multiples() -> None:
    """best (4·100·1)^(1/3) = 7.37, fast (1·90·4)^(1/3) = 7.11, small (4·1·1)^(1/3) = 1.59."""
    recommended = recommend(made(FOUR, WORSE), "balanced")
    assert recommended.arch == "small"
    assert recommended.multiple == pytest.approx(4 ** (1 / 3))


def test_of_equally_fast_ones_the_better_is_recommended() -> None:
    archs = {"a": {"q": 0.9, "ms": 1.02}, "b": {"q": 0.8, "ms": 1.0}}
    assert recommend(made(archs), "speed").arch == "a"


def test_speed_is_of_training_where_no_output_was_timed_and_memory_the_peak_where_nothing_is_carried() -> None:
    archs = {
        "a": {"q": 0.9, "train_s": 9.0, "peak_memory_bytes": 900, "state_bytes": 1},
        "b": {"q": 0.8, "train_s": 1.0, "peak_memory_bytes": 100},
    }
    for prefer, cost in (("speed", "train_s"), ("memory", "peak_memory_bytes")):
        recommended = recommend(made(archs), prefer)
        assert (recommended.arch, recommended.cost and recommended.cost.name) == ("b", cost)


def test_nothing_is_recommended_without_a_verdict_or_where_a_baseline_is_as_good() -> None:
    assert recommend(made({arch: row | {"finished": 1} for arch, row in FOUR.items()})).obstacle == "one seed"
    assert recommend(made(FOUR | {"best": FOUR["best"] | {"finished": 1}})).obstacle == "one seed"
    assert recommend(made(FOUR | {"fast": FOUR["fast"] | {"finished": 1}}), "quality").arch == "best"
    assert recommend(made({"a": {"q": None}})).obstacle == "no run finished"
    guess = Baseline("guess", "", {"accuracy": 0.9})
    assert recommend(made(FOUR, baselines=[guess])).obstacle == "baseline"
    bound = Baseline("oracle", "", {"accuracy": 1.0}, bound=True)
    assert recommend(made(FOUR, baselines=[bound])).arch == "best"


def test_what_is_not_decided_is_recommended_for_nothing_but_stays_on_the_front() -> None:
    """The fast one may be much worse: 3 points lower, and not decided."""
    results = made({"best": {"q": 0.9, "ms": 9.0}, "fast": {"q": 0.87, "ms": 1.0}}, otherwise="not decided")
    assert recommend(results, "speed").arch == "best"
    assert _kept(results, "ms") == {"best", "fast"}


def test_the_priority_of_the_comparison_is_the_default() -> None:
    assert recommend(made(FOUR, WORSE, prefer="memory")).arch == "small"
