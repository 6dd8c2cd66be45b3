"""The page and the figures of benchmarks show every number of a row, and what failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from performance_figures import PANELS, REFERENCE, digest, draw_figures, figures
from performance_page import load_results, performance_page, rows_of

ROOT = Path(__file__).parents[1]
HARDWARE = {"cpu": "A processor", "gpus": [], "cores": 2, "packages": {"torch": "2.13.0"}, "git_commit": "0123456789"}


def spread(value):
    return {"median": value, "lower": 0.9 * value, "upper": 1.1 * value, "least": 0.5 * value, "most": 2 * value}


def row(scenario, family, size, value, **more):
    return {
        "scenario": scenario, "family": family, "kind": "ratio", "question": f"what {scenario} asks",
        "peer": "somebody", "package": "theirs" if family == "window" else "torch",
        "version": "1.2.3", "size": size, "size_unit": "positions",
        "checked": "the peer", "tolerance": 1e-5, "error": 3e-7, "status": "measured", "pairs": 11,
        "ours_s": spread(0.25), "other_s": spread(0.25 * value), "ratio": spread(value),
        "peak_bytes": {"ours": 7 * 2**20, "other": 13 * 2**20}, "of_limit": {"share": 0.41, "binding": "copies"},
        **more,
    }  # fmt: skip


def curve(name, size):
    alone = row(f"mechanism_{name}", "mechanisms", size, 1.0, kind="curve")
    return {key: value for key, value in alone.items() if key not in ("ratio", "other_s")}


def report(*rows):
    settings = {"pairs": 10, "threads": 2, "device": "cpu"}
    return {"schema_version": 1, "hardware": HARDWARE, "settings": settings, "results": list(rows)}


def test_a_row_of_the_page_has_all_numbers():
    aim = {"of": "ratio", "relation": "at least", "value": 3.0, "met": False}
    text = performance_page([report(row("window_x", "window", 4096, 2.5, aim=aim))], [])
    (line,) = [line for line in text.splitlines() if "window_x`)" in line]
    for part in ("what window_x asks", "somebody (theirs 1.2.3)", "4,096 positions", "2.50 (2.25–2.75)",
                 "≥ 3, missed", "250",                 "| 7 | 13 |", "41 %, copies"):  # fmt: skip
        assert part in line
    assert "0 of 1 targets are met. Missed: `window_x` at 4,096." in text
    assert "- the peer: `window_x`; 3e-07" in text
    assert "A processor, 2 cores, 2 threads, torch 2.13.0, commit 0123456, at least 10 rounds" in text


@pytest.mark.parametrize("status", ["failed", "missing", "broken"])
def test_the_page_shows_rows_without_a_measurement_and_their_reason(status):
    left = {"status": status, "detail": "for a reason"}
    text = performance_page([report(row("window_x", "window", 4096, 2.5, **left), {**curve("gru", 128), **left})], [])
    assert f"- `window_x` at 4,096: {status}, for a reason" in text
    assert f"- `mechanism_gru` at 128: {status}, for a reason" in text
    assert "2.50" not in text


@pytest.mark.slow
def test_figures_are_drawn_of_what_there_is(tmp_path):
    names = [REFERENCE, *(name for names in PANELS.values() for name in names)]
    rows = [curve(name, size) for name in names for size in (128, 512)]
    rows += [row(f"linear_{form}", "linear", size, 2.0) for form in ("delta", "constant") for size in (128, 512)]
    assert set(figures(rows)) == {"time-by-length", "memory-by-length", "linear-by-length"}
    assert figures([]) == {}
    draw_figures(rows, tmp_path)
    drawn = (tmp_path / "time-by-length.svg").read_text(encoding="utf-8")
    for name in names:
        assert f">{name}<" in drawn
    assert "milliseconds" in drawn
    assert digest(rows) in drawn


def test_every_mechanism_that_was_measured_is_in_a_panel():
    from sightline.mixers import MIXERS

    measured = {row["scenario"] for row in rows_of(load_results(ROOT / "benchmarks" / "results"))}
    shown = {name for names in PANELS.values() for name in names}
    assert {name for name in MIXERS if f"mechanism_{name}" in measured} <= shown | {REFERENCE}
    assert f"mechanism_{REFERENCE}" in measured


def test_committed_figures_are_those_of_the_committed_results():
    rows = rows_of(load_results(ROOT / "benchmarks" / "results"))
    expected = figures(rows)
    committed = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "figures").glob("*.svg")}
    assert set(committed) == set(expected), "out of date: run `python docs/generate.py` and commit"
    for name, drawn in committed.items():
        assert digest(rows) in drawn, f"{name} is out of date: run `python docs/generate.py` and commit"


def test_committed_results_are_of_scenarios_that_exist():
    from sightline.lab.bench.table import SCENARIOS

    for result in load_results(ROOT / "benchmarks" / "results"):
        assert result["schema_version"] == 1
        assert {row["scenario"] for row in result["results"]} <= set(SCENARIOS)


def training(**more):
    rows = [{"name": "sightline, bfloat16", "tokens_per_s": 6200, "of_limit": 0.47},
            {"name": "a peer, bfloat16", "tokens_per_s": 12400, "of_limit": 0.94}]  # fmt: skip
    row = {"length": 512, "rows": rows, "ours": "sightline, bfloat16", "best_peer": "a peer, bfloat16",
           "ratio": spread(0.5), **more}  # fmt: skip
    late = [{"after": 4000, "subnormal": 0.08, "kept_ms": 81.0, "flushed_ms": 4.0}]
    return {"processor": "A processor", "threads": 1, "environment": HARDWARE, "lengths": [row], "late": late}


def test_training_steps_are_shown_for_every_processor_the_fastest_first():
    text = performance_page([report(row("window_x", "window", 4096, 2.5))], [], [training()])
    assert "| 512 | a peer, bfloat16 | 12,400 | 94 % |  |" in text
    assert "|  | sightline, bfloat16 | 6,200 | 47 % | 0.50 (0.45–0.55) |" in text
    assert "| 4,000 | 8 % | 81 | 4 |" in text
    assert "**A processor**, 1 thread, processor time of the thread, torch 2.13.0, commit 0123456:" in text
    assert "## Training steps" not in performance_page([report(row("window_x", "window", 4096, 2.5))], [])
