"""Fronts and recommendations in words and pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sightline.core.metrics import find_metric
from sightline.core.sourced import replace_sources, with_sources
from sightline.lab.results import Estimate, Example, Prefer, Run
from sightline.report.fronts import front_drawings, quality_range
from sightline.report.html import render
from sightline.report.recommendation import (
    chosen_by,
    fronts_line,
    predicting,
    recommendation_line,
    using_recommended,
)
from tests.lab.test_pareto import FOUR, WORSE, made
from tests.report.cells import without_spans

RESULTS = made(FOUR, WORSE)


@pytest.mark.parametrize(
    ("prefer", "words"),
    [
        ("quality", ["best. It has the best accuracy (90.0 %)", "fast and small are practically the same"]),
        ("speed", ["fast. Of the 3 architectures", "time per item, 1.00 ms; best has 4.00 ms", "89.0 %", "90.0 %"]),
        ("memory", ["small. ", "state, 10 B; best has 1 kB"]),
        ("balanced", ["small. ", "on average 1.59 times the smallest of each"]),
    ],
)
def test_a_recommendation_says_what_why_and_what_it_gives_up(prefer: Prefer, words: list[str]) -> None:
    line = recommendation_line(RESULTS, prefer)
    assert line.startswith(f"Recommended for {prefer}: ")
    for part in words:
        assert part in line


def test_without_a_recommendation_it_says_why() -> None:
    assert "two seeds or more" in recommendation_line(made({"a": {"q": 0.9, "finished": 1}}))


def test_the_line_names_the_fronts_of_each() -> None:
    line = fronts_line(made({"a": {"q": 0.9, "parameters": 1, "ms": 9.0}, "b": {"q": 0.8, "parameters": 2, "ms": 1.0},
                             "c": {"q": 0.1, "parameters": 3, "ms": 9.0}}, [("a", "c")]))  # fmt: skip
    assert line == "Pareto fronts of accuracy against each cost: a (all), b (time per item); c on none."


@pytest.mark.slow
def test_every_front_is_a_file_and_a_figure_that_names_what_is_on_it(tmp_path: Path) -> None:
    drawn = front_drawings(RESULTS)
    assert [drawing.name for drawing in drawn] == ["front-ms", "front-state-bytes", "front-parameters"]
    for drawing in drawn:
        for path in drawing.save(tmp_path):
            assert path.stat().st_size > 1000
    assert "fast 89.0 %, 1.00 ms" in drawn[0].description
    page = render(RESULTS)
    assert all(page.count(drawing.description) == 1 for drawing in drawn)
    assert recommendation_line(RESULTS) in without_spans(page)


def test_the_recommended_one_is_used_by_its_run_with_the_lowest_validation_loss() -> None:
    """That of the model that was kept: seed 2 had a lower one before."""
    losses = {0: [0.9, 0.4], 1: [0.3, 0.35], 2: [0.1, 0.6], 3: [None]}
    runs = [
        Run("fast", seed, "done", history=[{"event": "valid", "loss": loss, "best": True} for loss in own])
        for seed, own in losses.items()
    ]
    results = made(FOUR, WORSE, runs=runs, prefer="speed")
    assert using_recommended(results, Path("runs/a b")) == "sightline predict 'runs/a b/runs/fast-seed1' INPUT"
    assert using_recommended(replace(results, prefer="quality"), Path("runs/a b")) == ""


def test_the_recommended_one_is_used_by_its_run_that_is_best_by_the_metric_that_kept_its_model() -> None:
    """As `tasks.winner` chooses: of equals by the loss."""
    kept = {0: (0.2, 0.8), 1: (0.5, 0.9), 2: (0.4, 0.9), 3: (0.1, None)}
    runs = [
        Run("fast", seed, "done", kept_by="accuracy",
            history=[{"event": "valid", "loss": loss, "accuracy": accuracy, "best": True}])
        for seed, (loss, accuracy) in kept.items()
    ]  # fmt: skip
    results = made(FOUR, WORSE, runs=runs, prefer="speed")
    assert using_recommended(results, Path("x")) == "sightline predict x/runs/fast-seed2 INPUT"
    best = results.ranked[0].arch
    winners = replace(results, runs=[replace(run, arch=best) for run in runs])
    assert chosen_by(winners) == "the highest validation accuracy"
    assert "the one with the highest validation accuracy" in render(winners, Path("runs"))


@pytest.mark.parametrize(
    ("reads_texts", "sources", "argument"),
    [
        (True, ["it's 5 o'clock", "b"], """'it'"'"'s 5 o'"'"'clock'"""),
        (False, ["x.png · What?"], "INPUT"),
        (False, ["a.wav"], "INPUT"),
        (True, ["--help", "two\nlines", "x.png", "builtin:dates", " ", "last"], "last"),
        (True, ["-1"], "INPUT"),
        (True, [], "INPUT"),
    ],
    ids=["a text", "a picture and a question", "a sound", "no arguments before a text", "a hyphen", "no examples"],
)
def test_the_command_ends_in_an_input_that_it_can_have(reads_texts: bool, sources: list[str], argument: str) -> None:
    results = made(FOUR, WORSE, examples=[Example(source, "", {}) for source in sources])
    results = replace(results, data=replace(results.data, reads_texts=reads_texts))
    assert predicting(results, Path("runs/a")) == f"sightline predict runs/a {argument}"


def test_the_command_for_the_recommended_one_loads_its_plugins() -> None:
    plugins = {"plugins": {"my plugins/echo.py": "echo", "bag.py": "bag"}}
    results = made(FOUR, WORSE, runs=[Run("fast", 0, "done")], prefer="speed")
    results = replace(results, environment=plugins)
    command = "sightline predict --plugin 'my plugins/echo.py' --plugin bag.py runs/a/runs/fast-seed0 INPUT"
    assert using_recommended(results, Path("runs/a")) == command


def test_memory_is_that_of_the_run_that_needed_most() -> None:
    archs = {"a": {"q": 0.9, "peak_memory_bytes": 4 * 10**8}, "b": {"q": 0.8, "peak_memory_bytes": 3 * 10**8}}
    runs = [
        Run(arch, seed, "done", peak_memory_bytes=value * 10**6)
        for arch, own in (("a", (390, 395, 400)), ("b", (290, 295, 300)))
        for seed, value in enumerate(own)
    ]
    results = made(archs, runs=runs)
    line = recommendation_line(results, "memory")
    assert "the least peak memory of training, 300 MB; a has 400 MB" in line
    found = []
    with with_sources():
        replace_sources(recommendation_line(results, "memory"), lambda *source: found.append(source) or "")
    places = [("runs", str(at), "peak_memory_bytes") for at in (3, 4, 5)]
    assert ("300 MB", places, "most") in found


def test_the_axis_of_quality_shows_the_marks_and_not_the_whole_range_of_the_metric() -> None:
    low, high = quality_range(find_metric("accuracy"), [0.983, 0.955], [Estimate(0.983, 0.95, 1.0), Estimate(0.955)])
    assert 90 < low < 95 < 100 < high < 105
    low, high = quality_range(find_metric("accuracy"), [0.5, 0.5], [])
    assert high - low == pytest.approx(1)  # one point at least, so that rounding is not drawn as a difference
